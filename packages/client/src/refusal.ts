/*
 * What a Ricci server words its refusals with, where who sends may do something about it. Riemann's protocol knows `ok: false` and a text, nothing more, so the
 * text says it, and this is the one place that knows how. Every other refusal is of the message itself, and final.
 */

/** Its log is full, or it is stopping: the same message may be taken later; marked, it is taken once. */
const forNow = 'not taken for now: '

/** The text of a refusal that passes. */
export function refusalForNow(why: string): string {
  return `${forNow}${why}`
}

/** Whether a reply's error says that the same message may be taken later. */
export function isRefusedForNow(error: string | undefined): boolean {
  return error?.startsWith(forNow) === true
}

/** The events may be taken in messages that are not as large. */
const tooLarge = /^too large: at most (\d+) bytes/

/** The text of a refusal for size alone. @param maxBytes what a message may have */
export function refusalAsTooLarge(maxBytes: number): string {
  return `too large: at most ${maxBytes} bytes are taken in one message; send fewer events at a time`
}

/** Bytes that a message may have, of a reply whose error says that it had more; undefined for any other. */
export function takenBytes(error: string | undefined): number | undefined {
  const [, bytes] = tooLarge.exec(error ?? '') ?? []
  return bytes === undefined ? undefined : Number(bytes)
}
