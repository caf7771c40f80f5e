/** What the oracle can find, each a promise of DESIGN section 13 that was broken. */
export type VerdictKind =
  | 'page lost'
  | 'page doubled'
  | 'page never decided'
  | 'sent without an attempt'
  | 'sent too soon'
  | 'sent too late'
  | 'marked without cause'
  | 'outcome untrue'
  | 'incident left open'
  | 'ack lost'
  | 'owned time differs'
  | 'silence missed'
  | 'false alarm'
  | 'spell missed'
  | 'spell invented'
  | 'limit exceeded'
  | 'alarm missed'
  | 'alarm without cause'
  | 'skip invented'
  | 'two owners'
  | 'hashes differ'
  | 'replica failed'
  | 'not live'
  | 'nothing exercised'

export interface Verdict {
  readonly kind: VerdictKind
  readonly text: string
}
