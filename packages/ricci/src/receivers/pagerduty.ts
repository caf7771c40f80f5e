/** PagerDuty by its Events API v2. Definition: PagerDuty's "Events API v2 overview" (fields, limits, answers). */
import { createHash } from 'node:crypto'
import type { Clock, SendRequest, SendResult, Transport } from '@ricci/replica'
import type { Secret } from '../config/secret.ts'
import { post } from './request.ts'
import { headline, memberCountOf } from './text.ts'

export interface PagerDutySettings {
  readonly routingKey: Secret
  readonly url: string
}

/** Longest `dedup_key` that PagerDuty takes. */
const maxDedupKeyCharacters = 255
/** Longest `summary`; what is beyond is cut by PagerDuty, or refused. */
const maxSummaryCharacters = 1_024

/** What PagerDuty calls a severity, by the state that Ricci's events have. What is not here is `error`. */
const severities: ReadonlyMap<string, string> = new Map([
  ['critical', 'critical'],
  ['expired', 'critical'],
  ['error', 'error'],
  ['warning', 'warning'],
  ['ok', 'info'],
  ['info', 'info'],
])

/** Pages as PagerDuty's alerts: one open incident per `dedup_key`, so a repeat changes nothing (class A). */
export class PagerDutyTransport implements Transport {
  constructor(
    private readonly settings: PagerDutySettings,
    private readonly clock: Clock,
  ) {}

  send(request: SendRequest, mayStart: () => boolean, signal: AbortSignal): Promise<SendResult> {
    const body = pagerDutyEvent(request, this.settings.routingKey.reveal())
    return post({ url: this.settings.url, headers: {}, body }, this.clock, mayStart, signal)
  }
}

/** A request as an Events v2 event. A `notify` triggers an incident of its own that nobody resolves but people. */
export function pagerDutyEvent(request: SendRequest, routingKey: string): Record<string, unknown> {
  const { action, host, service, rule } = request
  const event = {
    routing_key: routingKey,
    event_action: action === 'resolve' ? 'resolve' : 'trigger',
    dedup_key: dedupKey(action === 'notify' ? request.idempotencyKey : request.dedupKey),
  }
  if (action === 'resolve') return event
  return {
    ...event,
    client: 'Ricci',
    payload: {
      summary: truncated(headline(request), maxSummaryCharacters),
      // required, and never blank
      source: host.trim() === '' ? 'ricci' : host,
      severity: severities.get(request.severity) ?? 'error',
      timestamp: new Date(request.decidedAtMs).toISOString(),
      ...(service === '' ? {} : { component: service }),
      class: rule,
      custom_details: {
        state: request.severity,
        decision: request.idempotencyKey,
        ...(request.members === undefined ? {} : { members: request.members, memberCount: memberCountOf(request) }),
        provenance: request.provenance ?? null,
      },
    },
  }
}

/** A key as it is or, when PagerDuty would not take it, its hash: the same for the same key. */
function dedupKey(key: string): string {
  return key.length <= maxDedupKeyCharacters ? key : createHash('sha256').update(key).digest('hex')
}

function truncated(text: string, characters: number): string {
  if (text.length <= characters) return text
  // not between the two halves of a character
  return `${text.slice(0, characters - 1).replace(/[\ud800-\udbff]$/, '')}…`
}
