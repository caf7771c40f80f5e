import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeMark, encodeMsg, takenBytes, type Event } from '@ricci/client'
import { nodeClock } from '../../server/node-clock.ts'
import { Exchange } from './exchange.ts'

const attributes = Object.fromEntries(
  Array.from({ length: 255 }, (_, i) => [`k${i}`.padEnd(5_000, 'x'), 'v'.repeat(4_000)]),
)

const cases: readonly [what: string, events: readonly Event[], refusal: RegExp | undefined][] = [
  ['a host', [{ host: 'a' }, { host: 'b' }], undefined],
  ['none', [{}], undefined],
  ['a key as long as may be', [{ host: 'é'.repeat(127) }], undefined],
  [
    'a host too long',
    [{ host: 'a' }, { host: 'é'.repeat(128) }],
    /^the key of an event, "é{40}…", has 256 bytes, and RabbitMQ takes 255/,
  ],
  ['a cluster too long', [{ host: 'a', attributes: { cluster: 'c'.repeat(256) } }], /"c{40}…", has 256 bytes/],
  ['a long host under a cluster', [{ host: 'h'.repeat(300), attributes: { cluster: 'c' } }], undefined],
  [
    'much, to be sent in parts',
    Array.from({ length: 200 }, () => ({ host: 'a', description: 'd'.repeat(20_000) })),
    undefined,
  ],
  [
    'an event that no part can be',
    [{ host: 'a', attributes }],
    /^an event has \d{7} bytes, and inboxes on RabbitMQ take 2096552; shorten/,
  ],
]

test('what no inbox takes is refused where it comes in; what is too large at once is said to be, and goes in parts', async (t) => {
  // no broker is needed to know
  const exchange = new Exchange({ urls: ['amqp://127.0.0.1:1'], name: 'test', clock: nodeClock })
  t.after(() => exchange.destroy())
  for (const [what, events, refusal] of cases) {
    const said = exchange.refusalOf(encodeMsg({ events }))
    if (refusal === undefined) assert.equal(said, undefined, what)
    else assert.match(said ?? '', refusal, what)
  }
  const mark = encodeMark({ producer: 'p', incarnation: 1, sequence: 1, sentAtMs: 1 })
  const answer = (events: readonly Event[]) => exchange.sendMsg(Buffer.concat([encodeMsg({ events }), mark]))
  assert.equal(takenBytes((await answer(cases[6][1])).error), 2_097_152)
  assert.match((await answer(cases[3][1])).error ?? '', /has 256 bytes/)
})
