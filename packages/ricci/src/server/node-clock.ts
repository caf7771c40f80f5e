// Imported: the global `performance` is a getter, which cost more than reading the clock does; it is read once a record.
import { performance } from 'node:perf_hooks'
import type { Clock, Random } from '@ricci/replica'

/** The machine's clocks. `performance.now` stands still while the machine is suspended; `Date` does not. */
export const nodeClock: Clock = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  setTimer: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

/** Node's own randomness, 32 bits fine. */
export const nodeRandom: Random = {
  next: () => crypto.getRandomValues(new Uint32Array(1))[0] / 0x1_0000_0000,
}
