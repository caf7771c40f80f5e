/**
 * Snapshots that are fetched from each other: one's own, in a local store, and those of the other instances. What was
 * fetched is kept in the local store, which keeps its number. What is stored or removed is one's own.
 *
 * Who does not run a partition any more may have the only one that meets the log's first record. It counts while it is newer than all that those have
 * who do run it; what is older is left from before, and nobody begins from it.
 */
import { ReplicaError, type Clock, type SnapshotInfo, type SnapshotPort } from '@ricci/replica'
import type { PeerClient } from './client.ts'
import { fetchSnapshotMs, listSnapshotsMs } from './limits.ts'
import type { PeerMember } from './members.ts'
import type { PeerBackend } from './protocol.ts'

/** What snapshots of several instances are made from. */
export interface PeerSnapshotsOptions {
  readonly instance: string
  readonly local: SnapshotPort
  readonly members: () => readonly PeerMember[]
  readonly client: Pick<PeerClient, 'at'>
  readonly clock: Clock
  /** Told in a sentence when a peer's snapshots could not be listed or had, or one that was fetched not kept. */
  readonly onTrouble?: (what: string) => void
}

/** A snapshot that a peer has. */
interface Remote {
  readonly info: SnapshotInfo
  readonly peer: PeerBackend
}

/** One's own snapshots and those of the others as one store; see the head of this file. */
export class PeerSnapshots implements SnapshotPort {
  /** Of each partition what its peers had, when they were asked last, by name. */
  private readonly remote = new Map<number, ReadonlyMap<string, readonly Remote[]>>()

  constructor(private readonly options: PeerSnapshotsOptions) {}

  /** Newest first. Peers that do not say in {@link listSnapshotsMs} which they have, have none for now. */
  async list(partition: number): Promise<readonly SnapshotInfo[]> {
    const { local, members, instance } = this.options
    const others = members().filter((member) => member.instance !== instance)
    const [own, ...theirs] = await Promise.all([
      local.list(partition),
      ...others.map((member) => this.remotesOf(partition, member)),
    ])
    const runs = others.map(({ data }) => partition in data.partitions)
    const used = theirs.filter((_remotes, at) => runs[at]).flat()
    const newest = Math.max(-1, ...own.map(({ offset }) => offset), ...used.map(({ info }) => info.offset))
    const left = theirs.filter((_remotes, at) => !runs[at]).flat()
    const byName = new Map<string, Remote[]>()
    for (const one of [...used, ...left.filter(({ info }) => info.offset > newest)]) {
      const known = byName.get(one.info.name)
      if (known === undefined) byName.set(one.info.name, [one])
      else known.push(one)
    }
    this.remote.set(partition, byName)
    const names = new Set(own.map(({ name }) => name))
    const missing = [...byName.values()].flatMap(([{ info }]) => (names.has(info.name) ? [] : [info]))
    return [...own, ...missing].sort((a, b) => b.offset - a.offset)
  }

  store(
    partition: number,
    offset: number,
    slices: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  ): Promise<SnapshotInfo> {
    return this.options.local.store(partition, offset, slices)
  }

  /** From the local store, else from whoever had it when it was listed. @throws ReplicaError `SNAPSHOT_UNREADABLE` */
  async fetch(info: SnapshotInfo): Promise<Uint8Array> {
    let why: unknown
    try {
      return await this.options.local.fetch(info)
    } catch (error) {
      why = error
    }
    for (const { peer, info: theirs } of this.remote.get(info.partition)?.get(info.name) ?? []) {
      try {
        const bytes = await this.within(fetchSnapshotMs, (signal) => peer.snapshot(theirs, signal))
        await this.keep(theirs, bytes)
        return bytes
      } catch (error) {
        why = error
        this.options.onTrouble?.(`snapshot ${info.name}: ${(error as Error).message}`)
      }
    }
    if (why instanceof ReplicaError && why.code === 'SNAPSHOT_UNREADABLE') throw why
    const message = `the snapshot ${info.name} can be had from nobody (${String(why)}); restore from an older one`
    throw new ReplicaError('SNAPSHOT_UNREADABLE', message, true, { cause: why })
  }

  remove(info: SnapshotInfo): Promise<void> {
    return this.options.local.remove(info)
  }

  private async remotesOf(partition: number, { instance, data }: PeerMember): Promise<readonly Remote[]> {
    if (data.peers === undefined) return []
    const peer = this.options.client.at(data.peers)
    try {
      const infos = await this.within(listSnapshotsMs, () => peer.snapshots(partition))
      return infos
        .filter((info) => info.partition === partition && Number.isSafeInteger(info.offset) && info.offset >= 0)
        .map((info) => ({ info, peer }))
    } catch (error) {
      this.options.onTrouble?.(`snapshots of ${instance} cannot be listed: ${(error as Error).message}`)
      return []
    }
  }

  /** It serves without being kept, too. */
  private async keep({ partition, offset }: SnapshotInfo, bytes: Uint8Array): Promise<void> {
    try {
      await this.options.local.store(partition, offset, [bytes])
    } catch (error) {
      this.options.onTrouble?.(`a snapshot that was fetched could not be kept: ${(error as Error).message}`)
    }
  }

  /** What is not there in time is given up; its end is not waited for. */
  private within<T>(ms: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const ending = new AbortController()
    return new Promise((resolve, reject) => {
      const timer = this.options.clock.setTimer(ms, () => {
        const late = new Error(`it took longer than ${ms / 1000} s`)
        ending.abort(late)
        reject(late)
      })
      run(ending.signal)
        .then(resolve, reject)
        .finally(() => timer.cancel())
    })
  }
}
