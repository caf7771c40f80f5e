/** The table of cases in which Ricci differs from what was recorded: `docs/riemann.md` is the only place that lists them. */

export interface KnownDifference {
  /** An id, `*` standing for any characters. */
  readonly pattern: string
  readonly why: string
}

/** Where the page stands in the repository. */
export const differencesPage = 'docs/riemann.md'

/** Reads the rows whose first cell holds ids of cases in backquotes, of every table of the page. */
export function readDifferences(markdown: string): KnownDifference[] {
  return markdown.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim())
    if (cells.length < 4 || cells[0] !== '') return []
    const patterns = [...cells[1].matchAll(/`([a-zA-Z*]+\/[^`]+)`/g)].map((match) => match[1])
    return patterns.map((pattern) => ({ pattern, why: cells[2] }))
  })
}

/** The line that lists a case, if one does. */
export function differenceOf(id: string, known: readonly KnownDifference[]): KnownDifference | undefined {
  return known.find(({ pattern }) => matches(id, pattern))
}

function matches(id: string, pattern: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`).test(id)
}
