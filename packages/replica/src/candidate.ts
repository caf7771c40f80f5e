import { claimMs } from './limits.ts'
import type { Clock, CoordinationPort, Lease, LogPort } from './ports.ts'
import { atMost } from './timers.ts'

export interface CandidateOptions {
  readonly partition: number
  readonly coordination: CoordinationPort
  readonly log: LogPort
  readonly clock: Clock
  /** Whether a claim would be in order now, lease aside. */
  readonly mayClaim: () => boolean
  /** Offset of the last record applied. */
  readonly appliedOffset: () => number
  /** The time has come: the lease is held and all that the log held when that was found is applied. */
  readonly claim: (lease: Lease) => void
  readonly onLease: (lease: Lease | undefined) => void
}

/**
 * A replica's way to a claim: campaigns for the lease, and once it holds it finds out how far the log goes and waits until all of
 * that is applied. Only then is the highest epoch known, and only then can it act as soon as it owns.
 */
export class Candidate {
  readonly #options: CandidateOptions
  #campaign: AbortController | undefined
  #lease: Lease | undefined
  #used = false
  #looking = false
  #claimFrom: number | undefined

  constructor(options: CandidateOptions) {
    this.#options = options
  }

  get lease(): Lease | undefined {
    return this.#lease
  }

  /** This lease was used and did not keep us owner, or did not make us one: another holds the partition by the log. */
  get leaseUsed(): boolean {
    return this.#used
  }

  use(): void {
    this.#used = true
  }

  begin(): void {
    if (this.#campaign !== undefined) return
    const campaign = new AbortController()
    this.#campaign = campaign
    const onChange = (lease: Lease | undefined): void => {
      if (this.#campaign === campaign) this.#changed(lease)
    }
    this.#options.coordination.campaign(this.#options.partition, onChange, campaign.signal)
  }

  /** Releases the lease, if it is held. Idempotent. */
  end(): void {
    if (this.#campaign === undefined) return
    this.#campaign.abort()
    this.#campaign = undefined
    this.#changed(undefined)
  }

  /** What was found out about the log's end says nothing about a new host. */
  reset(): void {
    this.#claimFrom = undefined
  }

  /** To be called whenever something may have changed; does nothing where nothing is to be done. */
  async consider(): Promise<void> {
    if (!this.#ready() || this.#looking || this.#claimFrom !== undefined) return
    this.#looking = true
    const end = await this.#endOfLog()
    this.#looking = false
    if (end === undefined || !this.#ready()) return
    this.#claimFrom = end - 1
    this.applied(this.#options.appliedOffset())
  }

  /** Records up to this offset are applied. */
  applied(offset: number): void {
    if (this.#claimFrom === undefined || offset < this.#claimFrom) return
    this.#claimFrom = undefined
    if (this.#ready()) this.#options.claim(this.#lease!)
  }

  #ready(): boolean {
    return this.#lease !== undefined && this.#options.mayClaim()
  }

  #changed(lease: Lease | undefined): void {
    this.#lease = lease
    this.#used = false
    this.#claimFrom = undefined
    this.#options.onLease(lease)
    void this.consider()
  }

  /** Undefined when the log does not say within two seconds: whoever watches asks again. */
  async #endOfLog(): Promise<number | undefined> {
    const { log, partition, clock } = this.#options
    return atMost(clock, claimMs, log.endOf(partition)).catch(() => undefined)
  }
}
