/** A case of any file of vectors, and what came of it. */
export interface Case {
  readonly id: string
  readonly about?: string
  /** Why Ricci differs on purpose; `ricci` is then what is expected, where that is settled. */
  readonly deviation?: string
  readonly ricci?: unknown
  readonly quirk?: string
}

export type Outcome =
  | { readonly status: 'passed' }
  | { readonly status: 'skipped'; readonly why: string }
  /** The differences, for people. `by` names a cause that the page of differences may list for all its cases at once. */
  | { readonly status: 'failed'; readonly differences: readonly string[]; readonly by?: string }

export const passed: Outcome = { status: 'passed' }

export function failed(...differences: string[]): Outcome & { readonly status: 'failed' } {
  return { status: 'failed', differences }
}

/** Part of a case that nothing here can run yet: an operator, a server. */
export class NotThereYet extends Error {
  override readonly name = 'NotThereYet'
}

/** Two lines when the values differ, else nothing. */
export function difference(what: string, expected: string, actual: string): string {
  return `${what}\n      expected ${expected}\n      got      ${actual}`
}
