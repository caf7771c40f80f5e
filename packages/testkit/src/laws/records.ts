import { encodeMsg, type Event } from '@ricci/client'
import type { LogRecord } from '@ricci/engine'
import fc from 'fast-check'

const startMs = Date.UTC(2026, 10, 21, 12)

/** The engine counts ticks by their numbers and gives back what is not used at each 600th: so every fifth is one. */
const ticksPerStep = 120

/** A step of a generated run: time passes, and perhaps events come. */
interface Step {
  readonly elapsedMs: number
  /** How much further the wall clock went than the owner's: now and then a gap. */
  readonly extraMs: number
  readonly events: readonly Generated[]
  readonly claim: boolean
}

interface Generated {
  readonly host: string
  readonly service: string | undefined
  readonly state: string | undefined
  readonly metric: number | bigint | undefined
  readonly double: boolean
  readonly tags: readonly string[]
  readonly ageMs: number
  readonly ttl: number | undefined
  readonly description: string | undefined
  readonly attributes: Readonly<Record<string, string>> | undefined
}

const event: fc.Arbitrary<Generated> = fc.record({
  host: fc.constantFrom('a', 'a', 'b', 'c', 'dé'),
  service: fc.constantFrom('x', 'x', 'y', undefined),
  state: fc.constantFrom('ok', 'ok', 'critical', 'critical', 'expired', undefined),
  metric: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: -3, max: 12 }) },
    { weight: 3, arbitrary: fc.double({ min: -10, max: 20, noNaN: true }) },
    { weight: 1, arbitrary: fc.constantFrom(undefined, NaN, Infinity, 2n ** 60n, -(2n ** 62n)) },
  ),
  double: fc.boolean(),
  tags: fc.subarray(['a', 'b', 'reset']),
  ageMs: fc.constantFrom(0, 0, 0, 100, 1_500, 4_000, 90_000, -2_000),
  ttl: fc.constantFrom(undefined, 1, 3, 10, 60),
  description: fc.oneof(fc.constant(undefined), fc.string({ maxLength: 200 })),
  attributes: fc.oneof(
    fc.constant(undefined),
    fc.dictionary(fc.constantFrom('cluster', 'rack'), fc.string({ maxLength: 5 })),
  ),
})

const step: fc.Arbitrary<Step> = fc.record({
  elapsedMs: fc.constantFrom(500, 500, 1_000, 1_000, 2_000),
  extraMs: fc.oneof(
    { weight: 30, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.constantFrom(3_000, 20_000) },
  ),
  events: fc.array(event, { maxLength: 6 }),
  claim: fc.oneof({ weight: 30, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
})

/** Records of some forty steps: ticks, events of a few keys, now and then a gap or a new owner. */
export const generatedRecords: fc.Arbitrary<LogRecord[]> = fc
  .array(step, { minLength: 25, maxLength: 45 })
  .map((steps) => toRecords(steps))

function toRecords(steps: readonly Step[]): LogRecord[] {
  let epoch = 1
  let tick = 0
  let wallMs = startMs
  let sequence = 0
  const records: LogRecord[] = [{ kind: 'claim', epoch, instance: 'one', semantics: 1 }]
  for (const { elapsedMs, extraMs, events, claim } of steps) {
    wallMs += elapsedMs + extraMs
    if (claim) records.push({ kind: 'claim', epoch: ++epoch, instance: 'other', semantics: 1 })
    records.push({ kind: 'tick', number: (tick += ticksPerStep), epoch, elapsedMs: claim ? 0 : elapsedMs, wallMs })
    if (events.length === 0) {
      records.push({ kind: 'hole' })
      continue
    }
    const mark = { producer: 'generator', incarnation: 1, sequence: ++sequence, sentAtMs: wallMs }
    records.push({
      kind: 'events',
      receivedAtMs: wallMs,
      msg: encodeMsg({ events: events.map((one) => toEvent(one, wallMs)), mark }),
    })
  }
  return records
}

function toEvent({ ageMs, double, ...event }: Generated, wallMs: number): Event {
  const given: Event = { ...event, time: (wallMs - ageMs) / 1000 }
  return double && typeof event.metric === 'number' ? { ...given, metricType: 'double' } : given
}
