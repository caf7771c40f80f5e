/** What is sent to each route and what it answers, as JSON Schema. What is sent is checked by these; the OpenAPI document is made of them, and tests hold answers to it. */
import { roles } from '../access/role.ts'
import { tokenNamePattern } from '../access/token.ts'
import { maxCursorLength } from '../peers/query-cursor.ts'
import { maxTokenLength } from './places.ts'
import {
  text,
  number,
  integer,
  flag,
  moment,
  anything,
  object,
  list,
  mapOf,
  failure,
  answers,
  streamOf,
  why,
} from './schema-parts.ts'

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
    operators: list(object({ operator: text, taken: integer, keys: integer, bytes: integer })),
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
