/**
 * What the header of each kind of record must hold. The bytes of a log are durable, not true: a foreign publisher, a tool or a defect
 * can write JSON that parses and says nothing, and every replica applies it.
 */
import { EngineError } from './errors.ts'
import type { LogRecord, RecordKind } from './records.ts'

/** Says whether a value is as it must be. */
interface Check {
  readonly what: string
  readonly holds: (value: unknown) => boolean
}

const count: Check = { what: 'a whole number from 0', holds: (v) => Number.isSafeInteger(v) && (v as number) >= 0 }
const index: Check = { what: 'a whole number from -1', holds: (v) => Number.isSafeInteger(v) && (v as number) >= -1 }
const span: Check = { what: 'a number from 0', holds: (v) => Number.isFinite(v) && (v as number) >= 0 }
const time: Check = { what: 'a number', holds: (v) => Number.isFinite(v) }
/** The year 9999: a stamp beyond it is a mistake, and the calendar would never come back from it by itself. */
export const latestMs = 253_402_300_799_999
/** What the calendar is moved to. At no time there is a window added to it would not move it, and its timer fire without end. */
const stamp: Check = {
  what: 'a time from 1970 to 9999',
  holds: (v) => time.holds(v) && (v as number) >= 0 && (v as number) <= latestMs,
}
const text: Check = { what: 'a text', holds: (v) => typeof v === 'string' }
const truth: Check = { what: 'true or false', holds: (v) => typeof v === 'boolean' }
const texts: Check = { what: 'a list of texts', holds: (v) => Array.isArray(v) && v.length > 0 && v.every(text.holds) }
const object: Check = { what: 'an object', holds: isObject }
const given: Check = {
  what: 'an object of texts, numbers, true and false',
  holds: (v) => isObject(v) && Object.values(v).every((a) => text.holds(a) || time.holds(a) || truth.holds(a)),
}
const optional = ({ what, holds }: Check): Check => ({ what, holds: (v) => v === undefined || holds(v) })
const oneOf = (...values: readonly string[]): Check => ({
  what: `one of ${values.join(', ')}`,
  holds: (v) => values.includes(v as string),
})

type Shape<K extends RecordKind> = Readonly<
  Record<Exclude<keyof Extract<LogRecord, { kind: K }>, 'kind' | 'bundle'>, Check>
>

const shapes: { readonly [K in Exclude<RecordKind, 'events' | 'hole'>]: Shape<K> } = {
  claim: { epoch: count, instance: text, semantics: count, leaseToken: optional(text), life: optional(text) },
  tick: { number: count, epoch: count, elapsedMs: span, wallMs: stamp, back: optional(truth) },
  attempt: {
    epoch: count,
    n: count,
    sender: optional(text),
    receiver: text,
    pages: texts,
    digest: optional(oneOf('waited', 'overflow')),
    repeats: optional(text),
  },
  outcome: {
    epoch: count,
    n: count,
    receiver: text,
    pages: texts,
    result: oneOf('delivered', 'refused', 'failed', 'unknown', 'overtaken', 'gave-up'),
    detail: optional(text),
    retryAtMs: optional(time),
  },
  'flowed-through': { sink: text, begun: count, position: count },
  command: {
    id: text,
    name: oneOf('acknowledge', 'snooze', 'resolve', 'redrive', 'drill'),
    who: text,
    from: text,
    why: text,
    arguments: given,
  },
  rules: { hash: text, settings: object, semantics: count },
  checkpoint: {
    epoch: count,
    tick: count,
    offset: count,
    input: text,
    decisions: text,
    state: optional(text),
    parts: optional(text),
    openPages: count,
  },
  skip: { offset: count, event: index, branch: text },
}

/** @throws EngineError `RECORD_MALFORMED` where the header is not what a record of this kind holds */
export function checkHeader(kind: Exclude<RecordKind, 'events' | 'hole'>, header: unknown): asserts header is object {
  if (!isObject(header)) throw new EngineError('RECORD_MALFORMED', `the header of a ${kind} record is no object`)
  for (const [name, { what, holds }] of Object.entries<Check>(shapes[kind])) {
    const value = Object.hasOwn(header, name) ? header[name] : undefined
    if (!holds(value)) {
      const found = value === undefined ? 'is missing' : `is ${JSON.stringify(value).slice(0, 40)}`
      throw new EngineError('RECORD_MALFORMED', `${name} of a ${kind} record ${found}; it must be ${what}`)
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
