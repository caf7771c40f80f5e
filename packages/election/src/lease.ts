import type { NameView } from './store.ts'

/**
 * For how long a tenure may make others act after it was lost, in ms: its own lease, or that of a predecessor who is not known to have stopped, if
 * that is longer. Members may have leases of different lengths, while a new setting is rolled out, say; who takes over waits for the longest.
 */
export function keptLeaseMs(ownMs: number, seen: Pick<NameView, 'settled' | 'leaseMs'> | undefined): number {
  return seen === undefined || seen.settled ? ownMs : Math.max(ownMs, seen.leaseMs)
}
