import { engineSemantics, type ClaimRecord } from '@ricci/engine'
import { claimMs } from './limits.ts'
import type { LogWriter } from './log-writer.ts'
import type { Clock, Lease, Random, Timer } from './ports.ts'

export interface ClaimsOptions {
  readonly instance: string
  readonly semantics?: number
  readonly writer: LogWriter
  readonly clock: Clock
  readonly random: Random
}

/** The claims that a replica appends, and how it tells its own among those it reads. */
export class Claims {
  readonly #options: ClaimsOptions
  /** The same for every claim: one that is read late is ours all the same, though another was written meanwhile. */
  readonly #life: string
  #epoch: number | undefined
  #timer: Timer | undefined

  constructor(options: ClaimsOptions) {
    this.#options = options
    this.#life = Math.floor(options.random.next() * 2 ** 48).toString(36)
  }

  /** Told when it was not read back in time; it may still be. */
  append(epoch: number, lease: Lease, onLate: () => void): void {
    const { instance, semantics = engineSemantics, writer, clock } = this.#options
    this.#epoch = epoch
    writer.write([{ kind: 'claim', epoch, instance, semantics, leaseToken: lease.token, life: this.#life }])
    this.#timer = clock.setTimer(claimMs, onLate)
  }

  isOurs(record: ClaimRecord): boolean {
    return record.life === this.#life && record.epoch === this.#epoch
  }

  /** It was read, or another was, or it is not waited for any more. */
  settle(): void {
    this.#timer?.cancel()
  }

  /** A claim that an older generation appended makes nobody an owner. */
  forget(): void {
    this.#epoch = undefined
  }
}
