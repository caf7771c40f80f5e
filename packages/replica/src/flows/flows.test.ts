/** Flows of a partition: what is sent to a sink, by whom, and what is written down of it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeMsg } from '@ricci/client'
import { decodeRecord, type FlowedThroughRecord } from '@ricci/engine'
import { House, ScriptedSink, taken } from '@ricci/testkit'

class FlowHouse extends House {
  constructor() {
    super({ flows: true })
  }

  /** What the log says the sink has, in order. */
  get throughs(): FlowedThroughRecord[] {
    return this.log.records.flatMap(({ bytes }) => {
      const record = decodeRecord(bytes)
      return record.kind === 'flowed-through' ? [record] : []
    })
  }

  /** Events as batches that follow each other. */
  send(from: number, to: number): void {
    for (let i = from; i <= to; i++) this.event(`h${i}`, 'ok')
  }

  /** Waits until the log says so. */
  async settled(position: number): Promise<void> {
    await this.until(`the sink has ${position}`, () => this.throughs.at(-1)?.position === position, 120_000)
  }
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1)

describe('a flow', () => {
  it('goes to its sink in order, and the log says how far, once a second', async () => {
    const house = new FlowHouse()
    const owner = await house.owner()
    const fromMs = house.clock.monotonicMs()
    for (let i = 1; i <= 40; i++) {
      house.send(i, i)
      await house.clock.advance(100)
    }
    await house.settled(40)
    assert.deepEqual(house.upstream.positions, upTo(40))
    const [{ producer, incarnation, batches }] = house.upstream.sent
    assert.equal(producer, 'ricci log 0 upstream')
    assert.equal(incarnation, house.throughs[0].begun + 1)
    assert.equal(decodeMsg(batches[0].msg).events?.[0].host, 'h1')
    const seconds = (house.clock.monotonicMs() - fromMs) / 1_000
    assert.ok(house.throughs.length >= 4 && house.throughs.length <= seconds + 1, `${house.throughs.length} records`)
    const [{ events, lagMs, delivered, failed }] = owner.stats().flows
    assert.deepEqual([events, lagMs, delivered, failed], [0, 0, 40, 0])
    await house.close()
  })

  it('gathers where its sink wants that, and does not where a request is full', async () => {
    const house = new FlowHouse()
    house.upstream.gatherMs = 5_000
    house.upstream.requestEvents = 10
    await house.owner()
    house.send(1, 3)
    await house.clock.advance(4_900)
    assert.equal(house.upstream.sent.length, 0)
    house.send(4, 5)
    await house.settled(5)
    assert.equal(house.upstream.sent.length, 1)
    house.send(6, 30)
    await house.clock.advance(500)
    assert.deepEqual(
      house.upstream.sent.slice(0, 3).map(({ batches }) => batches.length),
      [5, 10, 10],
    )
    await house.settled(30)
    await house.close()
  })

  it('is sent again from where its sink stopped, with pauses, and holds up no pages', async () => {
    const house = new FlowHouse()
    const owner = await house.owner()
    const sentMs: number[] = []
    house.upstream.answer = (request) => {
      sentMs.push(house.clock.monotonicMs())
      if (sentMs.length === 1) return { through: 2, failure: { detail: 'reset' } }
      if (sentMs.length < 4) return { through: 0, failure: { detail: 'HTTP 503', retryAfterMs: 20_000 } }
      if (sentMs.length === 4) throw new Error('a broken sink')
      return taken(request)
    }
    house.send(1, 5)
    await house.until('it fails', () => owner.stats().flows[0]?.failures === 3, 120_000)
    assert.equal(owner.stats().flows[0].detail, 'HTTP 503')
    house.event('h9', 'down')
    await house.until('the page is sent', () => house.oncall.sent.length === 1, 1_000)
    await house.settled(6)
    const firsts = house.upstream.sent.map(({ batches }) => batches[0].position)
    assert.deepEqual(firsts, [1, 3, 3, 3, 3])
    assert.ok(sentMs[3] - sentMs[2] >= 20_000, 'Retry-After is heeded')
    const [{ failed, failures, detail, delivered }] = owner.stats().flows
    assert.deepEqual([failed, failures, detail, delivered], [4, 0, undefined, 6])
    await house.close()
  })

  it('goes on where a dead owner was, with what the log does not say to be there', async () => {
    const house = new FlowHouse()
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    house.send(1, 10)
    await house.settled(10)
    house.upstream.answer = () => new Promise(() => undefined)
    house.send(11, 20)
    await house.until('they are under way', () => house.upstream.positions.length > 10)
    house.upstream.answer = taken
    house.kill(owner)
    await house.until('it owns', () => standby.state === 'owning')
    house.send(21, 22)
    await house.settled(22)
    assert.deepEqual([...new Set(house.upstream.positions)], upTo(22))
    const twice = house.upstream.sent.flatMap(({ batches }) => batches).filter(({ position }) => position === 11)
    assert.equal(twice.length, 2)
    assert.deepEqual(twice[0].msg, twice[1].msg, 'it is the same Msg')
    await house.close()
  })

  it('is not sent by an owner that has not read its own log for two seconds', async () => {
    const house = new FlowHouse()
    await house.owner()
    house.upstream.answer = () => ({ through: 0, failure: { detail: 'away' } })
    house.send(1, 1)
    await house.until('it was tried', () => house.upstream.sent.length === 1)
    house.log.fate = (records) => (records[0].kind === 'tick' ? 'lost' : 'written')
    await house.clock.advance(2_500)
    const tried = house.upstream.sent.length
    await house.clock.advance(30_000)
    assert.equal(house.upstream.sent.length, tried)
    house.upstream.answer = taken
    house.log.fate = () => 'written'
    await house.settled(1)
    await house.close()
  })

  it('has its end written down by an owner that stops', async () => {
    const house = new FlowHouse()
    const owner = await house.owner()
    let answer = (): void => undefined
    house.upstream.answer = (request) => new Promise((resolve) => (answer = () => resolve(taken(request))))
    house.send(1, 3)
    await house.until('it is under way', () => house.upstream.sent.length === 1)
    const [{ batches }] = house.upstream.sent
    const stopped = house.stopped(owner)
    answer()
    await stopped
    assert.equal(house.throughs.at(-1)?.position, batches.at(-1)?.position)
    await house.close()
  })

  it('waits for a sink that the configuration lacks, and tells what one will not take', async () => {
    const house = new FlowHouse()
    house.sinks.clear()
    const owner = await house.owner()
    house.send(1, 4)
    await house.clock.advance(5_000)
    assert.deepEqual([owner.stats().flows[0].events, house.throughs.length], [4, 0])
    const sink = new ScriptedSink()
    sink.answer = (request) => ({ ...taken(request), refused: { events: 1, detail: 'HTTP 400' } })
    house.sinks.set('upstream', sink)
    await house.settled(4)
    assert.deepEqual([owner.stats().flows[0].refused, owner.stats().flows[0].delivered], [1, 3])
    assert.ok(house.alarms.some((alarm) => alarm.includes('flow-refused')))
    await house.close()
  })
})
