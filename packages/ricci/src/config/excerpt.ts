/** A place in a text that a person wrote; lines and columns count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
  /** How many characters to underline; at least 1. */
  readonly length: number
  /** The whole line. */
  readonly lineText: string
}

/** A line longer than this is cut around the caret, so that it stays on a terminal's row. */
const maxLineCharacters = 100

/**
 * Says what is wrong at a place, the way compilers do: `file:line:column: message`, the line, and a caret under the text meant.
 *
 *     ricci.yaml:3:1: there is no key "recievers"; did you mean "receivers"?
 *       3 | recievers:
 *         | ^^^^^^^^^
 */
export function atPlace(place: Place, message: string): string {
  const from = Math.max(0, place.column - 1 - Math.floor(maxLineCharacters / 2))
  // somebody may have named a file that is no text: no control character of it reaches the terminal
  const shown = place.lineText.slice(from, from + maxLineCharacters).replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ')
  const column = place.column - 1 - from
  const carets = '^'.repeat(Math.max(1, Math.min(place.length, shown.length - column)))
  const number = String(place.line)
  return [
    `${place.file}:${place.line}:${place.column}: ${message}`,
    `  ${number} | ${shown}`,
    `  ${' '.repeat(number.length)} | ${' '.repeat(column)}${carets}`,
  ].join('\n')
}
