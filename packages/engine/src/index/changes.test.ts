import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EventCursor, eventToCursor, SymbolTable, type Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { defaultSettings, index, rules, type ChangePosition, type ChangesPage } from '../index.ts'
import { Clocks } from '../time/clocks.ts'
import { ChangeRing, type ChangeLimits } from './changes.ts'
import { Index } from './store.ts'

const t0 = 1_700_000_000_000
const everything = { matches: () => true, cost: () => 1 }

const told = ({ changes }: ChangesPage): [number, string | undefined, string | undefined][] =>
  changes.map(({ offset, event }) => [offset, event.service, event.state])

/** An engine that indexes everything, after its first tick; the next record is that of offset 3. */
function indexing(settings: Readonly<Record<string, unknown>> = {}): EngineBench {
  const bench = new EngineBench(rules(index()), settings)
  bench.tick(0, t0)
  return bench
}

describe('engine.changes', () => {
  it('gives what was put in, taken out and expired, with the offsets of the records that did it', () => {
    const bench = indexing()
    const { next } = bench.engine.changes()
    assert.deepEqual(next, { offset: 3, nth: 0 })
    bench.events(t0, { host: 'a', service: 'x', ttl: 1 }, { host: 'a', service: 'y' })
    bench.events(t0, { host: 'a', service: 'y', state: 'expired' }, { host: 'a', service: 'z', state: 'expired' })
    bench.tick(2_000, t0 + 2_000)
    const page = bench.engine.changes(next)
    assert.deepEqual(told(page), [
      [3, 'x', undefined],
      [3, 'y', undefined],
      [4, 'y', 'expired'],
      [5, 'x', 'expired'],
    ])
    assert.deepEqual([page.next, page.gapUntil, page.appliedOffset], [{ offset: 6, nth: 0 }, undefined, 5])
  })

  it('gives pages that begin where the one before ended, also within a record', () => {
    const bench = indexing()
    bench.engine.changes()
    bench.events(t0, ...Array.from({ length: 7 }, (_, i) => ({ host: 'a', service: `s${i}`, metric: i })))
    const found: unknown[] = []
    let from: ChangePosition = { offset: 3, nth: 0 }
    for (let pages = 0; from.offset === 3; pages++) {
      assert.ok(pages < 10)
      const page = bench.engine.changes(from, { query: 'metric != 2', limit: 2, budget: 3 })
      found.push(...page.changes.map(({ event }) => event.service))
      from = page.next
    }
    assert.deepEqual(found, ['s0', 's1', 's3', 's4', 's5', 's6'])
    assert.throws(() => bench.engine.changes(from, { query: '(' }), { code: 'QUERY_SYNTAX' })
  })

  it('gives whoever names a host the changes of that host, and looks at no other', () => {
    const bench = indexing()
    const { next: start } = bench.engine.changes()
    const hosts = ['a', 'b', 'c']
    let service = 0
    for (let record = 0; record < 40; record++) {
      const events = Array.from({ length: 1 + ((record * 7) % 5) }, () => ({
        host: hosts[(service * service + record) % 3],
        service: `s${service++}`,
      }))
      bench.events(t0, ...events, { service: `nobody's ${record}` })
    }
    const all = bench.engine.changes(start)
    assert.equal(all.looked, service + 40)
    for (const host of hosts) {
      const due = all.changes.filter(({ event }) => event.host === host)
      assert.ok(due.length > 10)
      for (const [limit, budget] of [
        [1_000, 1_000],
        [3, 1_000],
        [1_000, 2],
        [1, 1],
      ]) {
        const found: unknown[] = []
        let looked = 0
        for (let from = start; from.offset <= bench.engine.appliedOffset;) {
          const page = bench.engine.changes(from, { query: `host = "${host}"`, limit, budget })
          found.push(...page.changes)
          looked += page.looked
          from = page.next
        }
        assert.deepEqual(found, due)
        assert.ok(looked <= due.length + 1, `${looked} of ${due.length} were looked at`)
      }
      const odd = bench.engine.changes(start, { query: `host = "${host}" and service =~ "%1"` })
      assert.deepEqual(
        odd.changes,
        due.filter(({ event }) => event.service!.endsWith('1')),
      )
    }
    const nobody = bench.engine.changes(start, { query: 'host = "z"' })
    assert.deepEqual([nobody.changes, nobody.next], [[], all.next])
  })

  it('says from where on it knows changes when asked for older ones', () => {
    const bench = indexing()
    bench.events(t0, { host: 'a', service: 'before' })
    const page = bench.engine.changes({ offset: 1, nth: 0 })
    assert.deepEqual([page.gapUntil, page.changes], [{ offset: 4, nth: 0 }, []])
    bench.events(t0, { host: 'a', service: 'after' })
    assert.deepEqual(told(bench.engine.changes(page.next)), [[4, 'after', undefined]])
    assert.equal(bench.engine.changes(page.next).gapUntil, undefined)
  })

  it('goes on at an engine restored from before, without a gap, and says what it missed at one restored from after', () => {
    const bench = indexing()
    const { next } = bench.engine.changes()
    const early = bench.open(new Uint8Array(Buffer.concat([...bench.engine.snapshot()])))
    bench.events(t0, { host: 'a', service: 'told' })
    bench.events(t0, { host: 'a', service: 'x' }, { host: 'a', service: 'y' })
    const told1 = bench.engine.changes(next, { limit: 2 })
    assert.deepEqual(told1.next, { offset: 4, nth: 1 })
    const late = bench.open(new Uint8Array(Buffer.concat([...bench.engine.snapshot()])))
    bench.events(t0, { host: 'a', service: 'z' })
    early.changes(told1.next)
    for (let offset = 3; offset <= 5; offset++) early.apply(offset, bench.log[offset], 0)
    assert.deepEqual(told(early.changes(told1.next)), [
      [4, 'y', undefined],
      [5, 'z', undefined],
    ])
    late.changes(told1.next)
    late.apply(5, bench.log[5], 0)
    const page = late.changes(told1.next)
    assert.deepEqual([page.gapUntil, told(page)], [{ offset: 5, nth: 0 }, [[5, 'z', undefined]]])
  })

  it('is no state: who is asked and who is not have the same hashes and snapshots', () => {
    const [asked, left] = [indexing(), indexing()]
    asked.engine.changes()
    for (const bench of [asked, left]) bench.events(t0, { host: 'a', service: 'x', description: 'd' })
    asked.engine.changes()
    assert.equal(asked.engine.stateHash(), left.engine.stateHash())
    assert.deepEqual(Buffer.concat([...asked.engine.snapshot()]), Buffer.concat([...left.engine.snapshot()]))
  })

  it('never tells a text that was freed since as another one', () => {
    const bench = indexing({ symbols: 1_000, idleForkMs: 3_000 })
    const { next } = bench.engine.changes()
    let from = next
    let seen = 0
    let gaps = 0
    for (let i = 0; i < 400; i++) {
      bench.events(t0 + i * 1_000, ...[0, 1, 2].map((n) => churned(3 * i + n)))
      // the engine counts ticks by their numbers: this is one at which texts are collected
      bench.ticks = 599 + 600 * i
      bench.tick(1_000, t0 + (i + 1) * 1_000)
      if (i % 20 !== 19) continue
      const page = bench.engine.changes(from, { query: 'state != "expired"' })
      if (page.gapUntil !== undefined) gaps++
      for (const { event } of page.changes) {
        seen++
        const { ttl: _, time: __, ...rest } = event
        assert.deepEqual(rest, JSON.parse(JSON.stringify(plain(churned(event.metric as number)))))
      }
      from = page.next
    }
    assert.ok(gaps > 2 && seen > 100, `${gaps} gaps, ${seen} events`)
  })
})

/** An event whose texts nobody else has. */
function churned(i: number): Event {
  return { host: `host ${i}`, service: `s${i}`, state: `in ${i}`, metric: i, ttl: 2, tags: [`tag ${i}`] }
}

const plain = ({ ttl: _, ...event }: Event): Event => event

/** A ring with limits of its own over an index. */
class SmallRing {
  readonly table = new SymbolTable()
  readonly index = new Index(this.table, new Clocks(), defaultSettings)
  appliedOffset = 0
  readonly ring: ChangeRing

  constructor(limits: ChangeLimits) {
    this.ring = new ChangeRing(this.index, this.table, this, limits)
  }

  put(...descriptions: (string | undefined)[]): void {
    this.putOf('a', ...descriptions)
  }

  putOf(host: string, ...descriptions: (string | undefined)[]): void {
    this.appliedOffset++
    const cursor = new EventCursor()
    for (const description of descriptions) {
      assert.ok(eventToCursor({ host, service: 's', description }, this.table, cursor))
      this.index.put(cursor, 0)
    }
  }

  read(from?: ChangePosition): ChangesPage {
    return this.ring.read(from, everything, {})
  }
}

const descriptions = ({ changes }: ChangesPage): unknown[] => changes.map(({ event }) => event.description)

describe('ChangeRing', () => {
  it('drops the oldest when it is full, and says so', () => {
    const small = new SmallRing({ changes: 4, textBytes: 1_024 })
    const { next } = small.read()
    small.put('1', '2')
    small.read(next)
    small.put('3', '4', '5')
    small.read(next)
    small.put('6')
    const page = small.read(next)
    assert.deepEqual(descriptions(page), ['3', '4', '5', '6'])
    // changes 0 and 1 of record 1 are gone
    assert.deepEqual(page.gapUntil, { offset: 1, nth: 2 })
    assert.equal(small.read({ offset: 2, nth: 0 }).gapUntil, undefined)
    assert.deepEqual(descriptions(small.read({ offset: 2, nth: 1 })), ['4', '5', '6'])
  })

  it('drops the oldest when their descriptions have no room, whatever their lengths', () => {
    const small = new SmallRing({ changes: 64, textBytes: 128 })
    let from = small.read().next
    const put: (string | undefined)[] = []
    for (let i = 0; i < 200; i++) {
      const length = (i * 37) % 71
      const text = length === 70 ? undefined : String(i % 10).repeat(length)
      put.push(text)
      small.put(text)
      const page = small.read(from)
      assert.equal(page.gapUntil, undefined, 'the newest is always there')
      assert.deepEqual(descriptions(page), [text])
      from = page.next
      const all = descriptions(small.read({ offset: 0, nth: 0 }))
      assert.deepEqual(all, put.slice(-all.length))
      assert.ok(all.length < 64 && Buffer.concat(all.map((each) => Buffer.from((each as string) ?? ''))).length <= 128)
    }
    small.put('x'.repeat(129))
    const page = small.read(from)
    assert.deepEqual([page.changes, page.gapUntil], [[], { offset: 201, nth: 1 }])
  })

  it('gives a host what is left of its changes when the ring has gone round', () => {
    const small = new SmallRing({ changes: 8, textBytes: 64 })
    const { next } = small.read()
    for (let n = 0; n < 40; n++) {
      small.putOf(n % 5 === 0 ? 'a' : 'b', String(n))
      const all = small.read(next)
      for (const host of ['a', 'b', 'c']) {
        const page = small.ring.read(next, { ...everything, query: { keys: { host } } }, {})
        assert.deepEqual(
          page.changes,
          all.changes.filter(({ event }) => event.host === host),
        )
        assert.deepEqual([page.next, page.gapUntil], [all.next, all.gapUntil])
      }
    }
  })

  it('stops when a whole ring of changes went by that nobody asked for, and begins again when somebody asks', () => {
    const small = new SmallRing({ changes: 4, textBytes: 1_024 })
    const { next } = small.read()
    for (let i = 0; i < 4; i++) small.put(`${i}`)
    assert.equal(small.read(next).gapUntil, undefined)
    const { onChange } = small.index
    for (let i = 0; i < 5; i++) small.put(`${i}`)
    assert.notEqual(small.index.onChange, onChange, 'nothing is kept any more')
    const page = small.read(next)
    assert.deepEqual([page.changes, page.gapUntil], [[], { offset: 10, nth: 0 }])
    small.put('again')
    assert.deepEqual(descriptions(small.read(page.next)), ['again'])
  })

  it('passes over what comes before the first change that anybody wants', () => {
    const small = new SmallRing({ changes: 4, textBytes: 1_024 })
    small.read({ offset: 50, nth: 0 })
    for (let i = 1; i < 54; i++) small.put(`${i}`)
    const page = small.read({ offset: 51, nth: 0 })
    assert.deepEqual([descriptions(page), page.gapUntil], [['51', '52', '53'], undefined])
  })
})
