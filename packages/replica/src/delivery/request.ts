import type { PendingPage } from '@ricci/engine'
import type { SendRequest } from '../ports.ts'

/** What a transport is handed for a page: the same for each attempt, so that a receiver can tell a repeat by its key. */
export function requestFor(page: Readonly<PendingPage>, possibleRepeat: boolean): SendRequest {
  return {
    receiver: page.receiver,
    idempotencyKey: page.id,
    dedupKey: page.dedupKey,
    action: page.action,
    severity: page.severity,
    summary: page.summary,
    host: page.host,
    service: page.service,
    rule: page.rule,
    decidedAtMs: page.decidedAtMs,
    provenance: page.provenance,
    ...(page.members === undefined ? {} : { members: page.members, memberCount: page.memberCount }),
    possibleRepeat,
  }
}
