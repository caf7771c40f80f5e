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
  #end: ((result: SendResult) => void) | undefined
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

  /**
   * Sends once; the transport is told to end when the window does. Never rejects: a transport that throws, or does not end when
   * told, is broken, and whether its request went out is anybody's guess.
   */
  send(transport: Transport, request: SendRequest, mayStart: () => boolean): Promise<SendResult> {
    return new Promise((resolve) => {
      this.#end = (result) => {
        this.#timer?.cancel()
        resolve(result)
      }
      this.#look()
      transport.send(request, mayStart, this.#ended.signal).then(this.#end, (error: unknown) => {
        this.#end!({ kind: 'unknown', detail: error instanceof Error ? error.message : String(error) })
      })
    })
  }

  /** Ends what is under way at once: nobody wants to know how it would have ended. */
  cancel(): void {
    this.#ended.abort()
    this.#end?.({ kind: 'unknown', detail: 'given up before its answer came' })
  }

  /** A timer counts on the monotonic clock alone, so the wall clock is looked at again and again. */
  #look(): void {
    const leftMs = sendEndMs - this.#ageMs()
    if (leftMs > 0) {
      this.#timer = this.#clock.setTimer(Math.min(leftMs, clockLookMs), () => this.#look())
      return
    }
    this.#timer = this.#clock.setTimer(transportGraceMs, () =>
      this.#end!({ kind: 'unknown', detail: 'the transport did not end when its time was over' }),
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
