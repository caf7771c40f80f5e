import { EngineError } from '../errors.ts'

/**
 * A stream's description: immutable data that says which operator, with which arguments, over which children. It does nothing
 * by itself; the engine makes operator instances of it.
 */
export class Stream {
  readonly operator: string
  readonly args: readonly unknown[]
  readonly children: readonly Stream[]
  /** Given by the rules' author; siblings are matched by it first when rules are switched. */
  readonly label: string | undefined

  constructor(operator: string, args: readonly unknown[], children: readonly Stream[], label?: string) {
    for (const child of children) {
      if (!(child instanceof Stream)) {
        throw new EngineError(
          'RULES_INVALID',
          `${operator} takes streams as its children, got ${describeValue(child)}; a function of an event goes into where, smap or stable`,
        )
      }
    }
    this.operator = operator
    this.args = Object.freeze([...args])
    this.children = Object.freeze([...children])
    this.label = label
    Object.freeze(this)
    madeAt.set(this, new Error('made here'))
  }
}

/** Whose call made each stream, as an error's stack: what is found wrong only in the whole tree is told at its own line. */
const madeAt = new WeakMap<Stream, Error>()

/** The stack of the call that made a stream; for people only. */
export function makingOf(stream: Stream): Error | undefined {
  return madeAt.get(stream)
}

/** Names a stream, so that it keeps its state when rules around it change. */
export function named(label: string, stream: Stream): Stream {
  return new Stream(stream.operator, stream.args, stream.children, label)
}

/** All streams of a set of rules. */
export interface RulesDescription {
  readonly streams: readonly Stream[]
}

/**
 * The rules of an installation: what a rules file exports.
 * @example export default rules(index(), where('state = "critical"', notify('oncall')))
 */
export function rules(...streams: Stream[]): RulesDescription {
  return Object.freeze({ streams: new Stream('rules', [], streams).children })
}

/** A stream as text, functions by their own text: equal descriptions, equal text. */
export function describeStream(stream: Stream): string {
  let text = descriptions.get(stream)
  if (text === undefined) descriptions.set(stream, (text = JSON.stringify(asData(stream))))
  return text
}

/** Streams never change, and are compared over and over. */
const descriptions = new WeakMap<Stream, string>()

// data down to the leaves and one text of it: texts within texts would double their escapes at each level
function asData(stream: Stream): unknown {
  return [stream.operator, stream.args.map(describeArgument), stream.children.map(asData)]
}

/** An argument as plain data. */
export function describeArgument(value: unknown): unknown {
  if (typeof value === 'function') return { function: String(value) }
  if (typeof value === 'bigint') return { bigint: value.toString() }
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) }
  if (value instanceof RegExp) return { regex: String(value) }
  if (Array.isArray(value)) return value.map(describeArgument)
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, describeArgument(part)]))
  }
  return value
}

/** @throws EngineError `RULES_INVALID` unless the value is a number above 0. */
export function positive(operator: string, what: string, value: number): number {
  if (typeof value !== 'number' || !(value > 0) || value === Infinity) {
    throw new EngineError('RULES_INVALID', `${operator}: ${what} is a number above 0, got ${describeValue(value)}`)
  }
  return value
}

/** @throws EngineError `RULES_INVALID` unless the value is a number from 0 on. */
export function notNegative(operator: string, what: string, value: number): number {
  if (typeof value !== 'number' || !(value >= 0) || value === Infinity) {
    throw new EngineError('RULES_INVALID', `${operator}: ${what} is a number from 0 on, got ${describeValue(value)}`)
  }
  return value
}

/** @throws EngineError `RULES_INVALID` unless the value is a whole number from `least` to `most`. */
export function wholeNumber(operator: string, what: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new EngineError(
      'RULES_INVALID',
      `${operator}: ${what} is a whole number from ${least} to ${most}, got ${describeValue(value)}`,
    )
  }
  return value
}

export function describeValue(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return 'a function'
  if (value instanceof Stream) return `the stream ${value.operator}`
  if (Array.isArray(value)) return 'a list'
  if (value !== null && typeof value === 'object') return 'an object'
  return String(value)
}
