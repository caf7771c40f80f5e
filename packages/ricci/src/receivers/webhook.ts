import type { Clock, ReceiverClass, SendRequest, SendResult, Transport } from '@ricci/replica'
import type { Secret } from '../config/secret.ts'
import { post } from './request.ts'
import { headline, memberCountOf } from './text.ts'

export interface WebhookSettings {
  readonly url: string
  readonly headers: Readonly<Record<string, Secret>>
  readonly class: ReceiverClass
}

/** The JSON body; `docs/receivers.md` describes it for who writes the other side. */
export interface WebhookBody {
  readonly version: 1
  readonly id: string
  readonly action: SendRequest['action']
  readonly dedupKey: string
  readonly severity: string
  readonly summary: string
  readonly host: string
  readonly service: string
  readonly rule: string
  /** ISO 8601, UTC. */
  readonly decidedAt: string
  readonly possibleRepeat: boolean
  readonly members: readonly string[]
  readonly memberCount: number
  readonly provenance: unknown
}

/** Posts pages as JSON, with the decision's id as `Idempotency-Key`. */
export class WebhookTransport implements Transport {
  constructor(
    private readonly settings: WebhookSettings,
    private readonly clock: Clock,
  ) {}

  send(request: SendRequest, mayStart: () => boolean, signal: AbortSignal): Promise<SendResult> {
    const own = Object.entries(this.settings.headers).map(([name, value]) => [name.toLowerCase(), value.reveal()])
    const headers = { ...Object.fromEntries(own), 'idempotency-key': request.idempotencyKey }
    const { url } = this.settings
    return post({ url, headers, body: webhookBody(request) }, this.clock, mayStart, signal)
  }
}

export function webhookBody(request: SendRequest): WebhookBody {
  return {
    version: 1,
    id: request.idempotencyKey,
    action: request.action,
    dedupKey: request.dedupKey,
    severity: request.severity,
    summary: headline(request),
    host: request.host,
    service: request.service,
    rule: request.rule,
    decidedAt: new Date(request.decidedAtMs).toISOString(),
    possibleRepeat: request.possibleRepeat,
    members: request.members ?? [],
    memberCount: memberCountOf(request),
    provenance: request.provenance ?? null,
  }
}
