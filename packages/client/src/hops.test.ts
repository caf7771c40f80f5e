import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { decodeMsg, encodeMsg, hopsAttribute, passedOn, type Event } from './index.ts'

const most = 4

/** What becomes of events, and how many went in a circle. */
function passed(...events: Event[]): [readonly Event[], number] {
  const { msg, events: count, looped } = passedOn(encodeMsg({ events, query: 'true' }), most)
  const { events: sent = [], query } = decodeMsg(msg)
  assert.equal(query, undefined)
  assert.equal(sent.length, count)
  return [sent, looped]
}

describe('events that are passed on', () => {
  const event: Event = { host: 'é', service: 's', metric: 1.5, time: 10.25, ttl: 5, tags: ['a', 'b'], description: 'd' }

  it('carry how often they were, and are the same otherwise', () => {
    for (const attributes of [undefined, {}, { a: '1' }, { a: '1', z: '2' }] as Event['attributes'][]) {
      let [[now]] = passed({ ...event, attributes })
      const [[same]] = [decodeMsg(encodeMsg({ events: [{ ...event, attributes }] })).events!]
      for (let hops = 1; hops <= most; hops++) {
        assert.deepEqual(now, { ...same, attributes: { ...attributes, [hopsAttribute]: `${hops}` } })
        const [next, looped] = passed(now)
        assert.equal(looped, hops === most ? 1 : 0)
        now = next[0]
      }
      assert.equal(now, undefined)
    }
  })

  it('go on without those that went in a circle', () => {
    const circling = { ...event, attributes: { [hopsAttribute]: '4' } }
    const [sent, looped] = passed(circling, { host: 'a' }, circling, { host: 'b' })
    assert.deepEqual([sent.map(({ host }) => host), looped], [['a', 'b'], 2])
    assert.deepEqual(passed(), [[], 0])
  })

  it('begin to be counted where somebody wrote what is no count', () => {
    for (const text of ['', 'x', '-1', '99999', '1.5']) {
      const [[sent]] = passed({ host: 'a', attributes: { [hopsAttribute]: text } })
      assert.deepEqual(sent?.attributes, { [hopsAttribute]: '1' }, text)
    }
  })

  it('are no others than a Msg holds', () => {
    assert.throws(() => passedOn(Uint8Array.of(0x32, 9, 1), most), { name: 'CodecError' })
  })
})
