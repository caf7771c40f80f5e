/** PagerDuty's V3 webhooks. Definition: PagerDuty's "Webhooks overview" (payload) and "Verifying signatures". */
import type { Secret } from '../config/secret.ts'
import { clockToleranceMs, type Inbound, isSignature, notSigned, objectOf, type ToldBack } from './inbound.ts'

/** Signatures of one message that are looked at: two while a secret is changed. */
const maxSignatures = 8
/** Who tells back tries for so long; what is older is somebody's recording. */
const oldestMs = 24 * 3_600_000

/** @param secret of the webhook subscription */
export function pagerDutyInbound(secret: Secret): Inbound {
  return {
    showsByItself: true,
    tellsAgain: true,
    refusal: (headers, body) => {
      const given = headers['x-pagerduty-signature']
      const signatures = (typeof given === 'string' ? given : '').split(',', maxSignatures)
      return signatures.some((one) => isSignature(one, 'v1', secret, body)) ? undefined : notSigned
    },
    read: (message, nowMs) => {
      const event = objectOf(objectOf(message)['event'])
      const agent = objectOf(event['agent'])
      const command = commands.get(String(event['event_type']))
      const { id, occurred_at: occurredAt } = event
      const dedupKey = objectOf(event['data'])['incident_key']
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
