/** Who can be asked for a partition. */
import type { Clock } from '@ricci/replica'
import type { PeerClient } from './client.ts'
import type { EnginePartitions } from './engine-partitions.ts'
import { holdersOf, type PeerMember } from './members.ts'
import type { PartitionsBackend } from './protocol.ts'

/** Somebody who can be asked. */
export interface Candidate<Answer> {
  /** Two that are equal are the same. */
  readonly id: string
  ask(partitions: readonly number[], signal: AbortSignal): Promise<Answer>
}

/** An instance among the others. */
export interface AmongOptions {
  readonly instance: string
  /** How many partitions there are in all. */
  readonly partitions: number
  readonly local: Pick<EnginePartitions, 'runs'> & PartitionsBackend
  readonly members: () => readonly PeerMember[]
  readonly client: Pick<PeerClient, 'at'>
  readonly clock: Clock
  /** See `takeoverMs` of the limits, the default. */
  readonly takeoverMs?: number
}

/** This instance, where it runs the partition; the owner; who stands by. */
export function candidatesOf<Answer>(
  { instance, local, members, client }: AmongOptions,
  partition: number,
  ask: (backend: PartitionsBackend, partitions: readonly number[], signal: AbortSignal) => Promise<Answer>,
): readonly Candidate<Answer>[] {
  const found: Candidate<Answer>[] = []
  const add = (id: string, backend: () => PartitionsBackend): void => {
    found.push({ id, ask: (partitions, signal) => ask(backend(), partitions, signal) })
  }
  if (local.runs(partition)) add(instance, () => local)
  for (const { instance: other, data } of holdersOf(partition, members())) {
    const { peers } = data
    if (other !== instance && peers !== undefined) add(other, () => client.at(peers))
  }
  return found
}
