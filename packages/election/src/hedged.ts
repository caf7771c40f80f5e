import type { Clock, Timer } from './clock.ts'

/** How often something is asked, and how far apart. */
export interface Hedge {
  /** Calls at most, the first among them. */
  readonly calls: number
  /** From one call to the next, in ms. */
  readonly everyMs: number
}

/**
 * Calls again, beside what is under way, while nothing has succeeded; the first success counts, the others are given up. For calls that may take effect
 * twice, and where waiting for a lost answer would cost more than another question.
 * @param isFinal tells a failure that no other call will mend: it counts at once
 * @throws the last failure, once all have failed; the signal's reason
 */
export function hedged<T>(
  clock: Clock,
  { calls, everyMs }: Hedge,
  signal: AbortSignal,
  isFinal: (error: unknown) => boolean,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const others = new AbortController()
    let left = calls
    let underWay = 0
    let timer: Timer | undefined
    const end = (): void => {
      left = 0
      timer?.cancel()
      signal.removeEventListener('abort', onAbort)
      others.abort(signal.reason)
    }
    const onAbort = (): void => {
      end()
      reject(signal.reason)
    }
    const next = (): void => {
      left--
      underWay++
      if (left > 0) timer = clock.setTimer(everyMs, next)
      call(others.signal).then(
        (value) => {
          end()
          resolve(value)
        },
        (error: unknown) => {
          underWay--
          if (!isFinal(error) && (left > 0 || underWay > 0)) return
          end()
          reject(error)
        },
      )
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort)
    next()
  })
}
