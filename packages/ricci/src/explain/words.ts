/** The words of explanations: times, events, and why a gate said no. */
import type { Event } from '@ricci/client'
import type { Facts, Gate, Seen } from '@ricci/engine'
import { number, printable } from '../cli/output.ts'

/** A time of day, UTC, to the second; with its day where that is not the one of `near`. */
export function clock(ms: number, near = ms): string {
  const text = new Date(ms).toISOString()
  const day = new Date(near).toISOString().slice(0, 10)
  return text.slice(0, 10) === day ? text.slice(11, 19) : `${text.slice(0, 10)} ${text.slice(11, 19)}`
}

/** The same to the millisecond: what is sent within one second has an order. */
export function exactly(ms: number, near = ms): string {
  return `${clock(ms, near)}${new Date(ms).toISOString().slice(19, 23)}`
}

/** A day and a time, UTC. */
export function moment(ms: number): string {
  return new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, ' UTC')
}

/** A length of time, exact where it is short. */
export function seconds(s: number): string {
  const whole = Math.round(s * 10) / 10
  if (whole < 120) return `${whole} s`
  return whole < 7_200 ? `${Math.round(whole / 6) / 10} min` : `${Math.round(whole / 360) / 10} h`
}

/** What of an event matters, on one line. */
export function eventLine(event: Event, near?: number): string {
  const { host, service, state, metric, time, tags, description } = event
  const value = typeof metric === 'bigint' ? String(metric) : metric
  return printable(
    [
      ...(host === undefined ? [] : [host]),
      ...(service === undefined ? [] : [service]),
      ...(state === undefined || state === '' ? [] : [`state ${state}`]),
      ...(value === undefined ? [] : [`metric ${number(value)}`]),
      ...(time === undefined ? [] : [`at ${clock(Number(time) * 1000, near)}`]),
      ...(tags === undefined || tags.length === 0 ? [] : [`tags ${tags.join(' ')}`]),
      ...(description === undefined || description === '' ? [] : [JSON.stringify(description.slice(0, 120))]),
    ].join(', '),
  )
}

/** What an operator's state was at a decision, on one line. */
export function stateLine(state: Facts, near: number): string {
  const { value, held, since, until, letGo, passed, windowEnds, sum, next, ...rest } = state
  const parts: string[] = []
  if ('value' in state) parts.push(`value ${shown(value)}`)
  if (typeof held === 'number' && held > 0) {
    const span = typeof since === 'number' ? ` ${spanWords(since, until, near)}` : ''
    parts.push(letGo === true ? `held${span}, ${count(held, 'event')} let go` : `${count(held, 'event')} held${span}`)
  }
  if (passed !== undefined) parts.push(`${shown(passed)} passed in this window`)
  if (typeof windowEnds === 'number') parts.push(`which ends at ${clock(windowEnds * 1000, near)}`)
  if (sum !== undefined) parts.push(`sum ${shown(sum)}`)
  if (typeof next === 'number') parts.push(`next at ${clock(next * 1000, near)}`)
  for (const [name, fact] of Object.entries(rest)) if (fact !== undefined) parts.push(`${name} ${shown(fact)}`)
  return printable(parts.join(', '))
}

/** Why an operator let nothing of an event on. */
export function gateWords({ gate, event, atMs }: Seen, ended?: Seen): string {
  if (gate === undefined) return ''
  if (gate.failed === 'threw') return 'it threw: the rest of the branch was left out for this event'
  if (gate.failed === 'out')
    return 'the branch is out: it stalled the engine, and stays so until the rules are switched'
  const words = gateTexts[gate.operator]
  return printable(words?.(gate, { event, atMs, ended }) ?? 'it let nothing of it on')
}

interface At {
  readonly event: Event | undefined
  readonly atMs: number
  readonly ended: Seen | undefined
}

const gateTexts: Readonly<Record<string, (gate: Gate, at: At) => string>> = {
  where: ({ branch }) =>
    branch === 'otherwise' ? 'it did hold, and the rule stands below `otherwise`' : 'it did not hold',
  split: () => 'another of its streams took it, or none did',
  by: () => 'it has no room for a new key (setting forksPerBy): live ones are kept, new ones refused',
  stable: stableWords,
  throttle: ({ before, says }, { atMs }) =>
    `${says.split(' ')[1]} had passed in this window already${endOf(before, atMs)}`,
  rollup: ({ after }, { atMs }) => `it is held back for the list at the window's end${endOf(after, atMs)}`,
  changed: ({ before }) => `the value was ${shown(before?.value)} already`,
  changedPairs: ({ before }) => `the value was ${shown(before?.value)} already`,
  over: (_gate, at) => metricWords(at),
  under: (_gate, at) => metricWords(at),
  within: (_gate, at) => metricWords(at),
  tagged: (_gate, { event }) => {
    const tags = event?.tags ?? []
    return tags.length === 0 ? 'the event has no tags' : `the event has the tags ${tags.join(' ')}`
  },
  expired: () => 'the event was not expired',
  notExpired: () => 'the event was expired: its state said so, or it was older than its ttl when it came',
  smap: () => 'it gave nothing',
  fixedEventWindow: windowWords,
  fixedTimeWindow: windowWords,
  movingTimeWindow: () => 'the event was older than the window',
  rate: nextWords,
  percentiles: nextWords,
}

function stableWords({ says, before, after }: Gate, { ended, atMs }: At): string {
  const wanted = `${says.split(' ')[1]} s are needed`
  const held = ended?.gate?.before ?? after ?? before
  const { value, since, until } = held ?? {}
  if (typeof since !== 'number' || typeof until !== 'number') return `the value ${shown(value)} is new; ${wanted}`
  const span = `${seconds(until - since)} (${spanWords(since, until, atMs)})`
  if (ended === undefined && since === until) {
    return `the value ${shown(value)} came ${spanWords(since, until, atMs)}, and had not held yet; ${wanted}`
  }
  if (ended === undefined) return `the value ${shown(value)} had held for ${span} so far; ${wanted}`
  const endedAt = ended.event?.time === undefined ? ended.atMs : Number(ended.event.time) * 1000
  const next = ended.gate?.after?.value
  const then = next === undefined ? 'then it changed' : `then it was ${shown(next)}`
  const how = since === until ? `was seen once (at ${clock(since * 1000, atMs)})` : `held only ${span}`
  return `the value ${shown(value)} ${how}, ${then} at ${clock(endedAt, atMs)}; ${wanted}`
}

function windowWords({ after }: Gate): string {
  return `its window is not over: ${count(Number(after?.held ?? 0), 'event')} so far`
}

function nextWords({ after }: Gate, { atMs }: At): string {
  return typeof after?.next === 'number'
    ? `it counts, and gives the sum at ${clock(after.next * 1000, atMs)}`
    : 'it counts'
}

function endOf(facts: Facts | undefined, atMs: number): string {
  return typeof facts?.windowEnds === 'number' ? `, which ends at ${clock(facts.windowEnds * 1000, atMs)}` : ''
}

function metricWords({ event }: At): string {
  return event?.metric === undefined ? 'the event has no metric' : `the metric was ${String(event.metric)}`
}

function spanWords(since: number, until: unknown, near: number): string {
  if (since === until) return `at ${clock(since * 1000, near)}`
  const to = typeof until === 'number' ? ` to ${clock(until * 1000, near)}` : ''
  return `from ${clock(since * 1000, near)}${to}`
}

/** A fact as people read it. */
function shown(value: unknown): string {
  if (value === undefined) return 'absent'
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** `1 event`, `2 events`. */
export function count(many: number, what: string): string {
  return `${many} ${what}${many === 1 ? '' : 's'}`
}
