/**
 * How a Ricci server words that it could not take a message for now: its log is full, or it is stopping. Riemann's protocol knows
 * `ok: false` and a text, nothing more, so the text says it, and this is the one place that knows how. The same message may be
 * taken later; marked, it is taken once. Every other refusal is of the message itself, and final.
 */
const forNow = 'not taken for now: '

/** The text of a refusal that passes. */
export function refusalForNow(why: string): string {
  return `${forNow}${why}`
}

/** Whether a reply's error says that the same message may be taken later. */
export function isRefusedForNow(error: string | undefined): boolean {
  return error?.startsWith(forNow) === true
}
