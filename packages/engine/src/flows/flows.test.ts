import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeMsg, type Event } from '@ricci/client'
import { EngineBench } from '@ricci/testkit'
import { forward, type FlowPlace, index, rules, sdo, type Stream, where } from '../index.ts'

const startMs = 1_000_000_000_000
const hourMs = 3_600_000

class FlowRun extends EngineBench {
  atMs = startMs

  constructor(stream: Stream = forward('sink'), settings = {}) {
    super(rules(stream), { longestTickMs: 100 * hourMs, ...settings })
    this.tick(0, startMs)
  }

  /** Events in one record, with metrics that count. */
  send(...metrics: number[]): void {
    this.events(this.atMs, ...metrics.map((metric): Event => ({ host: 'a', service: 's', metric })))
  }

  /** In one tick, at which what nothing uses any more is given back. */
  pass(ms: number): void {
    this.ticks = Math.ceil((this.ticks + 1) / 600) * 600 - 1
    this.tick(ms, (this.atMs += ms))
  }

  head(sink = 'sink') {
    return this.engine.flows.heads().find((head) => head.sink === sink)!
  }

  through(position: number, { sink = 'sink', begun = this.head(sink).begun } = {}): void {
    this.append({ kind: 'flowed-through', sink, begun, position })
  }

  /** Positions with their metrics. */
  page(after?: FlowPlace, atMost = 1_000, sink = 'sink'): [position: number, ...metrics: unknown[]][] {
    return this.engine.flows.page(sink, after, atMost).batches.map(({ position, events, msg }) => {
      const { events: sent = [] } = decodeMsg(msg)
      assert.equal(sent.length, events)
      return [position, ...sent.map(({ metric }) => Number(metric))]
    })
  }
}

describe('a flow', () => {
  it('keeps what a record sent as a batch, until its sink has it', () => {
    const run = new FlowRun()
    run.send(1, 2)
    run.send(3)
    assert.deepEqual(run.page(), [
      [1, 1, 2],
      [2, 3],
    ])
    const { begun, ...head } = run.head()
    assert.deepEqual(head, { sink: 'sink', through: 0, last: 2, events: 3, dropped: 0, oldestMs: startMs })
    assert.deepEqual(run.page({ begun, position: 1 }), [[2, 3]])
    run.through(1)
    run.cut()
    assert.deepEqual(run.page(), [[2, 3]])
    assert.deepEqual([run.head().through, run.head().events], [1, 1])
    run.through(2)
    assert.deepEqual(run.page(), [])
    assert.equal(run.head().oldestMs, undefined)
  })

  it('believes a record that goes further, whatever it is told besides', () => {
    const run = new FlowRun()
    for (const metric of [1, 2, 3]) run.send(metric)
    run.through(2)
    for (const [position, begun] of [
      [1, run.head().begun],
      [4, run.head().begun],
      [3, run.head().begun + 1],
    ])
      run.through(position, { begun })
    run.through(1, { sink: 'nobody', begun: 0 })
    assert.equal(run.head().through, 2)
    assert.deepEqual(run.page(), [[3, 3]])
  })

  it('gives pages that follow each other, each of one batch at least', () => {
    const run = new FlowRun()
    for (let i = 1; i <= 9; i += 3) run.send(i, i + 1, i + 2)
    const { begun } = run.head()
    assert.deepEqual(run.page(undefined, 1), [[1, 1, 2, 3]])
    assert.deepEqual(run.page({ begun, position: 1 }, 6), [
      [2, 4, 5, 6],
      [3, 7, 8, 9],
    ])
    assert.deepEqual(run.page({ begun, position: 3 }, 6), [])
    // what was read further is no reason not to read again
    assert.deepEqual(run.page({ begun, position: 1 }, 1), [[2, 4, 5, 6]])
    assert.deepEqual(run.page({ begun: begun - 1, position: 2 }, 1), [[1, 1, 2, 3]], 'a place of an earlier life')
  })

  it('divides what one record sends, and shares a name among rules', () => {
    const run = new FlowRun(sdo(forward('sink'), where('metric = 7', forward('sink'))))
    run.send(...Array.from({ length: 300 }, (_, i) => i))
    const pages = run.page()
    assert.deepEqual(
      pages.map(([position, ...metrics]) => [position, metrics.length]),
      [
        [1, 256],
        [2, 45],
      ],
    )
    assert.deepEqual(pages[0].slice(7, 11), [6, 7, 7, 8])
  })

  it('drops its oldest batches at its limit, and says so', () => {
    const run = new FlowRun(forward('sink'), { eventsPerFlow: 4 })
    for (const metrics of [[1, 2], [3], [4, 5]]) run.send(...metrics)
    assert.deepEqual(run.page(), [
      [2, 3],
      [3, 4, 5],
    ])
    run.send(6, 7, 8, 9, 10)
    assert.deepEqual(run.page(), [[4, 7, 8, 9, 10]], 'of the newest only what must go')
    assert.equal(run.head().dropped, 6)
    run.pass(2_000)
    assert.deepEqual(run.alarms, ['flow-full'])
    run.through(4)
    assert.deepEqual(run.head().events, 0)
  })

  it('drops by size where descriptions are long', () => {
    const run = new FlowRun()
    const description = 'x'.repeat(60_000)
    for (let i = 0; i < 60; i++) {
      run.events(run.atMs, ...Array.from({ length: 10 }, (): Event => ({ host: 'a', description })))
    }
    assert.ok(run.head().dropped > 0)
    assert.ok(run.head().events * 60_096 <= 32 * 1024 * 1024)
    assert.ok(
      run.page().every(([, ...events]) => events.length <= 4),
      'batches have a size, too',
    )
  })

  it('goes on under its name when rules are switched, and drains where none names it any more', () => {
    const run = new FlowRun()
    run.send(1)
    run.rules(rules(where('metric > 1', forward('sink'))))
    run.send(1, 2)
    run.rules(rules(forward('other')))
    run.send(3)
    assert.deepEqual(run.page(), [
      [1, 1],
      [2, 2],
    ])
    assert.deepEqual(run.page(undefined, 1, 'other'), [[1, 3]])
  })

  it('begins anew after half a day without events, and is forgotten after a day', () => {
    const run = new FlowRun()
    run.send(1)
    const { begun } = run.head()
    run.pass(13 * hourMs)
    run.send(2)
    assert.equal(run.head().last, 2, 'not while it holds something')
    run.through(2)
    run.pass(12 * hourMs)
    assert.equal(run.head().last, 2)
    run.send(3)
    assert.ok(run.head().begun > begun)
    assert.deepEqual(run.page({ begun, position: 2 }), [[1, 3]])
    run.through(1, { begun })
    assert.equal(run.head().through, 0, 'what was said of the one before')
    run.through(1)
    run.pass(25 * hourMs)
    assert.deepEqual(run.engine.flows.heads(), [])
    run.send(4)
    assert.deepEqual(run.page(), [[1, 4]])
  })

  it('is one of 64 at most', () => {
    const run = new FlowRun(sdo(...Array.from({ length: 65 }, (_, i) => forward(`sink ${i}`))))
    run.send(1)
    assert.equal(run.engine.flows.heads().length, 64)
    run.pass(2_000)
    assert.deepEqual(run.alarms, ['flow-full'])
  })

  it('keeps the texts of its events where they are collected', () => {
    const run = new FlowRun(forward('sink'), { symbols: 4_000 })
    for (let i = 0; i < 600; i++) run.events(run.atMs, { host: `host ${i}`, attributes: { at: `${i}` }, metric: i })
    run.through(300)
    run.pass(2_000)
    run.cut()
    const hosts = run.engine.flows.page('sink', undefined, 1_000).batches.flatMap(({ msg }) => decodeMsg(msg).events)
    assert.deepEqual([hosts[0]?.host, hosts.length], ['host 300', 300])
  })

  it('leaves the state of rules without one as it was before there were flows', () => {
    const partsOf = (stream: Stream): string[] => {
      const cut = new EngineBench(rules(stream)).engine.cut()
      while (cut.step());
      return cut.parts.map(({ name }) => name)
    }
    assert.deepEqual(
      partsOf(forward('sink')).filter((name) => !partsOf(index()).includes(name)),
      ['the flows'],
    )
  })

  it('holds the same wherever it is cut and however it is read', () => {
    const whole = new FlowRun(forward('sink'), { eventsPerFlow: 50 })
    const cut = new FlowRun(forward('sink'), { eventsPerFlow: 50 })
    for (let i = 0; i < 200; i++) {
      for (const run of [whole, cut]) {
        run.send(...Array.from({ length: (i * 7) % 11 }, (_, k) => i + k))
        if (i % 5 === 0 && i > 0) run.through(run.head().through + ((i * 3) % 13))
        if (i % 50 === 0) run.pass(2_000)
      }
      if (i % 17 === 0) cut.cut()
      if (i % 3 === 0) cut.page()
      assert.equal(cut.engine.stateHash(), whole.engine.stateHash(), `after ${i}`)
    }
    assert.ok(whole.head().dropped > 0 && whole.head().through > 0)
    assert.deepEqual(cut.page(), whole.page())
  })
})
