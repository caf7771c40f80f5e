import { ReplicaError, type Clock } from '@ricci/replica'

/** Between two attempts. */
const retryMs = 1_000

/** How brokers are waited for. */
export interface Waiting {
  readonly clock: Clock
  /** Nobody waits any more. */
  readonly signal: AbortSignal
  /** Told why they are of no use, as often as that changes. */
  readonly tell: (why: string) => void
}

/**
 * Gives what an attempt gives, as soon as brokers can be used, however long that takes.
 * @throws what is not mended by waiting; the signal's reason
 */
export async function untilThere<T>(attempt: () => Promise<T>, { clock, signal, tell }: Waiting): Promise<T> {
  for (let told = ''; ;) {
    try {
      return await attempt()
    } catch (error) {
      // ended meanwhile, the attempt may have failed for that
      signal.throwIfAborted()
      if (!(error instanceof ReplicaError) || !error.retriable) throw error
      if (error.message !== told) tell(error.message)
      told = error.message
    }
    await new Promise<void>((resolve) => {
      const end = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = clock.setTimer(retryMs, end)
      signal.addEventListener('abort', end)
    })
    signal.throwIfAborted()
  }
}
