import { clockLookMs, sendBeginMs, sendEndMs, transportGraceMs } from '../limits.ts'
import type { Clock, SendRequest, SendResult, Timer, Transport } from '../ports.ts'

/** Sends a request that no record announces, in a window of its own: a test of a receiver. Never rejects. */
export function sendOnce(transport: Transport, request: SendRequest, clock: Clock): Promise<SendResult> {
  const window = new SendWindow(clock)
  return window.send(transport, request, () => window.mayBegin())
}

/**
 * The time in which an attempt may become a request and in which that has ended, counted from the append of its record on the
 * monotonic and on the wall clock; the stricter wins. The monotonic clock stands still while a machine is suspended, the wall
 * clock may be set back.
 */
export class SendWindow {
  readonly #clock: Clock
  readonly #openedMs: number
  readonly #openedWallMs: number
  readonly #ended = new AbortController()
  #giveUp: ((detail: string) => void) | undefined
  #timer: Timer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
    this.#openedMs = clock.monotonicMs()
    this.#openedWallMs = clock.wallMs()
  }

  /** Whether a send may still begin. A wall clock that was set back tells nothing any more: no. */
  mayBegin(): boolean {
    return this.#ageMs() <= sendBeginMs && this.#wallAgeMs() >= -sendBeginMs
  }

  /** Sends a page once: as {@link run}, and of what does not end well nobody knows whether it took effect. */
  send(transport: Transport, request: SendRequest, mayStart: () => boolean): Promise<SendResult> {
    return this.run(
      (signal) => transport.send(request, mayStart, signal),
      (detail): SendResult => ({ kind: 'unknown', detail }),
    )
  }

  /**
   * Does something once; it is told to end when the window does. Never rejects: what throws, or does not end when told, is broken, and
   * what became of it is anybody's guess.
   * @param broken what is given then
   */
  run<T>(request: (signal: AbortSignal) => Promise<T>, broken: (detail: string) => T): Promise<T> {
    return new Promise((resolve) => {
      const end = (result: T): void => {
        this.#timer?.cancel()
        resolve(result)
      }
      this.#giveUp = (detail) => end(broken(detail))
      this.#look()
      request(this.#ended.signal).then(end, (error: unknown) => {
        this.#giveUp!(error instanceof Error ? error.message : String(error))
      })
    })
  }

  /** Ends what is under way at once: nobody wants to know how it would have ended. */
  cancel(): void {
    this.#ended.abort()
    this.#giveUp?.('given up before its answer came')
  }

  /** A timer counts on the monotonic clock alone, so the wall clock is looked at again and again. */
  #look(): void {
    const leftMs = sendEndMs - this.#ageMs()
    if (leftMs > 0) {
      this.#timer = this.#clock.setTimer(Math.min(leftMs, clockLookMs), () => this.#look())
      return
    }
    this.#timer = this.#clock.setTimer(transportGraceMs, () =>
      this.#giveUp!('the transport did not end when its time was over'),
    )
    this.#ended.abort()
  }

  /** By whichever clock says more. */
  #ageMs(): number {
    return Math.max(this.#clock.monotonicMs() - this.#openedMs, this.#wallAgeMs())
  }

  #wallAgeMs(): number {
    return this.#clock.wallMs() - this.#openedWallMs
  }
}
