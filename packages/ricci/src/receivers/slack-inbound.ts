/**
 * Buttons under Slack's messages, and who pressed them. Definition: Slack's "Verifying requests from Slack", "Handling user interaction", "block_actions
 * payload", "Button element".
 */
import type { Secret } from '../config/secret.ts'
import { clockToleranceMs, type Inbound, isSignature, notSigned, objectOf, type ToldBack } from './inbound.ts'
import { cut } from './text.ts'

/** Longest value that a button carries. */
const maxValueCharacters = 2_000
/** Of a person's name: behind it there is to be room for the id, which is never another's. */
const maxNameCharacters = 60

const commands: ReadonlyMap<string, ToldBack['command']> = new Map([
  ['ricci_acknowledge', 'acknowledge'],
  ['ricci_resolve', 'resolve'],
])

const plain = (text: string): object => ({ type: 'plain_text', text })

/** The buttons of an incident's message, each with the incident's key. */
export function slackButtons(dedupKey: string): object {
  return {
    type: 'actions',
    elements: [
      { type: 'button', action_id: 'ricci_acknowledge', text: plain('Acknowledge'), style: 'primary', value: dedupKey },
      {
        type: 'button',
        action_id: 'ricci_resolve',
        text: plain('Resolve'),
        value: dedupKey,
        confirm: {
          title: plain('Resolve it?'),
          text: plain('It is over by your word, wherever it was told. Should it still be bad, it opens again.'),
          confirm: plain('Resolve'),
          deny: plain('Leave it open'),
        },
      },
    ],
  }
}

/** @param secret the app's signing secret */
export function slackInbound(secret: Secret): Inbound {
  return {
    // the message is changed by whoever owns the incident
    showsByItself: false,
    tellsAgain: false,
    refusal: (headers, body, nowMs) => {
      const { 'x-slack-signature': signature, 'x-slack-request-timestamp': timestamp } = headers
      if (typeof signature !== 'string' || typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp))
        return notSigned
      if (!isSignature(signature, 'v0', secret, `v0:${timestamp}:`, body)) return notSigned
      const ageMs = nowMs - Number(timestamp) * 1_000
      if (Math.abs(ageMs) <= clockToleranceMs) return undefined
      const seconds = Math.round(Math.abs(ageMs) / 1_000)
      return `The message is signed, and is of ${seconds} s ${ageMs > 0 ? 'ago' : 'to come'}; more than ${clockToleranceMs / 1_000} s are not believed. Is this machine's clock right?`
    },
    read: (message) => {
      const { type, actions, user } = payloadOf(message)
      if (type !== 'block_actions') return undefined
      const { action_id: actionId, value, action_ts: at } = objectOf(objectOf(actions)[0])
      const { id, username, name = username } = objectOf(user)
      const command = commands.get(String(actionId))
      if (command === undefined || typeof value !== 'string' || value === '') return undefined
      if (value.length > maxValueCharacters) return undefined
      if (typeof id !== 'string' || !/^[A-Z0-9]{2,30}$/.test(id)) return undefined
      if (typeof at !== 'string' || !/^\d{1,15}\.\d{1,10}$/.test(at)) return undefined
      const isNamed = typeof name === 'string' && name.trim() !== ''
      return {
        id: `${id}/${at}`,
        command,
        dedupKey: value,
        who: isNamed ? `${cut(name, maxNameCharacters)} (${id})` : id,
      }
    },
  }
}

/** Slack sends a form whose one field is JSON. */
function payloadOf(message: unknown): Readonly<Record<string, unknown>> {
  try {
    return objectOf(JSON.parse(String(objectOf(message)['payload'])))
  } catch {
    return {}
  }
}
