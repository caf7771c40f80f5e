import type { Signal, Surroundings } from './surroundings.ts'

/** Under npm one Ctrl-C arrives twice: only after this does a second one mean "now". */
const impatientAfterMs = 1_000

/** Exit code of a process that an interrupt ended. */
const interrupted = 130

export interface Stopped {
  /** Aborts at the first of the signals. */
  readonly signal: AbortSignal
  /** Resolves then. */
  readonly promise: Promise<void>
  dispose(): void
}

/** Waits for one of the signals to stop. A second one, a second later or more, ends the process at once. */
export function untilStopped(
  { signals }: Surroundings,
  names: readonly Signal[] = ['SIGINT', 'SIGTERM', 'SIGHUP'],
): Stopped {
  const controller = new AbortController()
  let firstMs = 0
  let resolve: () => void
  const promise = new Promise<void>((done) => (resolve = done))
  const onSignal = (): void => {
    const nowMs = performance.now()
    if (!controller.signal.aborted) {
      firstMs = nowMs
      controller.abort()
      resolve()
    } else if (nowMs - firstMs > impatientAfterMs) signals.exit?.(interrupted)
  }
  for (const name of names) signals.on(name, onSignal)
  return {
    signal: controller.signal,
    promise,
    dispose: () => {
      for (const name of names) signals.off(name, onSignal)
    },
  }
}
