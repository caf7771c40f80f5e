import { EngineError } from '../errors.ts'

/** What kind of mistake: the grammar, a number's or string's inside, a regular expression, or one we refuse to run. */
export type QueryFault = 'syntax' | 'number' | 'text' | 'regex' | 'regex-unsupported'

/**
 * A query that cannot be used. The message shows the line with a caret under the place and says what to do; `code` is
 * `QUERY_REGEX` for regular expressions, else `QUERY_SYNTAX`.
 */
export class QueryError extends EngineError {
  constructor(
    readonly fault: QueryFault,
    /** One sentence, without the excerpt. */
    readonly problem: string,
    text: string,
    /** Where in the text, in UTF-16 units from 0. */
    readonly position: number,
  ) {
    const code = fault === 'regex' || fault === 'regex-unsupported' ? 'QUERY_REGEX' : 'QUERY_SYNTAX'
    super(code, `query: ${problem}\n${excerpt(text, position)}`)
  }
}

/** Characters shown around the place: enough to recognise it, few enough for one line of a log. */
const excerptReach = 60

/** The line that holds the position, and a caret below it; long lines are cut. */
function excerpt(text: string, position: number): string {
  const lineStart = text.lastIndexOf('\n', position - 1) + 1
  const lineEnd = text.indexOf('\n', position) === -1 ? text.length : text.indexOf('\n', position)
  const from = Math.max(lineStart, position - excerptReach)
  const to = Math.min(lineEnd, position + excerptReach)
  const head = from > lineStart ? '… ' : ''
  const tail = to < lineEnd ? ' …' : ''
  const before = head + text.slice(from, position)
  // The caret must stand below its character: what takes no or another width in a terminal becomes one blank each.
  const shown = (head + text.slice(from, to) + tail).replace(/[\t\r]/g, ' ')
  const line = text.slice(0, lineStart).split('\n').length
  return `  ${line} | ${shown}\n  ${' '.repeat(String(line).length)} | ${' '.repeat([...before].length)}^`
}
