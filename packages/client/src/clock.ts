/** Where the clients' time and chance come from; handed in by tests and simulators. */
export interface ClientClock {
  /** Monotonic milliseconds. */
  monotonicMs(): number
  setTimer(delayMs: number, callback: () => void): { cancel(): void }
}

export const systemClock: ClientClock = {
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** The source of chance for the spread of reconnects. */
export interface ClientRandom {
  /** From 0 (included) to 1 (excluded). */
  next(): number
}

// eslint-disable-next-line no-restricted-properties -- this is the adapter that everyone else is handed
export const systemRandom: ClientRandom = { next: () => Math.random() }
