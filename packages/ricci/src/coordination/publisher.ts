import type { Clock, Json, Timer } from '@ricci/election'
import type { MemberData } from '@ricci/replica'

/** How long what is to be published waits for more: an instance that starts or stops changes dozens of partitions in a row. */
const gatherMs = 50

/** How long after a write that the store did not take the next one begins. */
const againMs = 500

/** Publishes the latest that was said: one write for many in a row, and again until the store has taken it. */
export class Publisher {
  readonly #clock: Clock
  readonly #write: (data: Json) => Promise<void>
  #latest: string | undefined
  /** What the store took last, or begins the next session with. */
  #written: string | undefined
  #timer: Timer | undefined
  #writing = false
  #stopped = false

  constructor(clock: Clock, write: (data: Json) => Promise<void>) {
    this.#clock = clock
    this.#write = write
  }

  publish(data: MemberData): void {
    this.#latest = JSON.stringify(data)
    this.#later(gatherMs)
  }

  /** What waits is written now. */
  now(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    void this.#flush()
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #later(ms: number): void {
    if (this.#stopped || this.#writing || this.#timer !== undefined || this.#latest === this.#written) return
    this.#timer = this.#clock.setTimer(ms, () => this.now())
  }

  async #flush(): Promise<void> {
    const data = this.#latest
    if (this.#writing || data === undefined || data === this.#written) return
    this.#writing = true
    let taken = true
    try {
      await this.#write(JSON.parse(data) as Json)
      this.#written = data
    } catch {
      // The group has told why.
      taken = false
    }
    this.#writing = false
    this.#later(taken ? gatherMs : againMs)
  }
}
