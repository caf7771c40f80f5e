/** What is sent to each route and what it answers, as JSON Schema. What is sent is checked by these; the OpenAPI document is made of them, and tests hold answers to it. */
import { roles } from '../access/role.ts'
import { maxWhyLength, tokenNamePattern } from '../access/token.ts'
import { maxCommanded } from '../incidents/incident-commands.ts'
import { listedKinds } from '../peers/protocol.ts'
import { maxCursorLength } from '../peers/query-cursor.ts'
import { maxTokenLength } from './places.ts'

const text = { type: 'string' } as const
const number = { type: 'number' } as const
const integer = { type: 'integer' } as const
const flag = { type: 'boolean' } as const
/** Milliseconds since 1970. */
const moment = { type: 'number', description: 'milliseconds since 1970' } as const
/** Whatever JSON holds. */
const anything = {} as const

type Properties = Readonly<Record<string, object>>

const object = (properties: Properties, optional: Properties = {}) => ({
  type: 'object',
  required: Object.keys(properties),
  properties: { ...properties, ...optional },
})
const list = (items: object) => ({ type: 'array', items })
const mapOf = (values: object) => ({ type: 'object', additionalProperties: values })

const failure = {
  description: 'what is wrong and what to do, with a code of docs/errors.md',
  ...object({ error: text, code: text }),
}

/** A route's answer when all is well, and otherwise. */
const answers = (summary: string, answer: object, more: object = {}) => ({
  summary,
  response: { 200: { description: 'done', ...answer }, default: failure },
  ...more,
})

/** An answer that is no JSON. */
const streamOf = (...types: readonly string[]) => ({
  content: Object.fromEntries(types.map((type) => [type, { schema: text }])),
})

const why = { type: 'string', maxLength: maxWhyLength, description: 'for the audit' } as const

const degraded = list(object({ part: text, detail: text }))

export const health = answers('whether the process answers', object({ ok: flag }))

const ready = { description: 'ready or not', ...object({ ready: flag, degraded }) }
export const readiness = {
  ...answers('whether it takes events and answers queries', ready),
  response: { 200: ready, 503: ready, default: failure },
}

export const metrics = answers("metrics in Prometheus' text form", streamOf('text/plain'))

const address = text
const skew = object({ host: text, aheadMs: number })
const rulesReport = mapOf(anything)
const silentHosts = object({ count: integer, latest: list(mapOf(anything)) })
const receiverHealth = object(
  { name: text },
  {
    deliveredMsAgo: number,
    failing: object({ forMs: number, lastMsAgo: number, requests: integer, detail: text }),
  },
)
const alarm = { name: text, detail: text, count: integer, msAgo: number }
const partitionRules = object({ hash: text, offset: integer }, { atMs: moment, switched: rulesReport })
const partitionStatus = object(
  {
    partition: integer,
    engine: object(
      {
        ...{ appliedOffset: integer, generation: integer, skews: list(skew), repeats: integer },
        ...{ silent: silentHosts, refused: integer },
      },
      { oldestPageMs: moment },
    ),
    // beside these, what it counted
    replica: {
      ...object(
        { state: text, why: text, epoch: integer, pendingPages: integer, flows: list(mapOf(anything)) },
        { owner: text, rulesHash: text },
      ),
      additionalProperties: integer,
    },
  },
  { log: object({ first: integer, end: integer }), standing: text, rules: text, rulesInForce: partitionRules },
)

export const status = answers(
  'how this instance is',
  object({
    ...{ instance: text, version: text, upMs: number, wallMs: moment, ready: flag, degraded },
    ...{ receivers: list(receiverHealth), alarms: list(object(alarm)), dropped: mapOf(integer) },
    listen: mapOf(address),
    log: object({ id: text, place: text, partitions: integer }),
    partitions: list(partitionStatus),
    rules: object(
      { folder: text, differs: list(text) },
      {
        inForce: text,
        onDisk: text,
        error: text,
        switched: { ...rulesReport, description: 'what the latest switch did' },
      },
    ),
    intake: object({
      ...{ connections: integer, messages: integer, events: integer, queuedBytes: integer },
      ...{ heldAcks: integer, lagBytes: integer, lagMs: number },
    }),
  }),
)

const numbers = list(integer)
const instanceOverview = object(
  {
    ...{ instance: text, version: text, draining: flag },
    ...{ owning: integer, following: integer, behind: integer },
  },
  {
    ...{ zone: text, silent: text, upMs: number },
    ...{ lagMs: number, lagBytes: number, connections: integer, events: integer },
  },
)

export const overview = answers(
  'whether anybody is paged if something breaks now, and how all instances are',
  object({
    ...{ instance: text, wallMs: moment, paging: flag, reasons: list(text), warnings: list(text) },
    instances: list(instanceOverview),
    partitions: object({ count: integer, unowned: numbers, unknown: numbers, withoutStandby: numbers }),
    pages: object(
      { pending: integer, delivered: integer, refused: integer, possibleRepeats: integer },
      { oldestMs: number },
    ),
    receivers: list(receiverHealth),
    alarms: list(object({ ...alarm, instance: text })),
    silent: object({ count: integer, latest: list(object({ host: text, forMs: number })) }),
    ...{ dropped: mapOf(integer), repeats: integer, clocks: list(skew) },
    rules: object({ inForce: mapOf(numbers), differs: mapOf(list(text)) }),
  }),
)

const metric = { type: ['number', 'string'], description: 'a text where JSON has no such number' } as const
const event = {
  type: 'object',
  properties: {
    ...{ host: text, service: text, state: text, description: text, metric },
    ...{ tags: list(text), time: metric, ttl: metric },
  },
  additionalProperties: { type: 'string', description: 'an attribute' },
} as const

const query = { type: 'string', minLength: 1, description: "in Riemann's query language" } as const

const answered = object(
  {
    events: list(event),
    missing: list(object({ partition: integer, code: text })),
    fresh: list(object({ partition: integer, instance: text, offset: integer, ageMs: number })),
  },
  { cursor: text },
)

export const queryIndex = answers('events of the index that match', answered, {
  querystring: {
    type: 'object',
    required: ['query'],
    properties: {
      query,
      limit: { type: 'integer', minimum: 1, maximum: 1_000_000 },
      cursor: { type: 'string', maxLength: maxCursorLength },
    },
  },
})

const watchQuery = {
  type: 'object',
  required: ['query'],
  properties: { query, from: { type: 'string', maxLength: maxTokenLength } },
} as const

export const watch = answers(
  'events that change the index and match, as they come',
  streamOf('application/x-ndjson', 'text/event-stream'),
  { querystring: watchQuery },
)

export const index = answers("what matches, then what changes, in Riemann's shape", streamOf('text/event-stream'), {
  querystring: watchQuery,
})

export const records = answers(
  "records of a partition's log, one JSON object a line",
  streamOf('application/x-ndjson'),
  {
    params: { type: 'object', required: ['partition'], properties: { partition: { type: 'integer', minimum: 0 } } },
    querystring: {
      type: 'object',
      properties: {
        from: { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER },
        last: { type: 'integer', minimum: 0, maximum: 1_000_000, default: 0 },
        kind: { type: 'string', pattern: '^[a-z-]+(,[a-z-]+)*$', maxLength: 200 },
        follow: { type: 'boolean', default: true },
      },
    },
  },
)

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

const receiver = object(
  { name: text, type: text, class: { enum: ['A', 'B', 'C'] }, sendOvertaken: flag, fallback: flag, self: flag },
  { inDoubt: { enum: ['repeat', 'miss'] } },
)

export const receivers = answers('who can be paged', object({ receivers: list(receiver) }))

const nameParameter = { type: 'object', required: ['name'], properties: { name: text } } as const
/** A body that need not be sent. */
const onlyWhy = { type: ['object', 'null'], properties: { why } } as const

export const receiverTest = answers(
  'sends a receiver pages marked as a test, and says what it answered',
  object({
    receiver: text,
    type: text,
    steps: list(object({ action: text, result: object({ kind: text }, { detail: text, retryAfterMs: number }) })),
  }),
  { params: nameParameter, body: onlyWhy },
)

const member = object(
  {
    ...{ instance: text, version: text, draining: flag },
    ...{ owning: integer, following: integer, behind: integer },
  },
  { zone: text, address },
)

export const cluster = answers(
  'the cluster as this instance sees it',
  object({
    instance: text,
    members: list(member),
    partitions: list(object({ partition: integer, owning: list(text), following: list(text), behind: mapOf(text) })),
  }),
)

export const explain = answers(
  'who is to keep a partition, who does, and why',
  object({ partition: integer, ranking: list(mapOf(anything)), runs: flag, why: text }, { owner: text }),
  {
    querystring: {
      type: 'object',
      properties: { partition: { type: 'integer', minimum: 0 }, key: { type: 'string', maxLength: 1_000 } },
      oneOf: [{ required: ['partition'] }, { required: ['key'] }],
    },
  },
)

const asked = { type: 'string', minLength: 1, maxLength: 2_000 } as const
/** A day: what a log keeps. */
const longestLookMs = 86_400_000
const usualMs = 600_000

/** How far it is, a line each, and the answer, or what went wrong, at last. */
const explanation = streamOf('application/x-ndjson')

export const explainIncident = answers('why somebody was paged, step by step', explanation, {
  querystring: { type: 'object', required: ['incident'], properties: { incident: asked } },
})

export const explainSilence = answers('why nobody was paged', explanation, {
  querystring: {
    type: 'object',
    required: ['host', 'rule'],
    properties: {
      ...{ host: asked, rule: asked, service: asked },
      atMs: { type: 'number', minimum: 0, maximum: 253_402_300_799_999 },
      withinMs: { type: 'number', minimum: 1_000, maximum: longestLookMs, default: usualMs },
      partition: { type: 'integer', minimum: 0 },
    },
  },
})

const instanceName = { type: 'string', minLength: 1, maxLength: 255 } as const

export const drain = answers(
  'has an instance give up what it keeps, or take part again',
  object({ instance: text, drain: flag }),
  { body: object({ instance: instanceName, drain: flag }, { why }) },
)

const preview = {
  description: 'what differs from what is in force',
  ...object(
    { onDisk: text, partitions: list(integer), settings: list(mapOf(anything)), resolves: mapOf(anything) },
    { inForce: text, rules: mapOf(anything) },
  ),
}

export const rules = answers(
  'which rules each instance runs, since when, and what its folder holds',
  object({
    instances: list(
      object(
        { instance: text, differs: list(text), partitions: list(mapOf(anything)) },
        { unknown: text, folder: text, onDisk: text, error: text },
      ),
    ),
  }),
)

export const rulesDiff = answers("what the folder of this instance's rules would change", preview)

export const rulesReload = answers(
  "checks the rules of this instance's folder and switches all instances to them",
  object({ switched: flag }, { preview, checks: mapOf(anything), report: mapOf(anything) }),
  { body: object({}, { dryRun: flag, yes: flag, why }) },
)

const eventsBody = {
  description: 'an event, a list of them, or one a line',
  anyOf: [event, list(event)],
} as const

export const takeEvents = answers('takes all events, or none', object({ taken: integer }), { body: eventsBody })

export const takeRiemannEvents = answers(
  'takes events; a line for each, as Riemann answers',
  streamOf('application/json'),
  {
    body: eventsBody,
  },
)

const role = { enum: roles } as const
const unreached = {
  ...list(text),
  description: 'instances that could not be asked; they learn of it when they are reached',
}

const revocation = object({ atMs: moment, by: text, why: text })
const token = object(
  { name: text, role, from: { enum: ['configuration', 'command'] }, state: { enum: ['valid', 'expired', 'revoked'] } },
  { createdAtMs: moment, createdBy: text, expiresAtMs: moment, revoked: revocation },
)

export const tokens = answers('the tokens that are known, without their secrets', object({ tokens: list(token) }))

/** Longest life that is meant: ten years. Who means longer gives none. */
const maxExpiryMs = 3_660 * 24 * 3_600_000

export const createToken = answers(
  'makes a token; its secret is in this answer and nowhere else',
  object({ name: text, role, token: text, unreached }, { expiresAtMs: moment }),
  {
    body: object(
      { name: { type: 'string', pattern: tokenNamePattern.source }, role },
      { expiresInMs: { type: 'integer', minimum: 60_000, maximum: maxExpiryMs }, why },
    ),
  },
)

export const revokeToken = answers('refuses a token from now on', object({ name: text, unreached }), {
  params: nameParameter,
  body: onlyWhy,
})

const auditEntry = object(
  { atMs: moment, instance: text, who: text, from: text, what: text, status: integer },
  { role, arguments: anything, why: text, code: text },
)

const maxEntries = 1_000
const usualEntries = 100

export const audit = answers(
  'what was asked that changes something, the newest first',
  object({ entries: list(auditEntry), unreached }),
  {
    querystring: {
      type: 'object',
      properties: { limit: { type: 'integer', minimum: 1, maximum: maxEntries, default: usualEntries } },
    },
  },
)

export const openApi = answers('this document', { ...mapOf(anything) })
