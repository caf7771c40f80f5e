import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { casesOf } from '../cases.ts'
import { expired } from './expired.ts'
import { sdo } from './sdo.ts'
import { tap } from './tap.ts'

/**
 * Keeps each event in the index, over the last one of its host and service, until its TTL passes; then the entry leaves and
 * comes back through all streams with the state `expired`. An event with that state takes the entry out.
 * Source: Riemann's `index`.
 * @example rules(index())
 */
export function index(): Stream {
  return new Stream('index', [], [])
}

defineOperator({
  name: 'index',
  sample: () => index(),
  takes: ['event'],
  gives: 'nothing',
  columns: {},
  build({ runtime }) {
    return { event: (event) => runtime.index.put(event, runtime.ageMs) }
  },
})

/* @__PURE__ */ casesOf('index', () => [
  {
    name: 'keeps the last event of each host and service, by arrival; absent ones are a key',
    stream: index(),
    rows: [
      [10, { host: 'a', service: 's', metric: 1 }, { index: [{ host: 'a', service: 's', metric: 1 }] }],
      [
        11,
        { host: 'a', service: 's', metric: 2, time: 5 },
        { index: [{ host: 'a', service: 's', metric: 2, time: 5 }] },
      ],
      [12, { metric: 3 }, { index: [{ host: 'a', service: 's', metric: 2 }, { metric: 3 }] }],
    ],
  },
  {
    name: 'sends an entry whose TTL has passed through all streams again, expired, with the present time',
    stream: sdo(index(), tap('out')),
    rows: [
      [0, { host: 'a', ttl: 5, metric: 1 }, { host: 'a', ttl: 5, metric: 1 }],
      [4, { host: 'a', ttl: 5, metric: 2 }, { host: 'a', ttl: 5, metric: 2 }],
      [8.9, 'time', { index: [{ host: 'a', ttl: 5, metric: 2 }] }],
      [9, 'time', { host: 'a', ttl: 5, metric: 2, state: 'expired', time: 9 }, { index: [] }],
      [20, 'time'],
    ],
  },
  {
    name: 'keeps only the fields it is told to of an entry that expires (Riemann: host and service)',
    stream: sdo(index(), expired(tap('out'))),
    settings: { keepKeys: ['host', 'service'] },
    rows: [
      [0, { host: 'a', service: 's', metric: 1, tags: ['t'], ttl: 1 }],
      [1, 'time', { host: 'a', service: 's', state: 'expired' }],
    ],
  },
  {
    name: 'takes the age off the TTL, and gives a clock ahead nothing extra',
    stream: index(),
    rows: [
      [10, { host: 'a', time: 7, ttl: 5 }, { index: [{ host: 'a', ttl: 5 }] }],
      [
        11,
        { host: 'b', time: 900, ttl: 5 },
        {
          index: [
            { host: 'a', ttl: 5 },
            { host: 'b', ttl: 5 },
          ],
        },
      ],
      [12, 'time', { index: [{ host: 'b', ttl: 5 }] }],
      [16, 'time', { index: [] }],
    ],
  },
  {
    name: 'takes the entry out at the state expired, with or without a time (which throws in Riemann)',
    stream: index(),
    rows: [
      [0, { host: 'a' }, { index: [{ host: 'a' }] }],
      [1, { host: 'a', state: 'expired' }, { index: [] }],
    ],
  },
  {
    name: 'puts no late event over one that is not',
    stream: index(),
    rows: [
      [100, { host: 'a', state: 'ok', ttl: 300 }],
      [100, { host: 'a', state: 'late', ttl: 300, time: 39 }, { index: [{ host: 'a', state: 'ok', ttl: 300 }] }],
      [100, { host: 'a', state: 'old', ttl: 300, time: 40 }, { index: [{ host: 'a', state: 'old', ttl: 300 }] }],
    ],
  },
  {
    name: 'expires nothing for the time in which nobody owned the log',
    stream: sdo(index(), tap('out')),
    rows: [
      [0, { host: 'a', ttl: 5 }, { host: 'a', ttl: 5 }],
      [3600, 'gap', { index: [{ host: 'a', ttl: 5 }] }],
      [3605, 'time', { host: 'a', ttl: 5, state: 'expired' }],
    ],
  },
])
