import { createHmac } from 'node:crypto'
import type { Clock, SendRequest } from '@ricci/replica'
import { z } from 'zod'
import { fail, type Fields } from '../config/fields.ts'
import type { Secret } from '../config/secret.ts'
import { HttpTransport } from './http.ts'
import { receiverKind } from './kind.ts'
import { templateOf, TemplateError, type Template } from './template.ts'
import { headline, memberCountOf } from './text.ts'

/** Headers with which nothing would be sent: the connection makes its own. */
const ownHeaders = ['connection', 'content-length', 'expect', 'keep-alive', 'transfer-encoding', 'upgrade']

/** nginx, which stands before many a receiver, takes a megabyte unless told otherwise: half of that. */
const bodyLimit = 512_000

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

const bodyFields = {
  version: true,
  id: true,
  action: true,
  dedupKey: true,
  severity: true,
  summary: true,
  host: true,
  service: true,
  rule: true,
  decidedAt: true,
  possibleRepeat: true,
  members: true,
  memberCount: true,
  provenance: true,
} satisfies Record<keyof WebhookBody, true>

/** Posts pages as JSON, with the decision's id as `Idempotency-Key`, signed where there is something to sign with. */
export const webhookKind = receiverKind({
  type: 'webhook',
  class: (settings) => settings.class,
  test: ({ acknowledgements }) => ['trigger', ...(acknowledgements ? (['acknowledge'] as const) : []), 'resolve'],
  settings: (fields: Fields) => ({
    url: fields.secretUrl('where pages are posted to'),
    headers: z
      .record(
        z
          .string()
          .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/, { error: 'the name of a header holds letters, digits and -' })
          .refine((name) => !ownHeaders.includes(name.toLowerCase()), {
            error: 'this header belongs to the connection; leave it out',
          }),
        fields.header('value of a header'),
      )
      .default({})
      .describe('headers sent with each request; values are secrets: `{ env: NAME }`, `{ file: PATH }` or text'),
    body: z
      .unknown()
      .describe(
        'the body, where another than that of docs/receivers.md is wanted: JSON whose texts may hold `{{summary}}` and other fields; a text is sent as text',
      )
      .optional()
      .transform((value, context): { readonly template: Template; readonly isText: boolean } | undefined => {
        if (value === undefined) return undefined
        const isText = typeof value === 'string'
        if (isText && /^\s*(\{\s*"|\[)/.test(value)) {
          return fail(
            context,
            'this is JSON in a text, which a quote in an event would break; write it as keys and lists',
          )
        }
        try {
          return { template: templateOf(value, Object.keys(bodyFields)), isText }
        } catch (error) {
          if (error instanceof TemplateError) return fail(context, error.message)
          throw error
        }
      }),
    signingSecret: fields
      .secret(
        'signs each request, as Standard Webhooks has it (`webhook-signature`): `{ env: NAME }`, `{ file: PATH }` or text; base64 after `whsec_`, or the bytes of the text',
      )
      .refine((value) => keyOf(value).length >= leastKeyBytes, {
        error: `a secret of at least ${leastKeyBytes} bytes is needed here, e.g. of: openssl rand -hex 32`,
      })
      .optional(),
    acknowledgements: z
      .boolean()
      .default(false)
      .describe('also posts, with the action `acknowledge`, that somebody has taken on what was posted before'),
    ca: fields.authority(),
    class: z
      .enum(['A', 'C'])
      .default('A')
      .describe('`A` when the receiver honours Idempotency-Key or dedupKey, `C` when it is blind'),
  }),
  transport: ({ url, headers, body, signingSecret, ca }, { clock }) => {
    const own = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value.reveal()]))
    const template = body?.template
    return new HttpTransport(
      {
        url: url.reveal(),
        ca,
        bodyLimit,
        body: template === undefined ? webhookBody : (page) => template({ ...webhookBody(page) }),
        // in the form that its receiver expects
        plainBody: body?.isText === true ? plainLine : webhookBody,
        headers: (page, text) => ({
          ...(body?.isText === true && { 'content-type': 'text/plain; charset=utf-8' }),
          ...own,
          'idempotency-key': headerText(page.idempotencyKey),
          ...(signingSecret !== undefined && signatureOf(page, text, signingSecret, clock)),
        }),
      },
      clock,
    )
  },
})

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

function plainLine(page: SendRequest): string {
  return `${page.action} ${page.severity}: ${headline(page)} (${page.idempotencyKey})`
}

/** Shorter ones can be tried out. */
const leastKeyBytes = 16

/** Definition: standardwebhooks.com, symmetric signatures. The time is part of what is signed: an old request is no new one. */
function signatureOf(page: SendRequest, body: string, secret: Secret, clock: Clock): Record<string, string> {
  const id = headerText(page.idempotencyKey)
  const timestamp = String(Math.floor(clock.wallMs() / 1000))
  const signature = createHmac('sha256', keyOf(secret)).update(`${id}.${timestamp}.${body}`).digest('base64')
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': `v1,${signature}` }
}

function keyOf(secret: Secret): Buffer {
  const text = secret.reveal()
  return text.startsWith('whsec_') ? Buffer.from(text.slice('whsec_'.length), 'base64') : Buffer.from(text)
}

/** A key as a header can have it: an instance's name stands in those of alarms about the log. */
function headerText(text: string): string {
  return text.replaceAll(/[^\x21-\x7e]/gu, encodeURIComponent)
}
