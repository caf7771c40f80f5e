import type { Member } from './store.ts'

/** What a candidate is. */
export type Role =
  /** It may act, now. */
  | 'leader'
  /** It holds the name, and its lease was not confirmed in time: it may not act. */
  | 'suspended'
  /** It does not lead. */
  | 'follower'

/** Who leads, and what we are. */
export interface Leadership {
  readonly role: Role
  /** The token we lead under, or did before we were suspended. */
  readonly token?: bigint
  /** Who holds the name as far as the last read showed. */
  readonly leader?: Pick<Member, 'id' | 'session'>
  /** Since when we are in this role, in ms since 1970. */
  readonly sinceMs: number
  /** Why, in words. */
  readonly reason: string
}

/** Whether nothing differs that anybody is told of. */
export function sameLeadership(a: Leadership, b: Leadership): boolean {
  return a.role === b.role && a.token === b.token && a.leader?.session === b.leader?.session && a.reason === b.reason
}
