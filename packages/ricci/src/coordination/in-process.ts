/**
 * Leases inside one process: the daemon's single instance holds them all, and several instances in one process (tests, a pair)
 * stand in line.
 *
 * A lease goes to the candidate of the best rank, of equal ones to the one that came first. Who has it keeps it until its campaign
 * ends, whoever else comes: a live owner is not disturbed.
 */
import type { CoordinationPort, Lease } from '@ricci/replica'

interface Campaign {
  readonly rank: number
  readonly onChange: (lease: Lease | undefined) => void
}

/** The store that the instances of a process share. */
export class LeaseTable {
  /** By partition: who holds the lease (first) and who waits. */
  private readonly lines = new Map<number, Campaign[]>()
  private tenures = 0

  enter(partition: number, campaign: Campaign): void {
    const line = this.lines.get(partition) ?? []
    this.lines.set(partition, line)
    // The holder stays first; the others stand by rank.
    let place = line.length
    while (place > 1 && line[place - 1].rank > campaign.rank) place--
    line.splice(place, 0, campaign)
    if (line.length === 1) this.grant(partition, campaign)
  }

  leave(partition: number, campaign: Campaign): void {
    const line = this.lines.get(partition) ?? []
    const place = line.indexOf(campaign)
    if (place < 0) return
    line.splice(place, 1)
    if (place > 0) return
    if (line.length > 0) this.grant(partition, line[0])
    else this.lines.delete(partition)
  }

  isHeld(partition: number): boolean {
    return this.lines.has(partition)
  }

  private grant(partition: number, campaign: Campaign): void {
    const token = String(++this.tenures)
    // Later, so that nobody is told while still asking; unless the campaign has ended until then.
    queueMicrotask(() => {
      if (this.lines.get(partition)?.[0] === campaign) campaign.onChange({ partition, token })
    })
  }
}

/** Coordination for the instances of one process. */
export class InProcessCoordination implements CoordinationPort {
  private readonly endings = new Set<() => void>()
  private closed = false

  /**
   * @param table shared by the instances of one process; its own where there is one instance
   * @param rank the lower one is served first
   */
  constructor(
    private readonly table = new LeaseTable(),
    private readonly rank = 0,
  ) {}

  campaign(partition: number, onChange: (lease: Lease | undefined) => void, signal: AbortSignal): void {
    if (signal.aborted || this.closed) return
    const campaign = { rank: this.rank, onChange }
    const end = () => {
      this.endings.delete(end)
      signal.removeEventListener('abort', end)
      this.table.leave(partition, campaign)
    }
    this.endings.add(end)
    signal.addEventListener('abort', end)
    this.table.enter(partition, campaign)
  }

  async isHeld(partition: number): Promise<boolean> {
    return this.table.isHeld(partition)
  }

  /** Ends all campaigns of this instance: the next in line are served. */
  async close(): Promise<void> {
    this.closed = true
    for (const end of [...this.endings]) end()
  }
}
