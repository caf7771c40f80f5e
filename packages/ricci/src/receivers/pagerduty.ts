/** PagerDuty by its Events API v2. Definition: PagerDuty's "Events API v2 overview" (fields, limits, answers). */
import { createHash } from 'node:crypto'
import type { SendRequest } from '@ricci/replica'
import { HttpTransport } from './http.ts'
import { receiverKind } from './kind.ts'
import { pagerDutyInbound } from './pagerduty-inbound.ts'
import { headline, memberCountOf } from './text.ts'

/** Longest `dedup_key` that PagerDuty takes. */
const maxDedupKeyCharacters = 255
/** Longest `summary`; what is beyond is cut by PagerDuty, or refused. */
const maxSummaryCharacters = 1_024
/** Largest event: 512 kB; what is beyond is refused. */
const maxEventBytes = 512_000

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
export const pagerDutyKind = receiverKind({
  type: 'pagerduty',
  class: 'A',
  test: ['trigger', 'acknowledge', 'resolve'],
  settings: (fields) => ({
    routingKey: fields.secret(
      'the integration key of an Events v2 integration: `{ env: NAME }`, `{ file: PATH }` or text',
    ),
    url: fields
      .url('where events are posted to; the service region EU has another')
      .default('https://events.pagerduty.com/v2/enqueue'),
    ca: fields.authority(),
    webhookSecret: fields
      .secret('secret of a V3 webhook subscription, which tells `/hooks/NAME` here what people do there')
      .optional(),
  }),
  inbound: ({ webhookSecret }) => (webhookSecret === undefined ? undefined : pagerDutyInbound(webhookSecret)),
  transport: ({ routingKey, url, ca }, { clock }) => {
    const body = (page: SendRequest) => pagerDutyEvent(page, routingKey.reveal())
    return new HttpTransport({ url, ca, bodyLimit: maxEventBytes, body }, clock)
  },
})

const eventActions = { trigger: 'trigger', notify: 'trigger', acknowledge: 'acknowledge', resolve: 'resolve' } as const

/** A request as an Events v2 event. A `notify` triggers an incident of its own that nobody resolves but people. */
export function pagerDutyEvent(request: SendRequest, routingKey: string): Record<string, unknown> {
  const { action, host, service, rule } = request
  const event = {
    routing_key: routingKey,
    event_action: eventActions[action],
    dedup_key: dedupKey(action === 'notify' ? request.idempotencyKey : request.dedupKey),
  }
  if (event.event_action !== 'trigger') return event
  return {
    ...event,
    client: 'Ricci',
    payload: {
      summary: headline(request, maxSummaryCharacters),
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
