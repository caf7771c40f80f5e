import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeMsg, EventCursor, MsgReader, SymbolTable, type Event } from './index.ts'

const everything = (length: number) => new Uint8Array(length).fill(1)

test('equal texts get one id, ids are dense and start at 1, 0 is absent', () => {
  const table = new SymbolTable()
  assert.equal(table.internText('a'), 1)
  assert.equal(table.internText(''), 2)
  assert.equal(table.internText('é'), 3)
  assert.equal(table.internText('a'), 1)
  assert.deepEqual([table.text(0), table.text(1), table.text(2), table.text(3)], ['', 'a', '', 'é'])
  assert.equal(table.find('é'), 3)
  assert.equal(table.find('b'), 0)
  assert.equal(table.size, 3)
  assert.equal(table.bytes, 3)
})

test('bytes that are no UTF-8 are the symbol of their repaired text', () => {
  const table = new SymbolTable()
  const repaired = table.internText('a\ufffd')
  assert.equal(table.intern(Uint8Array.of(0x61, 0xff), 0, 2), repaired)
  assert.equal(table.intern(Uint8Array.of(0, 0x61, 0xc3), 1, 2), repaired)
  assert.equal(table.text(repaired), 'a\ufffd')
  assert.equal(table.size, 1)
})

test('a set of tags keeps order and drops repeats; one of attributes is ordered by name, the last value wins', () => {
  const table = new SymbolTable()
  const [a, b, c] = ['a', 'b', 'c'].map((text) => table.internText(text))
  const tags = table.internTags([b, a, b])
  assert.deepEqual([...table.tagsOf(tags)], [b, a])
  assert.notEqual(table.internTags([a, b]), tags)
  assert.equal(table.internTags([]), 0)
  const attributes = table.internAttributes([c, a, a, b, c, b])
  assert.deepEqual([...table.attributesOf(attributes)], [a, b, c, b])
  assert.equal(table.internAttributes([a, b, c, b]), attributes)
  assert.equal(table.attribute(attributes, c), b)
  assert.equal(table.attribute(attributes, b), 0)
  assert.deepEqual([...table.attributesOf(0)], [])
})

test('a full table gives 0 and keeps what it has; the reader says that the event overflowed', () => {
  const table = new SymbolTable({ maxSymbols: 3 })
  const reader = new MsgReader()
  const cursor = new EventCursor()
  reader.open(
    encodeMsg({ events: [{ host: 'a', service: 's' }, { host: 'a', service: 't', tags: ['x'] }, { host: 'a' }] }),
  )
  assert.ok(reader.next(cursor, table))
  assert.ok(!reader.overflowed)
  assert.ok(reader.next(cursor, table))
  assert.ok(reader.overflowed)
  assert.ok(reader.next(cursor, table))
  assert.ok(!reader.overflowed)
  assert.equal(table.text(cursor.host), 'a')
  assert.equal(table.internText('y'), 0)
  assert.notEqual(table.internText('a'), 0)
  assert.equal(new SymbolTable({ maxSymbolTableBytes: 2 }).internText('abc'), 0)
})

test('what is not marked is freed, and what sets hold stays', () => {
  const table = new SymbolTable()
  const ids = ['a', 'b', 'c', 'd', 'e'].map((text) => table.internText(text))
  const kept = table.internTags([ids[1]])
  const gone = table.internTags([ids[2]])
  const symbols = new Uint8Array(6)
  symbols[ids[0]] = 1
  const tagSets = new Uint8Array(3)
  tagSets[kept] = 1
  assert.equal(table.sweep({ symbols, tagSets, attributeSets: new Uint8Array(0) }), 3)
  assert.equal(table.size, 2)
  assert.equal(table.text(ids[2]), '')
  assert.deepEqual([...table.tagsOf(gone)], [])
  assert.deepEqual([...table.tagsOf(kept)], [ids[1]])
  assert.deepEqual(
    ['x', 'y', 'b', 'z', 'new'].map((text) => table.internText(text)),
    [3, 4, 2, 5, 6],
  )
})

test('a reader that remembers freed ids is not misled', () => {
  const table = new SymbolTable()
  const reader = new MsgReader()
  const cursor = new EventCursor()
  const read = (event: Event) => {
    reader.open(encodeMsg({ events: [event] }))
    reader.next(cursor, table)
    return [table.text(cursor.host), [...table.tagsOf(cursor.tags)].map((id) => table.text(id))]
  }
  assert.deepEqual(read({ host: 'aa', tags: ['t1'] }), ['aa', ['t1']])
  const none = new Uint8Array(0)
  table.sweep({ symbols: none, tagSets: none, attributeSets: none })
  assert.deepEqual(read({ host: 'bb', tags: ['t2'] }), ['bb', ['t2']])
  assert.deepEqual(read({ host: 'aa', tags: ['t1'] }), ['aa', ['t1']])
})

type Step = { intern: string } | { tags: string[] } | { attributes: [string, string][] } | { keep: number } | 'restore'
const word = fc.oneof(fc.constantFrom('', 'a', 'b', 'c', 'é'), fc.string({ maxLength: 6 }))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ intern: word }) },
  { weight: 2, arbitrary: fc.record({ tags: fc.array(word, { minLength: 1, maxLength: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ attributes: fc.array(fc.tuple(word, word), { minLength: 1, maxLength: 3 }) }) },
  { weight: 1, arbitrary: fc.record({ keep: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 1, arbitrary: fc.constant('restore' as const) },
)

test('a restored table gives the same ids as one that went on, caches or not, and has the same hash', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const [lasting, readers] = [new SymbolTable(), [new MsgReader(), new MsgReader()]]
      let restored = new SymbolTable()
      for (const step of steps) {
        if (step === 'restore') restored = SymbolTable.restore(restored.dump())
        else assert.equal(apply(restored, readers[1], step), apply(lasting, readers[0], step))
        assert.equal(restored.hash(), lasting.hash())
        assert.equal(restored.bytes, lasting.bytes)
      }
      assert.deepEqual(restored.dump(), lasting.dump())
      assert.equal(restored.hash(), lasting.hash())
    }),
    { numRuns: 500 },
  )
})

function apply(table: SymbolTable, reader: MsgReader, step: Exclude<Step, 'restore'>): string {
  const cursor = new EventCursor()
  if ('keep' in step) {
    const symbols = everything(table.highestId + 1).map((_, id) => Number(id % step.keep !== 0))
    const sets = (highest: number) => everything(highest + 1).map((_, id) => Number(id % step.keep === 0))
    table.sweep({ symbols, tagSets: sets(table.highestTagSet), attributeSets: sets(table.highestAttributeSet) })
    return `${table.size} left`
  }
  const event: Event =
    'intern' in step
      ? { host: step.intern }
      : 'tags' in step
        ? { tags: step.tags }
        : { attributes: Object.fromEntries(step.attributes.map(([name, value]) => [`_${name}`, value])) }
  reader.open(encodeMsg({ events: [event] }))
  reader.next(cursor, table)
  return `${cursor.host} ${cursor.tags} ${cursor.attributes}`
}

test('tables of different contents, order or free ids differ in hash', () => {
  const hashOf = (...texts: string[]) => {
    const table = new SymbolTable()
    for (const text of texts) table.internText(text)
    return table.hash()
  }
  const hashes = [hashOf(), hashOf('a'), hashOf('b'), hashOf('a', 'b'), hashOf('b', 'a')]
  const table = new SymbolTable()
  table.internText('a')
  table.internText('b')
  table.sweep({ symbols: Uint8Array.of(0, 1, 0), tagSets: everything(0), attributeSets: everything(0) })
  hashes.push(table.hash())
  assert.equal(new Set(hashes).size, hashes.length)
})

test('what is no dump is refused', () => {
  const table = new SymbolTable()
  table.internText('a')
  const bytes = Buffer.from(table.dump())
  assert.deepEqual(SymbolTable.restore(bytes).hash(), table.hash())
  const wrong = { name: 'CodecError', code: 'DUMP_UNREADABLE' }
  assert.throws(() => SymbolTable.restore(new Uint8Array(3)), wrong)
  assert.throws(() => SymbolTable.restore(bytes.subarray(0, bytes.length - 14)), wrong)
  assert.throws(() => SymbolTable.restore(Buffer.from(bytes).fill(0x7f, 16, 20)), wrong)
})

test('100,000 symbols stay findable through growth', () => {
  const table = new SymbolTable()
  for (let i = 1; i <= 100_000; i++) assert.equal(table.internText(`symbol-${i}`), i)
  for (let i = 1; i <= 100_000; i += 997) assert.equal(table.find(`symbol-${i}`), i)
  assert.equal(table.find('symbol-0'), 0)
})

test('runs too many, or too long, for the cache are still read', () => {
  const table = new SymbolTable()
  const reader = new MsgReader()
  const cursor = new EventCursor()
  const names = (event: Event) => {
    reader.open(encodeMsg({ events: [event] }))
    reader.next(cursor, table)
    return [...table.tagsOf(cursor.tags)].map((id) => table.text(id))
  }
  for (let i = 0; i < 20_000; i++) assert.deepEqual(names({ tags: [`tag-${i}`] }), [`tag-${i}`])
  const long = Array.from({ length: 200 }, (_, i) => `${i}-${'x'.repeat(8_000)}`)
  assert.deepEqual(names({ tags: long }), long)
  assert.deepEqual(names({ tags: ['tag-7'] }), ['tag-7'])
})
