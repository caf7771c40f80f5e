/**
 * Coordination by an election group: a name for each partition, all under one session. Over the store in process for a daemon that runs
 * alone, over Consul, etcd or PostgreSQL for a cluster: the same code.
 */
import { ElectionGroup, memory, type Candidate, type Clock, type Term } from '@ricci/election'
import type { CoordinationPort, Lease } from '@ricci/replica'

/** How long an instance leaves a partition that has no owner to others, in ms: its place in the ranking. */
export type HoldBack = (partition: number) => number

/** What partitions' names begin with in the group. */
const namePrefix = 'partition-'

/** Coordination for a daemon that runs alone: whoever asks first is granted everything at once. */
export function coordinationInProcess(instance: string, clock: Clock): GroupCoordination {
  // Claims are fenced by the log, so nobody need wait for a predecessor's lease.
  return new GroupCoordination(new ElectionGroup({ name: 'ricci', store: memory(), id: instance, clock, fenced: true }))
}

/** The port of coordination over a group of its own, which it closes. */
export class GroupCoordination implements CoordinationPort {
  readonly #group: ElectionGroup
  readonly #holdBack: HoldBack
  /** What ends each campaign. */
  readonly #endings = new Set<() => void>()
  #closed: Promise<void> | undefined

  constructor(group: ElectionGroup, holdBack: HoldBack = () => 0) {
    this.#group = group
    this.#holdBack = holdBack
  }

  campaign(partition: number, onChange: (lease: Lease | undefined) => void, signal: AbortSignal): void {
    if (signal.aborted || this.#closed !== undefined) return
    const candidate = this.#group.candidate(`${namePrefix}${partition}`, { holdBackMs: this.#holdBack(partition) })
    const granted = ({ token }: Term): void => onChange({ partition, token: String(token) })
    const lost = (): void => onChange(undefined)
    candidate.on('elected', granted).on('deposed', lost).on('resigned', lost)
    const stop = (): void => {
      this.#endings.delete(stop)
      signal.removeEventListener('abort', end)
      candidate.off('elected', granted).off('deposed', lost).off('resigned', lost)
    }
    const end = (): void => {
      stop()
      void resign(candidate)
    }
    this.#endings.add(stop)
    signal.addEventListener('abort', end)
    candidate.stand()
  }

  async isHeld(partition: number): Promise<boolean> {
    return (await this.#group.holderOf(`${namePrefix}${partition}`)) !== undefined
  }

  /** Ends all campaigns, gives up every lease, leaves the group. */
  close(): Promise<void> {
    for (const stop of [...this.#endings]) stop()
    this.#closed ??= this.#group.close()
    return this.#closed
  }
}

/** Gives up what is held: the next campaign of the same partition begins with a lease of its own. */
async function resign(candidate: Candidate): Promise<void> {
  await candidate.resign('its campaign has ended')
}
