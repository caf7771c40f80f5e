import { ReplicaError, type SnapshotInfo, type SnapshotPort } from '@ricci/replica'
import type { Process } from './process.ts'
import type { World } from './world.ts'

interface Stored {
  readonly info: SnapshotInfo
  readonly bytes: Uint8Array
  /** What its checksum says when it is fetched. */
  readonly torn: boolean
}

/** What goes wrong with the store of snapshots; all 0 in calm weather. */
export interface SnapshotWeather {
  /** A stored snapshot is gone before anybody fetches it. */
  lost: number
  /** It is listed, but found damaged when it is fetched. */
  torn: number
}

/** The shared store of snapshots: one map, reached over a network, losing and tearing what it keeps. */
export class SimSnapshots {
  readonly weather: SnapshotWeather = { lost: 0, torn: 0 }
  away = false
  stored = 0
  fetched = 0
  readonly #snapshots = new Map<string, Stored>()
  #names = 0

  constructor(readonly world: World) {}

  connect(process: Process): SnapshotPort {
    const { world } = this
    const random = world.random.fork(`snapshots/${process.name}`)
    const answer = <T>(give: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        if (!process.alive) return
        process.deliverAfter(random.between(1, 60), () => {
          if (this.away) return reject(new Error('the store of snapshots cannot be reached'))
          try {
            resolve(give())
          } catch (error) {
            reject(error)
          }
        })
      })
    return {
      list: (partition) =>
        answer(() =>
          [...this.#snapshots.values()]
            .map((stored) => stored.info)
            .filter((info) => info.partition === partition)
            .sort((a, b) => b.offset - a.offset),
        ),
      store: async (partition, offset, slices) => {
        const parts: Uint8Array[] = []
        for await (const slice of slices) parts.push(slice.slice())
        return answer(() => {
          const bytes = Buffer.concat(parts)
          const info = { name: `${partition}-${offset}-${this.#names++}`, partition, offset, bytes: bytes.length }
          this.stored++
          if (random.chance(this.weather.lost)) {
            world.fault('snapshot lost', process.name, info.name)
            return info
          }
          this.#snapshots.set(info.name, { info, bytes, torn: this.#tears(info.name) })
          return info
        })
      },
      fetch: (info) =>
        answer(() => {
          const stored = this.#snapshots.get(info.name)
          if (stored === undefined) throw new Error(`snapshot ${info.name} is gone`)
          if (stored.torn) {
            throw new ReplicaError('SNAPSHOT_UNREADABLE', `snapshot ${info.name} is torn; take an older one`, false)
          }
          this.fetched++
          return new Uint8Array(stored.bytes)
        }),
      remove: (info) =>
        answer(() => {
          this.#snapshots.delete(info.name)
        }),
    }
  }

  #tears(name: string): boolean {
    if (!this.world.random.chance(this.weather.torn)) return false
    this.world.fault('snapshot torn', 'snapshots', name)
    return true
  }
}
