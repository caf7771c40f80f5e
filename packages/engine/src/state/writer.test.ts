/** Cuts of a state of many chunks, worked on while everything changes. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EngineBench, SeededRandom } from '@ricci/testkit'
import { by, changed, fixedTimeWindow, incident, index, rules, type StateCut, stable, tap } from '../index.ts'

const t0 = 1_700_000_000_000
const keys = 5_000
const perRecord = 100

const watched = rules(
  index(),
  by(['host', 'service'], changed('state', tap('changed')), stable(5, 'state', tap('stable'))),
  incident('bad', { to: 'oncall' }),
  by('service', fixedTimeWindow(10, tap('window'))),
)

/** Events of every key in an order of its own each round, with texts of many lengths, integers too large for a double, and NaN. */
class Load {
  readonly bench = new EngineBench(watched)
  readonly #random: SeededRandom
  #round = 0

  constructor(seed: string) {
    this.#random = new SeededRandom(seed)
  }

  /** @param after is called after each record */
  round(after: () => void = () => undefined): void {
    const now = t0 + this.#round * 1_000
    const order = Array.from({ length: keys }, (_, key) => ({ key, at: this.#random.next() }))
    order.sort((a, b) => a.at - b.at)
    for (let i = 0; i < keys; i += perRecord) {
      this.bench.events(now, ...order.slice(i, i + perRecord).map(({ key }) => this.#event(key, now)))
      after()
    }
    this.bench.tick(1_000, now)
    after()
    this.#round++
  }

  #event(key: number, now: number): Event {
    const chance = this.#random.next()
    return {
      host: `h${key >> 4}`,
      service: `s${key & 15}`,
      state: chance < 0.1 ? 'bad' : 'ok',
      time: now / 1_000,
      metric: chance < 0.05 ? 2n ** 60n + BigInt(key) : chance < 0.1 ? NaN : chance,
      ttl: 1 + (key & 3),
      ...(chance < 0.8 ? { description: 'x'.repeat(Math.floor(chance * 300)) } : {}),
    }
  }
}

function finish(cut: StateCut): string | undefined {
  while (cut.step());
  return cut.hash
}

describe('a cut of the state', () => {
  it('gives the hash and the snapshot of its position, whatever is applied between its steps', () => {
    const load = new Load('cut')
    const { bench } = load
    load.round()
    load.round()
    assert.ok(bench.engine.incidents().closed.length > 64, 'a long list is among it')
    for (const pace of [1, 7]) {
      const { engine } = bench
      const atCut = engine.stateHash()
      const slices: Uint8Array[] = []
      const cut = engine.cut((slice) => slices.push(slice))
      assert.equal(cut.offset, engine.appliedOffset)
      let records = 0
      let steps = 0
      let copied = 0
      load.round(() => {
        if (++records % pace === 0 && cut.step()) steps++
        copied = Math.max(copied, cut.copiedBytes)
      })
      assert.ok(steps > 5, `only ${steps} steps were left between records`)
      assert.ok(copied > 100_000, 'nothing was copied aside: nothing was shown')
      assert.ok(copied <= engine.stats().bytes, 'no more is copied than there is')
      assert.equal(finish(cut), atCut)
      assert.equal(cut.copiedBytes, 0)
      const restored = bench.open(new Uint8Array(Buffer.concat(slices)))
      assert.equal(restored.stateHash(), atCut)
      assert.notEqual(engine.stateHash(), atCut)
    }
  })

  it('holds pages, incidents and producers as they stood, whatever becomes of them between its steps', () => {
    const count = 400
    const bench = new EngineBench(watched, { pagesPerMinute: 300 })
    const mark = (i: number, sequence: number) => ({ producer: `p${i}`, incarnation: 1, sequence, sentAtMs: t0 })
    const event = (i: number, state: string, sequence: number) =>
      bench.marked(t0, mark(i, sequence), { host: `h${i}`, service: 's', state, time: t0 / 1_000, ttl: 600 })
    for (let i = 0; i < count; i++) event(i, 'bad', 1)
    const pages = bench.engine.pendingPages().map(({ id }) => id)
    const attempt = { epoch: 1, n: 1, receiver: 'oncall', pages: pages.slice(0, 200) }
    bench.append({ kind: 'attempt', ...attempt })
    const steps = [
      () => bench.append({ kind: 'outcome', ...attempt, result: 'failed' }),
      () => {
        for (let i = 0; i < count; i += 3) event(i, 'ok', 2)
      },
      () => bench.append({ kind: 'outcome', ...attempt, n: 1, pages: pages.slice(50, 100), result: 'delivered' }),
      () => {
        for (let i = 0; i < count; i += 2) event(i, 'bad', 5)
        const command = { kind: 'command', name: 'acknowledge', who: 'me', from: 'here', why: 'so' } as const
        const open = bench.engine.incidents().open
        for (const [i, { rule, key }] of open.entries()) {
          if (i % 5 === 0) bench.append({ ...command, id: `${i}`, arguments: { rule, key } })
        }
      },
    ]
    for (const step of steps) {
      const { engine } = bench
      const atCut = engine.stateHash()
      const slices: Uint8Array[] = []
      const cut = engine.cut((slice) => slices.push(slice))
      step()
      cut.step()
      assert.equal(finish(cut), atCut)
      assert.notEqual(engine.stateHash(), atCut)
      const restored = bench.open(new Uint8Array(Buffer.concat(slices)))
      assert.equal(restored.stateHash(), atCut)
    }
    assert.ok(bench.engine.incidents().open.some(({ acknowledged }) => acknowledged !== undefined))
  })

  it('is ended by a newer one, and says so', () => {
    const load = new Load('newer')
    load.round()
    const { engine } = load.bench
    const older = engine.cut()
    const carried = engine.snapshot()
    assert.equal(finish(older), undefined)
    const newer = engine.cut()
    load.round()
    assert.throws(() => [...carried], { code: 'SNAPSHOT_UNREADABLE' })
    assert.match(finish(newer)!, /^[0-9a-f]{16}$/)
  })

  it('names the columns in which two states differ', () => {
    const [one, other] = [new Load('parts'), new Load('parts')]
    one.round()
    other.round()
    const parts = (load: Load) => {
      const cut = load.bench.engine.cut()
      finish(cut)
      return cut.parts
    }
    assert.deepEqual(parts(one), parts(other))
    const event = { host: 'h1', service: 's1', state: 'ok', time: t0 / 1_000, ttl: 60 }
    one.bench.events(t0, { ...event, metric: 1 })
    other.bench.events(t0, { ...event, metric: 2 })
    const differing = parts(one).filter(({ name, hash }, i) => {
      assert.equal(name, parts(other)[i].name)
      return hash !== parts(other)[i].hash
    })
    assert.deepEqual(
      differing.map(({ name }) => name),
      ['the head', 'the index: events', 'by[1] > stable[1]: held', 'by[3] > fixedTimeWindow[0]: held'],
    )
  })
})
