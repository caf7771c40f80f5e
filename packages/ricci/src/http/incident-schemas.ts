/** What is sent to the routes of incidents, drills and hooks, and what they answer. */
import { maxCommanded } from '../incidents/incident-commands.ts'
import { listedKinds } from '../peers/protocol.ts'
import { text, number, integer, flag, moment, anything, object, list, failure, answers } from './schema-parts.ts'

/** Incidents and pages of one answer: with the longest provenance, which is seldom, the answer ends earlier. */
const maxIncidents = 1_000
const usualIncidents = 200
/** Longest name of an incident: the key of a user's own, as receivers have it. */
const maxRefLength = 2_000
/** Words that are looked for in all of up to 100,000 incidents. */
export const maxWords = 10
const maxWordLength = 200
/** A month: what is to be quiet for longer should not be an incident. */
export const longestMs = 30 * 86_400_000

const promise = object({ who: text, from: text, why: text, atMs: moment, untilMs: moment })
const subject = {
  ...{ id: text, rule: text, key: text, dedupKey: text, severity: text, summary: text, host: text, service: text },
  provenance: anything,
}
const delivery = object({ receiver: text, trigger: text }, { result: text, mayBeOpen: flag })
const incident = object(
  {
    ...{ ...subject, openedAtMs: moment, openedOffset: integer, deliveries: list(delivery) },
    ...{ unattendedSinceMs: number, escalated: integer },
  },
  {
    acknowledged: promise,
    snoozed: promise,
    escalate: list(object({ afterMs: number, to: text })),
    hosts: list(text),
    members: list(object({ key: text, host: text, bad: flag })),
    ...{ membersLost: flag, membersBad: integer },
    closed: object({ atMs: moment, offset: integer, reason: text, provenance: anything }),
  },
)
const attempt = object({ epoch: integer, n: integer, offset: integer }, { result: text })
const page = object(
  {
    ...{ ...subject, action: text, receiver: text, decidedAtMs: moment, decidedAtOwnedMs: number },
    ...{ attempts: list(attempt), retryAtMs: moment },
  },
  {
    ...{ incident: text, trigger: text, after: text, repair: flag, mayBeOpen: flag },
    ...{ members: list(text), memberCount: integer },
  },
)

export const incidents = answers(
  'incidents, open ones first, and pages that are not settled',
  object(
    { incidents: object({ open: list(incident), closed: list(incident) }), pages: list(page) },
    { cursor: text, missing: list(anything) },
  ),
  {
    querystring: {
      type: 'object',
      properties: {
        cursor: { type: 'string', minLength: 1, maxLength: 100 },
        limit: { type: 'integer', minimum: 1, maximum: maxIncidents, default: usualIncidents },
        kind: { type: 'string', enum: listedKinds },
        incident: { type: 'string', minLength: 1, maxLength: maxRefLength },
        rule: { type: 'string', maxLength: maxRefLength },
        host: { type: 'string', maxLength: maxRefLength },
        severity: { type: 'string', maxLength: maxWordLength },
        words: { type: 'string', maxLength: maxWordLength * maxWords },
        brief: { type: 'boolean' },
      },
    },
  },
)

/** It stands in the record, and in pages. */
const why = {
  type: 'string',
  maxLength: 1_000,
  description: 'for the record, and for who looks into it later',
} as const

const commandId = { type: 'string', pattern: '^[\\w.:-]{1,100}$' } as const
const actedOn = {
  ...{ id: text, rule: text, key: text, host: text, service: text, severity: text, summary: text },
  ...{ openedAtMs: moment, shortId: text },
}
const commanded = object({
  id: text,
  results: list(object({ ref: text, did: text }, { error: text, incident: object(actedOn) })),
})

export const incidentCommands = {
  ...answers('does something to incidents, and says what it did to each', commanded, {
    body: {
      type: 'object',
      required: ['command', 'incidents'],
      additionalProperties: false,
      properties: {
        command: { type: 'string', enum: ['acknowledge', 'snooze', 'resolve', 'redrive'] },
        id: commandId,
        incidents: {
          type: 'array',
          minItems: 1,
          maxItems: maxCommanded,
          items: { type: 'string', minLength: 1, maxLength: maxRefLength },
        },
        why,
        forMs: { type: 'integer', minimum: 1, maximum: longestMs },
        untilMs: { type: 'integer', minimum: 1 },
      },
    },
  }),
  response: {
    200: { description: 'done', ...commanded },
    202: { description: 'taken; some are not applied yet', ...commanded },
    default: failure,
  },
}

export const drill = answers(
  'sends a page marked as a drill through the whole path, and says when each hop was reached',
  object(
    { id: text, to: text, hops: list(object({ hop: text, atMs: number })) },
    { page: text, result: text, detail: text },
  ),
  {
    body: {
      type: 'object',
      additionalProperties: false,
      properties: { to: { type: 'string', minLength: 1, maxLength: 100 }, why, id: commandId },
    },
  },
)

export const hook = answers('takes what people did at a receiver, signed by it', object({ did: text }), {
  params: { type: 'object', required: ['receiver'], properties: { receiver: text } },
})
