/** What people did where a page arrived, told back to us: acknowledged there, resolved there. Signed by who sends it. */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { Secret } from '../config/secret.ts'

/** What somebody did to an incident at its receiver. */
export interface ToldBack {
  /** Of the message: one that comes twice acts once. */
  readonly id: string
  readonly command: 'acknowledge' | 'resolve'
  /** The incident's key there. */
  readonly dedupKey: string
  readonly who: string
}

/** The way back from a receiver. */
export interface Inbound {
  /** Whether these bytes come from it. */
  isSigned(headers: IncomingHttpHeaders, body: Uint8Array): boolean
  /** What it says; undefined for what does not concern us, what we did ourselves, and what is too old to be true. */
  read(message: unknown, nowMs: number): ToldBack | undefined
}

/** Signatures of one message that are looked at: two while a secret is changed. */
const maxSignatures = 8
/** Who tells back tries for so long; what is older is somebody's recording. */
const oldestMs = 24 * 3_600_000
/** Clocks differ. */
const clockToleranceMs = 300_000

/** PagerDuty's V3 webhooks. Definition: PagerDuty's "Webhooks overview" (payload) and "Verifying signatures". */
export function pagerDutyInbound(secret: Secret): Inbound {
  return {
    isSigned: (headers, body) => {
      const given = headers['x-pagerduty-signature']
      const signatures = (typeof given === 'string' ? given : '').split(',', maxSignatures)
      const wanted = Buffer.from(`v1=${createHmac('sha256', secret.reveal()).update(body).digest('hex')}`)
      return signatures.some((one) => {
        const signature = Buffer.from(one.trim())
        return signature.length === wanted.length && timingSafeEqual(signature, wanted)
      })
    },
    read: (message, nowMs) => {
      const event = objectIn(message, 'event')
      const agent = objectIn(event, 'agent')
      const command = commands.get(String(event['event_type']))
      const { id, occurred_at: occurredAt } = event
      const dedupKey = objectIn(event, 'data')['incident_key']
      const ageMs = nowMs - Date.parse(String(occurredAt))
      // what an integration did we did ourselves, or another one, and no person stands behind it
      if (command === undefined || agent['type'] !== 'user_reference') return undefined
      if (typeof id !== 'string' || id === '' || typeof dedupKey !== 'string' || dedupKey === '') return undefined
      if (!(ageMs <= oldestMs && ageMs >= -clockToleranceMs)) return undefined
      const { summary } = agent
      return { id, command, dedupKey, who: typeof summary === 'string' && summary !== '' ? summary : 'somebody' }
    },
  }
}

const commands: ReadonlyMap<string, ToldBack['command']> = new Map([
  ['incident.acknowledged', 'acknowledge'],
  ['incident.resolved', 'resolve'],
])

function objectIn(value: unknown, name: string): Readonly<Record<string, unknown>> {
  const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
  return typeof found === 'object' && found !== null ? (found as Record<string, unknown>) : {}
}
