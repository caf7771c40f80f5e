import type { CandidateOptions } from './campaign.ts'
import { Candidate } from './candidate.ts'
import { ElectionGroup, type GroupOptions } from './group.ts'
import type { ElectionStats } from './stats.ts'

/** Options of an election: of its group, and of its one candidate. */
export type ElectionOptions = GroupOptions & CandidateOptions

/** The one name of an election's group. */
export const soleName = 'leader'

/**
 * The election of one leader among all that name the same `name` in the same store. A candidate with a group of its own.
 *
 * @example
 * await using election = new Election({ name: 'nightly', store: consul('http://127.0.0.1:8500') })
 * await election.lead(async (term) => {
 *   await runBatch({ token: term.token, signal: term.signal })
 * })
 */
export class Election extends Candidate {
  /** The group behind it: members, what they publish, requests for a hand-over. */
  readonly group: ElectionGroup

  /** @throws ElectionError `OPTION_INVALID` */
  constructor(options: ElectionOptions) {
    const group = new ElectionGroup(options)
    super(soleName, group, options)
    this.group = group
  }

  /** Figures since it was made. */
  stats(): ElectionStats {
    return this.group.stats()
  }

  /** Resigns, waits for work as long as the grace, closes everything. Idempotent. */
  close(): Promise<void> {
    return this.group.close()
  }

  /** Closes. */
  override [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
