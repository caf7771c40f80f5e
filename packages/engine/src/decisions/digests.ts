import { boundedProvenance } from './incident.ts'
import type { PendingPage } from './page.ts'

/** What a page speaks of: an incident, a digest, or an earlier page. An empty dedup key stands for the page's own id. */
export type Subject = Pick<PendingPage, 'rule' | 'key' | 'dedupKey' | 'severity' | 'summary' | 'host' | 'service'>

/** Members that a digest names by their ids; the count tells of the others. */
export const membersNamed = 1_000
/** Members that its provenance tells of in words: 8 KiB hold some fifty. */
const membersTold = 50

/** What stands for the pages beyond a limit. */
export function overflowSubject(rule: string, why: string): Subject {
  return {
    rule: rule === '' ? 'overflow' : rule,
    key: '',
    dedupKey: '',
    severity: 'critical',
    summary: `${why}: this page stands for the rest`,
    host: '',
    service: '',
  }
}

/** What stands for pages that waited for over an hour. */
export function waitedSubject(members: readonly Readonly<PendingPage>[]): Subject {
  const [first] = members
  return {
    rule: 'digest',
    key: '',
    dedupKey: '',
    severity: members.some((page) => page.severity === 'critical') ? 'critical' : first.severity,
    summary: `${members.length} pages waited for over an hour: ${members.map((page) => page.summary).join('; ')}`,
    host: members.every((page) => page.host === first.host) ? first.host : '',
    service: members.every((page) => page.service === first.service) ? first.service : '',
  }
}

export function waitedProvenance(members: readonly Readonly<PendingPage>[]): unknown {
  return boundedProvenance({
    waited: members
      .slice(0, membersTold)
      .map(({ id, rule, key, summary }) => ({ id, rule, key, summary: summary.slice(0, 80) })),
  })
}
