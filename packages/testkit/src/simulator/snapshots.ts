import { crc32 } from 'node:zlib'
import { ReplicaError, type SnapshotInfo, type SnapshotPort } from '@ricci/replica'
import type { SeededRandom } from '../random.ts'
import type { Process } from './process.ts'
import type { World } from './world.ts'

/** The store that all instances share. */
const shared = 'shared'

interface Stored {
  readonly info: SnapshotInfo
  /** As they lie there now. */
  readonly bytes: Uint8Array
  /** CRC-32 of what was stored, kept beside it. */
  readonly checksum: number
}

/** What goes wrong with the store of snapshots; all 0 in calm weather. */
export interface SnapshotWeather {
  /** A stored snapshot is gone before anybody fetches it. */
  lost: number
  /** Its end is missing once it lies there. */
  torn: number
  /** One of its bytes is another one once it lies there. */
  flipped: number
}

/** Stores of snapshots, one that all share or one of each instance: they lose, tear and change what they keep. */
export class SimSnapshots {
  readonly weather: SnapshotWeather = { lost: 0, torn: 0, flipped: 0 }
  away = false
  stored = 0
  fetched = 0
  readonly #stores = new Map<string, Map<string, Stored>>()
  readonly #rot: SeededRandom

  constructor(readonly world: World) {
    this.#rot = world.random.fork('snapshots rot')
  }

  /** Offset of the newest of a partition that some instance among these has; -1 where there is none. */
  newest(partition: number, machines: readonly string[]): number {
    const stores = [shared, ...machines].flatMap((store) => [...(this.#stores.get(store)?.values() ?? [])])
    return Math.max(-1, ...stores.filter(({ info }) => info.partition === partition).map(({ info }) => info.offset))
  }

  /** @param store whose: everybody's, unless told */
  connect(process: Process, store = shared): SnapshotPort {
    const { world } = this
    const kept = this.#stores.get(store) ?? new Map<string, Stored>()
    this.#stores.set(store, kept)
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
          [...kept.values()]
            .map((stored) => stored.info)
            .filter((info) => info.partition === partition)
            .sort((a, b) => b.offset - a.offset),
        ),
      store: async (partition, offset, slices) => {
        const parts: Uint8Array[] = []
        for await (const slice of slices) parts.push(slice.slice())
        return answer(() => {
          const bytes = Buffer.concat(parts)
          const info = { name: `${partition}-${offset}`, partition, offset, bytes: bytes.length }
          this.stored++
          if (random.chance(this.weather.lost)) {
            world.fault('snapshot lost', process.name, info.name)
            return info
          }
          const checksum = crc32(bytes)
          kept.set(info.name, { info, bytes: this.#damaged(bytes, info.name), checksum })
          return info
        })
      },
      fetch: (info) =>
        answer(() => {
          const stored = kept.get(info.name)
          if (stored === undefined) throw new Error(`snapshot ${info.name} is gone`)
          if (crc32(stored.bytes) !== stored.checksum) {
            throw new ReplicaError('SNAPSHOT_UNREADABLE', `snapshot ${info.name} is damaged; take an older one`, false)
          }
          this.fetched++
          return new Uint8Array(stored.bytes)
        }),
      remove: (info) =>
        answer(() => {
          kept.delete(info.name)
        }),
    }
  }

  /** Only the checksum says that anything happened: a byte that is another one mostly is a number that is another one. */
  #damaged(bytes: Uint8Array, name: string): Uint8Array {
    const rot = this.#rot
    if (this.world.random.chance(this.weather.torn)) {
      this.world.fault('snapshot torn', 'snapshots', name)
      return bytes.subarray(0, Math.floor(rot.next() * bytes.length))
    }
    if (!rot.chance(this.weather.flipped)) return bytes
    this.world.fault('snapshot flipped', 'snapshots', name)
    bytes[Math.floor(rot.next() * bytes.length)] ^= 1 << Math.floor(rot.next() * 8)
    return bytes
  }
}
