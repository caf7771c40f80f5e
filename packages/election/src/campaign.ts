/** How a candidate stands, and what it tells. */
import type { Ablation } from './candidacy.ts'
import type { ElectionError } from './errors.ts'
import type { Leadership } from './leadership.ts'
import type { Member } from './store.ts'
import type { Term } from './term.ts'

/** A candidate's events. Trouble with the store is a warning, never an error that ends a process. */
export interface CandidateEvents {
  /** A term has begun, under a new token. */
  elected: Term
  /** A term has begun under the token of the one before, which was suspended. */
  resumed: Term
  /** The lease was not confirmed in time: we may not act, and keep the name as long as the store lets us. */
  suspended: ElectionError
  /** The name was lost. */
  deposed: ElectionError
  /** The name is being given up: by ourselves. */
  resigned: ElectionError
  /** Somebody else holds the name, or nobody. */
  leader: Pick<Member, 'id' | 'session'> | undefined
  /** Any change of what we are or who leads. */
  state: Leadership
  /** Trouble of the group's that people should know of; nothing ends because of it. */
  warning: ElectionError
}

/** How a candidate stands. */
export interface CandidateOptions {
  /** How long it leaves a free name to others, in ms: 0 for the first in preference, more for those after it. Default 0. */
  readonly holdBackMs?: number
}

/** Options of a campaign. */
export interface CampaignOptions {
  /** Ends it: leadership is resigned, the call rejects with the signal's reason. */
  readonly signal?: AbortSignal
}

/** @internal What a group's options say for all its candidates. */
export interface CandidateSettings {
  readonly fenced: boolean
  readonly graceMs: number
  readonly minToken: bigint
  readonly journalKeepMs: number
  readonly without?: Ablation
}
