import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EventCursor, eventToCursor, SymbolTable, type Event } from '@ricci/client'
import { QueryCache } from './cache.ts'
import { compilePredicate } from './compile.ts'
import { parseQuery } from './parser.ts'
import { compareSorted, sortReader } from './sort.ts'
import type { QueryTable } from './verdicts.ts'

function cursorOf(event: Event, table: SymbolTable): EventCursor {
  const cursor = new EventCursor()
  assert.ok(eventToCursor(event, table, cursor))
  return cursor
}

/** A table that counts what is asked of it. */
function counting(table: SymbolTable): QueryTable & { asked: number } {
  return {
    asked: 0,
    text(id) {
      this.asked++
      return table.text(id)
    },
    tagsOf: (set) => table.tagsOf(set),
    attributesOf: (set) => table.attributesOf(set),
    get generation() {
      return table.generation
    },
  }
}

describe('verdicts', () => {
  test('texts that are interned after compiling match', () => {
    const table = new SymbolTable()
    const tests = ['host = "late"', 'host =~ "la%"', 'host ~= "^la"', 'tagged "late"', 'dc = "late"'].map((query) =>
      compilePredicate(query, table),
    )
    const early = cursorOf({ host: 'early' }, table)
    for (const matches of tests) assert.equal(matches(early), false)
    for (let i = 0; i < 300; i++) table.internText(`filler ${i}`)
    const late = cursorOf({ host: 'late', tags: ['x', 'late'], attributes: { dc: 'late' } }, table)
    for (const matches of tests) assert.equal(matches(late), true)
  })

  test('each text is judged once', () => {
    const table = new SymbolTable()
    const counted = counting(table)
    const matches = compilePredicate('host ~= "^a" and not service = "x" and dc != "y"', counted)
    const event = cursorOf({ host: 'a', service: 's', attributes: { dc: 'fra' } }, table)
    assert.equal(matches(event), true)
    const { asked } = counted
    for (let i = 0; i < 100; i++) assert.equal(matches(event), true)
    assert.equal(counted.asked, asked)
  })

  test('an id that means another text after a sweep is judged anew', () => {
    const table = new SymbolTable()
    const matches = compilePredicate('host = "a"', table)
    const before = cursorOf({ host: 'a' }, table)
    assert.equal(matches(before), true)
    const none = new Uint8Array(0)
    table.sweep({ symbols: none, tagSets: none, attributeSets: none })
    const after = cursorOf({ host: 'b' }, table)
    assert.equal(after.host, before.host)
    assert.equal(matches(after), false)
  })

  test('are kept on the first ids alone where a query says so', () => {
    const counted = {
      ...counting(new SymbolTable()),
      text: (id: number) => (counted.asked++, `host ${id}`),
      judgedOnce: 8,
    }
    const matches = compilePredicate('host ~= "[29]"', counted)
    const event = new EventCursor()
    for (const [host, verdict, asked] of [
      [2, true, 1],
      [2, true, 1],
      [3, false, 2],
      [9, true, 3],
      [9, true, 4],
      [8, false, 5],
    ] as const) {
      event.host = host
      assert.deepEqual([matches(event), counted.asked], [verdict, asked])
    }
  })
})

describe('values', () => {
  const verdicts: [query: string, event: Event, verdict: boolean][] = [
    ['metric = 9007199254740993', { metric: 9007199254740993n }, true],
    ['metric = 9007199254740993', { metric: 9007199254740992 }, false],
    ['metric > 9007199254740992.0', { metric: 9007199254740993n }, true],
    ['metric < 1e300', { metric: 2n ** 62n }, true],
    ['metric != 1', {}, true],
    ['metric != 1', { metric: 1, metricType: 'double' }, false],
    ['metric = metric', { metric: NaN }, false],
    ['metric != NaN', { metric: NaN }, true],
    ['host = service', { host: 'a', service: 'a' }, true],
    ['nosuch = nothing', {}, true],
    ['tags = tags and tags != "x" and not tags = true', { tags: ['x'] }, true],
    ['tags = nil', {}, true],
    ['description = "ä" and description', { description: 'ä' }, true],
    ['description =~ "%b%"', { description: 'abc' }, true],
    ['not description', { description: '' }, false],
    ['ttl = 60 and time >= 1.5', { ttl: 60, time: 1.5 }, true],
    ['ttl < 5', {}, false],
    ['host = ""', { host: '' }, true],
    ['host', { host: '' }, true],
    ['__proto__ = nil and constructor = nil', { attributes: { a: 'b' } }, true],
  ]
  for (const [query, event, verdict] of verdicts) {
    test(`${query} of ${String(event.metric ?? '')}`, () => {
      const table = new SymbolTable()
      assert.equal(compilePredicate(query, table)(cursorOf(event, table)), verdict)
    })
  }
})

describe('the cache of queries', () => {
  test('keeps those asked lately, and no more than its limit', () => {
    const cache = new QueryCache(new SymbolTable(), 3)
    const first = cache.get('true')
    for (const query of ['host', 'service', 'true', 'state', 'metric']) cache.get(query)
    assert.equal(cache.size, 3)
    assert.equal(cache.get('true'), first)
    assert.throws(() => cache.get('host ='), { code: 'QUERY_SYNTAX' })
    assert.equal(cache.size, 3)
  })

  test('keeps fewer where they are long: each condition costs memory', () => {
    const cache = new QueryCache(new SymbolTable())
    const long = (n: number) => `host = "${n}${'x'.repeat(30_000)}"`
    for (const n of [1, 2, 3, 4]) cache.get(long(n))
    assert.equal(cache.size, 2)
    const longest = `host = "${'x'.repeat(65_000)}"`
    assert.equal(cache.get(longest), cache.get(longest))
    assert.equal(cache.size, 1)
    for (const query of ['true', 'host', 'service']) cache.get(query)
    assert.equal(cache.size, 4)
  })

  test('knows what a query costs: by its conditions, and by the length of descriptions it reads', () => {
    const table = new SymbolTable()
    const event = cursorOf({ host: 'a', description: 'x'.repeat(3_200) }, table)
    const cost = (query: string) => new QueryCache(table).get(query).cost(event)
    assert.equal(cost('host = "a" and not (metric > 1 or tagged "x")'), 1)
    assert.equal(cost(Array.from({ length: 800 }, (_, i) => `host = "${i}"`).join(' or ')), 101)
    assert.equal(cost('host = "a" and description ~= "b" and not "c" = description'), 401)
    assert.ok(cost('description ~= "[a-z]{50}"') < 300, 'a common regular expression by the bytes it reads')
    const large = cost('description ~= "(?:[a-z]{0,99}x?){10}"')
    assert.ok(large > 20_000, `a large one by its states too, not ${large}`)
    event.descriptionLength = -1
    assert.equal(cost('description ~= "b"'), 1)
  })
})

test('sort by', () => {
  const events: Event[] = [
    { host: 'a', metric: 2 },
    { host: 'b', metric: 2n ** 60n },
    { host: 'c' },
    { host: 'd', metric: -1.5 },
    { host: 'e', metric: NaN },
    { host: 'f', metric: 2, attributes: { dc: 'x' } },
  ]
  const order = (query: string): string => {
    const table = new SymbolTable()
    const keys = parseQuery(query).sort!
    const read = sortReader(keys, table)
    const compare = compareSorted(keys)
    return events
      .map((event) => ({ host: event.host, values: read(cursorOf(event, table)) }))
      .sort((a, b) => compare(a.values, b.values))
      .map(({ host }) => host)
      .join('')
  }
  assert.equal(order('true sort by metric'), 'dafbec')
  assert.equal(order('true sort by metric desc'), 'ebafdc')
  assert.equal(order('true sort by metric host desc'), 'dfabec')
  assert.equal(order('true sort by dc host desc'), 'fedcba')
})
