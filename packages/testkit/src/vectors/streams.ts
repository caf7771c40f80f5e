/**
 * Cases of streams: steps in virtual time over a real engine, compared with what arrived at the taps.
 *
 * Before a step with a later `at`, one tick moves both clocks by the difference; the event then arrives at `at`. There is no claim,
 * hence no grace; settings switch off what belongs to a real clock: the bound on ticks, gaps, staleness.
 */
import { crc32 } from 'node:zlib'
import { encodeMsg, type Event } from '@ricci/client'
import {
  createEngine,
  encodeEventsRecord,
  encodeRecord,
  engineSemantics,
  EngineError,
  printText,
  rules,
  smap,
  type Engine,
  type EventView,
  type RulesDescription,
} from '@ricci/engine'
import { difference, failed, NotThereYet, passed, type Case, type Outcome } from './case.ts'
import { eventOfView, streamOf } from './descriptions.ts'
import { eventOf, plain, same, show, type RawEvent } from './values.ts'

export interface StreamCase extends Case {
  readonly start?: number
  readonly reaper?: { readonly interval: number; readonly keepKeys?: 'all' | readonly string[] }
  readonly unordered?: boolean
  readonly stream: unknown
  readonly steps: readonly Step[]
  readonly emitted: readonly Emitted[]
}

interface Step {
  readonly at: number
  readonly event?: RawEvent
  readonly query?: string
  readonly lookup?: readonly [string | null, string | null]
  readonly delete?: unknown
  readonly clear?: boolean
}

/** What arrived at a tap or answered a question. */
interface Emitted {
  readonly at: number
  readonly tap?: string
  readonly query?: string
  readonly lookup?: unknown
  readonly event?: unknown
  readonly events?: readonly unknown[]
  readonly value?: unknown
}

/** Further than any case goes, milliseconds: switches a bound off that must be a number. */
const never = 1e15

export function runStream(c: StreamCase): Outcome {
  const { emitted, refused } = run(c)
  const actual = emitted.map(normal)
  const settled = c.deviation === undefined || 'ricci' in c
  const expected = (('ricci' in c ? c.ricci : c.emitted) as Emitted[]).map(normal)
  const differs = compare(expected, actual, c.unordered === true)
  if (differs === undefined) return passed
  if (!settled) return { status: 'skipped', why: `a deviation without an expected outcome: ${c.deviation}` }
  // A cause that the page of differences may list for all its cases: what a timer sent twice at one instant.
  const repeats = compare(withoutRepeats(expected), actual, c.unordered === true) === undefined
  return { ...failed(...differs), by: refused ?? (repeats ? 'repeats at one instant' : undefined) }
}

function withoutRepeats(entries: readonly Emitted[]): Emitted[] {
  return entries.filter((entry, i) => !entries.slice(0, i).some((before) => same(before, entry)))
}

function run(c: StreamCase): { readonly emitted: Emitted[]; readonly refused?: string } {
  const emitted: Emitted[] = []
  const bench = new Bench(c, (name, value) => emitted.push(arrival(bench.nowSeconds(), name, value)))
  const refused = bench.build()
  if (refused !== undefined) return { emitted, refused }
  for (const step of c.steps) {
    bench.moveTo(step.at)
    if (step.event !== undefined) bench.event(step.event, step.at)
    if (step.query !== undefined) {
      emitted.push({ at: step.at, query: step.query, events: bench.query(step.query) })
    }
    if (step.lookup !== undefined) {
      const [host, service] = step.lookup.map((key) => (key === null ? 'nil' : printText(key)))
      const [event = null] = bench.query(`host = ${host} and service = ${service}`)
      emitted.push({ at: step.at, lookup: step.lookup, event })
    }
    if (step.delete !== undefined || step.clear !== undefined) throw new NotThereYet('emptying the index from outside')
  }
  return { emitted }
}

function arrival(at: number, tap: string, value: unknown): Emitted {
  if (Array.isArray(value)) return { at, tap, events: value }
  return typeof value === 'object' && value !== null ? { at, tap, event: value } : { at, tap, value }
}

/** An engine, its log, and the clock of a case. */
class Bench {
  private readonly engine: Engine
  private description: RulesDescription | undefined
  private readonly alarms: string[] = []
  private offset = 0
  private ticks = 0
  private atSeconds: number

  constructor(
    private readonly c: StreamCase,
    onTap: (name: string, value: unknown) => void,
  ) {
    this.atSeconds = c.start ?? 0
    this.engine = createEngine({
      logId: 'vectors',
      partition: 0,
      loadRules: () => this.description!,
      observer: { onTap, onAlarm: (name) => this.alarms.push(name) },
    })
  }

  /** Sets the clock and the rules; gives how the engine refuses the stream, if it does. */
  build(): string | undefined {
    this.tick(0)
    const around = { nowSeconds: () => this.nowSeconds() }
    try {
      const stream = streamOf(this.c.stream, around)
      this.description = rules(this.c.steps.some(({ event }) => isUntimed(event)) ? smap(withoutTime, stream) : stream)
    } catch (error) {
      if (error instanceof EngineError && error.code === 'RULES_INVALID') return 'refused'
      throw error
    }
    const { reaper } = this.c
    const settings = {
      graceMs: 0,
      gapMs: null,
      stalenessMs: null,
      longestTickMs: never,
      reaperIntervalMs: reaper === undefined ? never : reaper.interval * 1000,
      keepKeys: reaper?.keepKeys ?? ['host', 'service'],
    }
    const bundle = new Uint8Array(0)
    this.append(encodeRecord({ kind: 'rules', hash: 'vectors', settings, semantics: engineSemantics, bundle }))
    return this.alarms.includes('rules-refused') ? 'refused for what flows' : undefined
  }

  nowSeconds(): number {
    return this.engine.calendarMs / 1000
  }

  moveTo(at: number): void {
    if (at <= this.atSeconds) return
    const elapsedMs = (at - this.atSeconds) * 1000
    this.atSeconds = at
    this.tick(elapsedMs)
  }

  event(raw: RawEvent, at: number): void {
    const event = isUntimed(raw) ? { ...eventOf(raw), attributes: { [untimed]: 'true' } } : eventOf(raw)
    this.append(encodeEventsRecord(at * 1000, encodeMsg({ events: [event] })))
  }

  query(query: string): Event[] {
    return this.engine.query(query).events
  }

  private tick(elapsedMs: number): void {
    const wallMs = this.atSeconds * 1000
    this.append(encodeRecord({ kind: 'tick', number: ++this.ticks, epoch: 0, elapsedMs, wallMs }))
  }

  private append(bytes: Uint8Array): void {
    this.engine.apply(this.offset++, bytes, crc32(bytes))
  }
}

/** No wire carries events without a time: these travel with an attribute that says so, and lose both before the case's stream. */
const untimed = 'vectors: without a time'

function isUntimed(event: RawEvent | undefined): boolean {
  return event !== undefined && (event.time === undefined || event.time === null)
}

function withoutTime(event: EventView): Event | EventView {
  return untimed in event.attributes ? { ...eventOfView(event), time: undefined, attributes: undefined } : event
}

function normal(emitted: Emitted): Emitted {
  const { at, tap, query, lookup, event, events, value } = emitted
  if (query !== undefined) return { at, query, events: sorted(plain(events) as unknown[]) }
  if (lookup !== undefined) return { at, lookup, event: plain(event) }
  if (events !== undefined) return { at, tap, events: plain(events) as unknown[] }
  return event !== undefined ? { at, tap, event: plain(event) } : { at, tap, value: plain(value) }
}

const sorted = (values: readonly unknown[]): unknown[] => [...values].sort((a, b) => (show(a) < show(b) ? -1 : 1))

/**
 * Compares in order. Order among entries of one instant counts only within one tap and one host and service, because no case
 * is about the order of different timers; in cases marked `unordered` neither that nor the order inside lists counts.
 * @returns lines for people, or undefined when all is the same
 */
function compare(expected: readonly Emitted[], actual: readonly Emitted[], unordered: boolean): string[] | undefined {
  const arrange = (entries: readonly Emitted[]): Emitted[] => {
    const inner = unordered ? entries.map(sortedInside) : entries
    return inner
      .map((entry, i) => ({ entry, i, key: keyOf(entry, unordered) }))
      .sort((a, b) => a.entry.at - b.entry.at || (a.key < b.key ? -1 : a.key > b.key ? 1 : a.i - b.i))
      .map(({ entry }) => entry)
  }
  if (sameAll(expected, actual)) return undefined
  const [wanted, got] = [arrange(expected), arrange(actual)]
  if (sameAll(wanted, got)) return undefined
  const lines: string[] = []
  for (let i = 0; i < Math.max(wanted.length, got.length) && lines.length < mostLines; i++) {
    if (same(wanted[i], got[i])) continue
    lines.push(difference(`entry ${i + 1}`, show(wanted[i]), show(got[i])))
  }
  return lines
}

/** Differences shown of one case: the first says most. */
const mostLines = 4

const sameAll = (a: readonly Emitted[], b: readonly Emitted[]): boolean => same(a, b)

function keyOf(entry: Emitted, unordered: boolean): string {
  if (unordered) return show(entry)
  const [first] = entry.events ?? [entry.event]
  const { host, service } = (typeof first === 'object' && first !== null ? first : {}) as Record<string, unknown>
  return show([entry.tap ?? entry.query ?? 'lookup', host, service])
}

function sortedInside(entry: Emitted): Emitted {
  return entry.events === undefined ? entry : { ...entry, events: sorted(entry.events) }
}
