/** Waiting with a bound, for what only asking again tells. */

/** Between two attempts: a request of a busy machine takes about as long. */
const pauseMs = 25

/** Resolves a little later. */
export function pause(ms = pauseMs): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Whether a promise has resolved before a time of `performance.now()`. */
export async function beforeDeadline(promise: Promise<unknown>, deadlineMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, deadlineMs - performance.now()), false)
  })
  const inTime = await Promise.race([promise.then(() => true), late])
  clearTimeout(timer)
  return inTime
}
