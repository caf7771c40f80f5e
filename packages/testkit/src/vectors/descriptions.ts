/**
 * The vectors' descriptions of streams as Ricci's own: the operator of the same name, its arguments translated. A word that the
 * engine's vocabulary does not have makes the case one that cannot run yet.
 */
import { EventCursor, eventToCursor, SymbolTable, type Event } from '@ricci/client'
import * as engine from '@ricci/engine'
import { compilePredicate, fold, type EventView, type Fold, type Predicate, Stream } from '@ricci/engine'
import { NotThereYet } from './case.ts'
import { foldNamed, pointsOf } from './folds.ts'
import { eventOf, numberOf, plain, same, type RawEvent } from './values.ts'

type Json = unknown
type Description = readonly [string, ...Json[]]

/** What a description's predicates may ask of the run: the clock. */
export interface Surroundings {
  nowSeconds(): number
}

/** @throws NotThereYet for a word the engine does not have, EngineError `RULES_INVALID` for what it refuses */
export function streamOf(description: Json, around: Surroundings): Stream {
  return new Translation(around).stream(description as Description)
}

/** Words whose instance has no state: naming one twice is the same as naming it once. */
const stateless = new Set(
  'tap where else with default scale tag untag tagged smap split sdo over under expired notExpired adjust throw'.split(
    ' ',
  ),
)

class Translation {
  constructor(private readonly around: Surroundings) {}

  stream(description: Description): Stream {
    const [word, ...rest] = description
    switch (word) {
      case 'tap':
        return call('tap', rest[0])
      case 'bitBucket':
        return call('sdo')
      case 'throw':
        return call('smap', () => {
          throw new Error(String(rest[0]))
        })
      case 'else':
        return call('otherwise', ...this.children(rest))
      case 'where':
        return call('where', this.predicate(rest[0]), ...this.children(rest.slice(1)))
      case 'split':
        return call('split', ...rest.map((part) => (Array.isArray(part) ? this.child(part) : this.predicate(part))))
      case 'with':
      case 'default': {
        const single = typeof rest[0] === 'string'
        const fields = fieldsOf(single ? { [rest[0] as string]: rest[1] } : (rest[0] as RawEvent))
        return call(
          word === 'with' ? 'withFields' : 'defaultFields',
          fields,
          ...this.children(rest.slice(single ? 2 : 1)),
        )
      }
      case 'adjust':
        return call('adjust', adjustment(rest[0] as Json[]), ...this.children(rest.slice(1)))
      case 'smap':
        return call('smap', this.mapper(rest[0] as Record<string, Json>), ...this.children(rest.slice(1)))
      case 'by': {
        const fields = [rest[0]].flat().map((field) => this.field(field))
        return call('by', fields, ...this.children(rest.slice(1)))
      }
      case 'changed':
      case 'stable':
      case 'runs': {
        const before = word === 'changed' ? [] : [argument(rest[0])]
        const [field, ...others] = rest.slice(before.length)
        return call(word, ...before, this.field(field), ...this.mixed(others))
      }
      case 'percentiles':
        return call('percentiles', argument(rest[0]), pointsOf(rest[1]), ...this.children(rest.slice(2)))
      case 'tagged':
      case 'taggedAll':
      case 'taggedAny':
      case 'tag':
      case 'untag':
        return call(word, rest[0], ...this.children(rest.slice(1)))
      case 'window':
        return call('movingEventWindow', ...this.mixed(rest))
      case 'pipe':
        return this.pipe(rest as Description[])
      default:
        wordNamed(word)
        return call(word, ...this.mixed(rest))
    }
  }

  private children(descriptions: readonly Json[]): Stream[] {
    return descriptions.map((description) => this.child(description))
  }

  private child(description: Json): Stream {
    return this.stream(description as Description)
  }

  /** Arguments and children as they come: whatever begins with a word is a stream. */
  private mixed(parts: readonly Json[]): unknown[] {
    return parts.map((part) => {
      if (Array.isArray(part) && typeof part[0] === 'string') return this.child(part)
      return isObject(part) && numberOf(part) === undefined ? optionsOf(part) : argument(part)
    })
  }

  /** Puts each stage where the one before says `next`; a stage with state can be named only once, and not below a `by`. */
  private pipe(stages: readonly Description[]): Stream {
    const inline = (i: number): Json => {
      const [stage, rest] = [stages[i], stages.slice(i + 1)]
      const count = JSON.stringify(stage).split('["next"]').length - 1
      const shared = count > 1 || words(stage).some((word) => word === 'by' || word === 'changedState')
      if (shared && rest.some((later) => !words(later).every((word) => stateless.has(word) || word === 'next'))) {
        throw new NotThereYet('pipe with a stage of state that several streams share')
      }
      return replaceNext(stage, () => inline(i + 1))
    }
    return this.child(inline(0))
  }

  /** A field's name, or a predicate as a function of an event. */
  private field(field: Json): engine.Field {
    if (typeof field === 'string') return field
    return this.test((field as { pred: Json }).pred)
  }

  private predicate(predicate: Json): Predicate {
    const { query } = predicate as { query?: string }
    return query ?? this.test(predicate)
  }

  private test(predicate: Json): (event: EventView) => boolean {
    const p = predicate as Record<string, Json>
    if (typeof p.query === 'string') return queryTest(p.query)
    if (Array.isArray(p.and)) return all(p.and.map((part) => this.test(part)))
    if (Array.isArray(p.or)) {
      const parts = p.or.map((part) => this.test(part))
      return (event) => parts.some((part) => part(event))
    }
    if ('not' in p) {
      const part = this.test(p.not)
      return (event) => !part(event)
    }
    if ('expired' in p) {
      return ({ state, time, ttl }) => {
        return state === 'expired' || this.around.nowSeconds() - time > (Number.isNaN(ttl) ? defaultTtlSeconds : ttl)
      }
    }
    if ('tagged' in p) return all([p.tagged].flat().map((tag) => (event) => event.tags.includes(tag as string)))
    if ('taggedAny' in p) {
      const tags = [p.taggedAny].flat() as string[]
      return (event) => event.tags.some((tag) => tags.includes(tag))
    }
    if (typeof p.field === 'string') return fieldTest(p.field, p)
    throw new NotThereYet(`predicate ${JSON.stringify(predicate)}`)
  }

  private mapper(s: Record<string, Json>): Fold | ((event: EventView) => unknown) {
    if (typeof s.fold === 'string') return foldNamed(s.fold)
    if ('sortedSample' in s) return fold.sortedSample(pointsOf(s.sortedSample))
    if ('only' in s) {
      const test = this.test(s.only)
      return (event) => (test(event) ? event : undefined)
    }
    if (isObject(s.set)) {
      const fields = eventOf(s.set as RawEvent)
      const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
      return (event) => ({ ...eventOfView(event), ...given })
    }
    throw new NotThereYet(`smap of ${JSON.stringify(s)}`)
  }
}

const defaultTtlSeconds = 60

/** Calls a word of the engine's vocabulary. */
function call(word: string, ...args: unknown[]): Stream {
  return wordNamed(word)(...args)
}

function wordNamed(word: string): (...args: unknown[]) => Stream {
  const found = (engine as Readonly<Record<string, unknown>>)[word]
  if (typeof found !== 'function' || !operatorWords().has(word)) throw new NotThereYet(word)
  return found as (...args: unknown[]) => Stream
}

/** Words of rules: exported functions that give a stream. Some operators go by another name than their word. */
function operatorWords(): ReadonlySet<string> {
  const words = engine.operators().map((operator) => operator.name)
  return new Set([...words, 'withFields', 'defaultFields', 'changedState'])
}

function words(description: Json): string[] {
  if (!Array.isArray(description)) return []
  const own = typeof description[0] === 'string' ? [description[0]] : []
  return [...own, ...description.slice(1).flatMap(words)]
}

function replaceNext(description: Json, next: () => Json): Json {
  if (!Array.isArray(description)) return description
  return description.length === 1 && description[0] === 'next'
    ? next()
    : description.map((part) => replaceNext(part, next))
}

const isObject = (value: Json): value is Record<string, Json> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const argument = (value: Json): unknown => numberOf(value) ?? value

function optionsOf(options: Record<string, Json>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, argument(value)]))
}

/** Fields to set; null stays. */
function fieldsOf(raw: RawEvent): Record<string, unknown> {
  const { metricType, ...event } = eventOf(raw) as Record<string, unknown>
  const fields: Record<string, unknown> = {}
  for (const name of Object.keys(raw)) fields[name] = raw[name] === null ? null : event[name]
  return metricType === undefined ? fields : { ...fields, metricType }
}

/** `[field, fn, args …]` as a function to the changed field. */
function adjustment([field, change, ...args]: readonly Json[]): (event: EventView) => Record<string, unknown> {
  const name = field as keyof EventView
  const numbers = args.map(numberOf)
  return (event) => {
    const value = event[name]
    switch (change) {
      case 'append':
        return { [name]: `${String(value)}${args.join('')}` }
      case 'add':
        return { [name]: numbers.reduce<number>((sum, next) => sum + Number(next), Number(value)) }
      case 'mul':
        return { [name]: numbers.reduce<number>((product, next) => product * Number(next), Number(value)) }
      default:
        throw new NotThereYet(`adjust with ${String(change)}`)
    }
  }
}

function all(tests: readonly ((event: EventView) => boolean)[]): (event: EventView) => boolean {
  return (event) => tests.every((test) => test(event))
}

/** A query about a view, as a user's function would ask it. */
function queryTest(query: string): (event: EventView) => boolean {
  const table = new SymbolTable()
  const matches = compilePredicate(query, table)
  const cursor = new EventCursor()
  return (event) => {
    eventToCursor(eventOfView(event), table, cursor)
    return matches(cursor)
  }
}

/** A copy of what a view shows. */
export function eventOfView(event: EventView): Event {
  const { host, service, state, description, metric, metricBig, tags, time, ttl, attributes } = event
  const number = (value: number): number | undefined => (Number.isNaN(value) ? undefined : value)
  const exact = metricBig ?? number(metric)
  return { host, service, state, description, metric: exact, tags, time: number(time), ttl: number(ttl), attributes }
}

const comparisons: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '>': (a, b) => a > b,
  '<': (a, b) => a < b,
  '>=': (a, b) => a >= b,
  '<=': (a, b) => a <= b,
  '=': (a, b) => a === b,
}

function fieldTest(field: string, p: Record<string, Json>): (event: EventView) => boolean {
  const read = (event: EventView): unknown => {
    const value = field in event ? event[field as keyof EventView] : event.attributes[field]
    return typeof value === 'number' && Number.isNaN(value) ? undefined : value
  }
  const operator = Object.keys(comparisons).find((candidate) => candidate in p)
  if (operator !== undefined) {
    const bound = Number(numberOf(p[operator]))
    return (event) => {
      const value = read(event)
      if (typeof value !== 'number') throw new Error(`${field} is no number`)
      return comparisons[operator](value, bound)
    }
  }
  if ('match' in p) return (event) => matchesValue(p.match, read(event))
  if (Array.isArray(p.any)) {
    const choices = p.any
    return (event) => choices.some((choice) => matchesValue(choice, read(event)))
  }
  return (event) => read(event) !== undefined
}

/** A value of the notation matched as Riemann's `match` does: pattern, set, or equality by value. */
function matchesValue(wanted: Json, value: unknown): boolean {
  if (isObject(wanted) && typeof wanted.re === 'string') {
    return typeof value === 'string' && engine.compileRegex(wanted.re).test(value)
  }
  if (isObject(wanted) && Array.isArray(wanted.anyOf)) return wanted.anyOf.some((one) => matchesValue(one, value))
  return same(plain(wanted), plain(value))
}
