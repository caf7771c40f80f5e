import type { Clock } from './clock.ts'
import { ElectionError } from './errors.ts'

/**
 * Calls something that may never answer, and gives it up after `ms`: its signal aborts, and the result is an error whether it heeds
 * that or not. An answer that comes later is nobody's.
 * @param outer gives it up earlier
 * @throws ElectionError `STORE_UNAVAILABLE` after `ms`; the outer signal's reason; whatever the call throws
 */
export function bounded<T>(
  clock: Clock,
  ms: number,
  outer: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const controller = new AbortController()
    const giveUp = (reason: unknown): void => {
      end()
      reject(reason)
      controller.abort(reason)
    }
    const onOuter = (): void => giveUp(outer!.reason)
    const timer = clock.setTimer(ms, () =>
      giveUp(new ElectionError('STORE_UNAVAILABLE', `the store gave no answer within ${Math.round(ms)} ms`, true)),
    )
    const end = (): void => {
      timer.cancel()
      outer?.removeEventListener('abort', onOuter)
    }
    if (outer?.aborted) return giveUp(outer.reason)
    outer?.addEventListener('abort', onOuter)
    // A call that throws before it gives a promise fails like any other.
    const called = async (): Promise<T> => call(controller.signal)
    called().then(
      (value) => {
        end()
        resolve(value)
      },
      (error: unknown) => {
        end()
        reject(error)
      },
    )
  })
}

/** Waits, or until the signal aborts; never rejects. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      timer.cancel()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = clock.setTimer(ms, done)
    if (signal.aborted) done()
    else signal.addEventListener('abort', done)
  })
}
