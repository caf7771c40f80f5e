/**
 * Riemann's `=~`: the whole text must match; `%` stands for any characters but line ends, everything else for itself. As its
 * regular expression ends in Java's `$`, one line end at the end of the text may be left over. Linear, without an expression.
 */
export function compileWildcard(pattern: string): (text: string) => boolean {
  const [first, ...rest] = pattern.split('%')
  const last = rest.pop()
  if (last === undefined) return (text) => text === first || withoutLineEnd(text) === first
  const matches = (text: string): boolean => {
    if (!text.startsWith(first)) return false
    const end = text.length - last.length
    let position = first.length
    const oneLine = !lineEnd.test(text)
    for (const part of rest) {
      const at = text.indexOf(part, position)
      if (at === -1 || !(oneLine || isOneLine(text, position, at))) return false
      position = at + part.length
    }
    // The leftmost place of each part is the best: what a later one leaves out, it left out too.
    return position <= end && text.endsWith(last) && (oneLine || isOneLine(text, position, end))
  }
  return (text) => {
    if (matches(text)) return true
    const shorter = withoutLineEnd(text)
    return shorter !== undefined && matches(shorter)
  }
}

/** What ends a line in Java: where its `.` stops and before which its `$` matches. */
const lineEnd = /[\n\r\u0085\u2028\u2029]/
const finalLineEnd = /(?:\r\n|[\n\r\u0085\u2028\u2029])$/

/** The text without the line end at its end; undefined where there is none. */
function withoutLineEnd(text: string): string | undefined {
  const at = text.search(finalLineEnd)
  return at === -1 ? undefined : text.slice(0, at)
}

function isOneLine(text: string, from: number, to: number): boolean {
  return !lineEnd.test(text.slice(from, to))
}
