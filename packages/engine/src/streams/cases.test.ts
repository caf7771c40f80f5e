/** Runs every operator's table of cases, each case twice: as it stands, and from a snapshot before every row. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { operators, rules, type Stream, tap } from '../index.ts'
import { type Arriving, type Case, type Shown, tableOf } from './cases.ts'

/** Ticks of a second come often enough for every bound, and are an owner's slowest. */
const tickMs = 1_000

class CaseRun {
  readonly bench: EngineBench
  readonly shown: unknown[] = []
  /** Taps, events on their way to sinks, decided pages and errors that rows before this one have seen. */
  #seen = { flowed: 0, taps: 0, pages: 0, errors: 0 }

  constructor({ stream, settings }: Case) {
    this.bench = new EngineBench(rules(stream), settings)
    this.bench.tick(0, 0)
  }

  /** Lets time pass up to a second, by the ticks of an owner or, in a gap, without one. */
  passTo(second: number, arriving: Arriving): void {
    const { bench } = this
    const to = second * 1000
    if (arriving === 'gap') return bench.tick(0, to)
    while (bench.engine.calendarMs < to) {
      const elapsed = Math.min(tickMs, to - bench.engine.calendarMs)
      bench.tick(elapsed, bench.engine.calendarMs + elapsed)
    }
  }

  arrive(second: number, arriving: Arriving): void {
    if (typeof arriving === 'string') return
    this.bench.events(second * 1000, ...(Array.isArray(arriving) ? (arriving as Event[]) : [arriving as Event]))
  }

  /** What came out since it was last asked, in the form of a row. */
  take(): Shown[] {
    const { bench } = this
    const taps = bench.taps.slice(this.#seen.taps)
    const flowed = bench.flowed.slice(this.#seen.flowed)
    const pages = bench.decided.slice(this.#seen.pages)
    const errors = bench.errors.slice(this.#seen.errors)
    this.#seen = {
      flowed: bench.flowed.length,
      taps: bench.taps.length,
      pages: bench.decided.length,
      errors: bench.errors.length,
    }
    return [
      ...flowed.map(([flow, , event]) => ({ flow, shows: event })),
      ...taps.map(([name, value]) => (name === 'out' ? (value as Shown) : { tap: name, shows: value as Event })),
      ...pages.map((page) => ({ page })),
      ...errors.map((throws) => ({ throws })),
    ]
  }
}

/** The differences between a case and what the engine does; none is as it should be. `cut`: go on from a snapshot before each row. */
function differences(one: Case, cut: boolean): string[] {
  const run = new CaseRun(one)
  const wrong: string[] = []
  for (const [second, arriving, ...expected] of one.rows) {
    if (cut) run.bench.cut()
    run.passTo(second, arriving)
    run.arrive(second, arriving)
    const shown = run.take()
    const outputs = expected.filter((part) => !isIndex(part))
    for (let i = 0; i < Math.max(outputs.length, shown.length); i++) {
      const got = i < shown.length ? reduced(shown[i], outputs[i]) : undefined
      const wanted = i < outputs.length ? plain(outputs[i]) : undefined
      if (same(got, wanted)) continue
      wrong.push(`at ${second} s, ${i + 1}.: expected ${JSON.stringify(wanted)}, got ${JSON.stringify(got)}`)
    }
    for (const part of expected) {
      if (!isIndex(part)) continue
      const got = run.bench.engine.query('true').events.map((event, i) => reduced(event, part.index[i]))
      if (!same(got, plain(part.index)))
        wrong.push(`at ${second} s the index: expected ${JSON.stringify(part.index)}, got ${JSON.stringify(got)}`)
    }
  }
  return wrong
}

function isIndex(part: Shown): part is { readonly index: readonly Event[] } {
  return !Array.isArray(part) && 'index' in part
}

/** What was shown, without what the table leaves open. */
function reduced(shown: unknown, expected: unknown): unknown {
  const value = plain(shown)
  const wanted = plain(expected) as Record<string, unknown> | undefined
  if (Array.isArray(value)) return value.map((part, i) => reduced(part, (wanted as unknown[] | undefined)?.[i]))
  if (typeof value !== 'object' || value === null) return value
  const fields = value as Record<string, unknown>
  if ('shows' in fields) return { ...fields, shows: reduced(fields['shows'], wanted?.['shows']) }
  if ('page' in fields) {
    const named = Object.keys((wanted?.['page'] as object | undefined) ?? { action: '', summary: '' })
    return { page: Object.fromEntries(named.map((name) => [name, (fields['page'] as Record<string, unknown>)[name]])) }
  }
  const left = Object.entries(fields).filter(([name]) => !leftOpen.has(name) || (wanted != null && name in wanted))
  return Object.fromEntries(left)
}

const leftOpen = new Set(['time', 'metricType'])

/** As JSON data: what is undefined is absent, a bigint is its digits, NaN and infinities are their names. */
function plain(value: unknown): unknown {
  if (value === undefined) return undefined
  const text = JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'bigint' || (typeof part === 'number' && !Number.isFinite(part)) ? String(part) : part,
  )
  return JSON.parse(text)
}

function same(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}

function uses(stream: Stream, operator: string): boolean {
  return stream.operator === operator || stream.children.some((child) => uses(child, operator))
}

/** What is wrong with an operator's table as a whole. */
function faults(operator: string, table: readonly Case[] | undefined): string[] {
  if (table === undefined) return [`${operator} has no table of cases: call casesOf('${operator}', …) beside it`]
  const wrong = table.filter(({ stream }) => !uses(stream, operator)).map(({ name }) => `"${name}" does not use it`)
  if (new Set(table.map(({ name }) => name)).size < table.length) wrong.push('two cases have one name')
  const emits = ({ rows }: Case) => rows.some(([, , ...shown]) => shown.length > 0)
  if (!table.some(emits)) wrong.push(`no case of ${operator} shows anything`)
  return wrong
}

function none(wrong: readonly string[], where = ''): void {
  assert.ok(wrong.length === 0, where + wrong.join('\n'))
}

describe('the table of cases', () => {
  for (const { name } of operators()) {
    if (name === 'rules') continue
    const table = tableOf(name)
    it(`of ${name} is there, and shows something`, () => none(faults(name, table)))
    for (const one of table ?? []) {
      it(`${name} ${one.name}`, () => {
        none(differences(one, false))
        none(differences(one, true), 'from a snapshot before each row: ')
      })
    }
  }
})

describe('the runner of cases', () => {
  const passes: Case = { name: 'passes', stream: tap('out'), rows: [[1, { metric: 1 }, { metric: 1 }]] }

  it('finds what differs, is missing or is too much', () => {
    assert.deepEqual(differences(passes, false), [])
    for (const row of [
      [1, { metric: 1 }],
      [1, { metric: 1 }, { metric: 2 }],
      [1, { metric: 1 }, { metric: 1, state: 'ok' }],
      [1, { metric: 1, state: 'ok' }, { metric: 1 }],
      [1, { metric: 1 }, { metric: 1, time: 2 }],
      [1, { metric: 1 }, { metric: 1 }, { metric: 1 }],
      [1, { metric: 1 }, [{ metric: 1 }]],
      [1, { metric: 1 }, { tap: 'other', shows: { metric: 1 } }],
      [1, { metric: 1 }, { metric: 1 }, { index: [{ metric: 1 }] }],
    ] as const)
      assert.equal(differences({ ...passes, rows: [row] }, false).length, 1, JSON.stringify(row))
  })

  it('refuses an operator without a table, or with one that shows nothing or is about another', () => {
    const silent: Case = { ...passes, rows: [[1, 'time']] }
    assert.equal(faults('tap', undefined).length, 1)
    assert.equal(faults('tap', []).length, 1)
    assert.equal(faults('tap', [silent]).length, 1)
    assert.equal(faults('by', [passes]).length, 1)
    assert.deepEqual(faults('tap', [passes, silent].slice(0, 1)), [])
  })
})
