import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { decodeMsg, encodeMark, encodeMsg, inspectMsg, MsgRoute, type Event, type MsgFacts } from './index.ts'

const facts: MsgFacts = { events: 0, marked: false, asks: false }

function routeFor(partOf: (key: string) => number, maxKeys = 1_000): MsgRoute {
  return new MsgRoute({ attribute: 'cluster', partOf, maxKeys })
}

/** What the key of an event is, read off the decoded event. */
const keyOf = ({ host, attributes }: Event): string => attributes?.cluster || host || ''

/** Gives each key, in the order they come up, a number; remembers how often it was asked. */
function numbering() {
  const numbers = new Map<string, number>()
  const asked: string[] = []
  const partOf = (key: string): number => {
    asked.push(key)
    if (!numbers.has(key)) numbers.set(key, numbers.size)
    return numbers.get(key)!
  }
  return { numbers, asked, partOf }
}

/** The keys of a Msg's events as the route finds them, one Msg an event. */
function keysOf(events: readonly Event[]): string[] {
  const { numbers, partOf } = numbering()
  const route = routeFor(partOf)
  return events.map((event) => {
    inspectMsg(encodeMsg({ events: [event] }), facts, undefined, route)
    return [...numbers].find(([, number]) => number === route.only)![0]
  })
}

const text = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'web-1', 'web-2', 'größe', '🦊'),
  fc.string({ unit: 'binary', maxLength: 20 }),
)
const anEvent: fc.Arbitrary<Event> = fc.record(
  {
    host: text,
    service: text,
    state: text,
    description: text,
    tags: fc.array(text, { maxLength: 3 }),
    metric: fc.integer(),
    attributes: fc.dictionary(fc.constantFrom('cluster', 'dc', 'host', 'Cluster'), text, { noNullPrototype: true }),
  },
  { requiredKeys: [] },
)

describe('MsgRoute', () => {
  test('an event goes by its cluster, else its host, else by the empty key', () => {
    assert.deepEqual(
      keysOf([
        { host: 'h', attributes: { cluster: 'c' } },
        { host: 'h', attributes: { dc: 'd', cluster: '' } },
        { host: 'h' },
        { host: 'h', attributes: { host: 'other' } },
        { host: 'h', attributes: { host: '' } },
        { service: 's' },
        { attributes: { cluster: 'x'.repeat(8_000) } },
      ]),
      ['c', 'h', 'h', 'other', '', '', 'x'.repeat(8_000)],
    )
  })

  test('the parts are the events of the Msg, each in the part of its key, in their order', () => {
    fc.assert(
      fc.property(fc.array(anEvent, { maxLength: 30 }), fc.integer({ min: 1, max: 5 }), (events, parts) => {
        const partOf = (key: string): number => key.length % parts
        const route = routeFor(partOf, 3)
        const bytes = encodeMsg({ query: 'true', events })
        const decoded = decodeMsg(bytes).events ?? []
        for (let again = 0; again < 2; again++) {
          inspectMsg(bytes, facts, undefined, route)
          const wanted = new Map<number, Event[]>()
          for (const event of decoded) {
            const part = partOf(keyOf(event))
            wanted.set(part, [...(wanted.get(part) ?? []), event])
          }
          assert.equal(route.only, wanted.size === 1 ? [...wanted.keys()][0] : -1)
          const found = new Map([...route.split(bytes)].map(([part, msg]) => [part, decodeMsg(msg).events]))
          assert.deepEqual(found, wanted)
        }
      }),
    )
  })

  test('only events go into the parts, wherever other fields stand between them', () => {
    const mark = encodeMark({ producer: 'p', incarnation: 1, sequence: 1, sentAtMs: 1 })
    const unknown = Uint8Array.of(0x7a, 2, 1, 2)
    const msgs = [
      encodeMsg({ events: [{ host: 'a', service: '1' }] }),
      mark,
      encodeMsg({ events: [{ host: 'a', service: '2' }], query: 'true' }),
      encodeMsg({ ok: true, error: 'e', events: [{ host: 'b', service: '3' }] }),
      unknown,
      encodeMsg({ events: [{ host: 'a', service: '4' }] }),
    ]
    const bytes = new Uint8Array(Buffer.concat(msgs))
    const route = routeFor((key) => key.length + key.charCodeAt(0))
    inspectMsg(bytes, facts, undefined, route)
    assert.deepEqual({ ...facts }, { events: 4, marked: true, asks: true })
    assert.equal(route.only, -1)
    assert.deepEqual(
      [...route.split(bytes).values()].map((part) => decodeMsg(part)),
      [
        { events: ['1', '2', '4'].map((service) => ({ host: 'a', service })) },
        { events: [{ host: 'b', service: '3' }] },
      ],
    )
  })

  test('the bytes of events are copied as they are, put together or not', () => {
    // tags apart from each other, and a tag of field 4 in two bytes: what a scan reads from a copy
    const scattered = Uint8Array.of(0x3a, 1, 0x61, 0xa2, 0x00, 1, 0x68, 0x3a, 1, 0x62)
    const field = Uint8Array.of(0x32, scattered.length, ...scattered)
    const bytes = new Uint8Array(Buffer.concat([field, encodeMsg({ events: [{ host: 'g' }] }), field]))
    const { numbers, partOf } = numbering()
    const route = routeFor(partOf)
    inspectMsg(bytes, facts, undefined, route)
    const parts = route.split(bytes)
    assert.deepEqual(parts.get(numbers.get('h')!), new Uint8Array(Buffer.concat([field, field])))
    assert.deepEqual(parts.get(numbers.get('g')!), encodeMsg({ events: [{ host: 'g' }] }))
  })

  test('a key that was met before is not asked for again, until more were met than are kept', () => {
    const { asked, partOf } = numbering()
    const route = routeFor(partOf, 4)
    asked.length = 0
    const inspect = (...hosts: readonly string[]): void =>
      inspectMsg(encodeMsg({ events: hosts.map((host) => ({ host })) }), facts, undefined, route)
    inspect('a', 'b', 'a', 'b', 'c', 'c', 'd')
    inspect('d', 'c', 'b', 'a')
    assert.deepEqual(asked, ['a', 'b', 'c', 'd'])
    inspect('e', 'd', 'e')
    assert.deepEqual(asked.slice(4), ['e', 'd'])
  })

  test('a Msg that is no good leaves nothing behind for the next', () => {
    const route = routeFor((key) => key.length)
    const whole = encodeMsg({ events: [{ host: 'a' }, { host: 'bb' }] })
    assert.throws(() => inspectMsg(whole.subarray(0, whole.length - 1), facts, undefined, route), {
      name: 'CodecError',
    })
    const next = encodeMsg({ events: [{ host: 'ccc' }] })
    inspectMsg(next, facts, undefined, route)
    assert.equal(route.only, 3)
    assert.deepEqual(route.split(next), new Map([[3, next]]))
    inspectMsg(encodeMsg({ query: 'true' }), facts, undefined, route)
    assert.deepEqual([route.only, route.split(next).size], [-1, 0])
  })
})
