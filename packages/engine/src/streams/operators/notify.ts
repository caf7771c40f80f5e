import { type Event, type EventCursor, EventCursor as Cursor, cursorToEvent } from '@ricci/client'
import { casesOf } from '../cases.ts'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { describe, eventsToldOf, Words } from '../wording.ts'
import { checkSummary, type IncidentOptions, loadNewer, receiversOf } from './incident.ts'
import { index } from './index.ts'
import { sdo } from './sdo.ts'
import { where } from './where.ts'
import { fixedEventWindow } from './windows.ts'

/** Options of `notify`. */
export interface NotifyOptions {
  /** Whose pages are counted together against the limit of pages a minute; default: the receivers' names. */
  readonly name?: string
  readonly severity?: IncidentOptions['severity']
  readonly summary?: IncidentOptions['summary']
}

/**
 * A page for each event (or each list of events) that comes, without a life of its own. A late event makes none when the index
 * holds a newer one of its host and service in another state; nor does a list of such events alone.
 * @example rollup(5, 3600, notify('oncall'))
 */
export function notify(to: string | readonly string[], options: NotifyOptions = {}): Stream {
  const receivers = receiversOf('notify', to)
  checkSummary('notify', options.summary)
  return new Stream('notify', [options.name ?? `notify ${receivers.join(' ')}`, { ...options, to: receivers }], [])
}

defineOperator({
  name: 'notify',
  sample: () => notify('someone'),
  takes: ['event', 'list'],
  gives: 'nothing',
  columns: {},
  build({ args: [name, given], runtime, path, trail }) {
    const options = given as NotifyOptions & { to: readonly string[] }
    const rule = name as string
    const words = new Words(rule, options)
    const cursor = new Cursor()
    const newer = new Cursor()
    const isContradicted = (event: EventCursor) =>
      event.late === 1 && loadNewer(event, newer, runtime) && newer.state !== event.state
    return {
      event(event, fork) {
        if (isContradicted(event)) return runtime.trace?.judged({ key: '', bad: true, contradicted: true })
        runtime.trace?.judged({ key: '', bad: true })
        runtime.decisions.notify(rule, options.to, () =>
          describe(event, words, options, path, () => trail(fork), runtime),
        )
        words.complain()
      },
      list(list, fork) {
        const events: Event[] = []
        let stands = false
        for (let i = 0; i < list.length; i++) {
          if (!list.load(i, cursor)) continue
          if (!isContradicted(cursor)) stands = true
          if (events.length < eventsToldOf) events.push(cursorToEvent(cursor, runtime.table))
          else if (stands) break
        }
        const [first] = events
        if (first === undefined || !stands) return
        runtime.trace?.judged({ key: '', bad: true })
        runtime.decisions.notify(rule, options.to, () => ({
          severity: options.severity ?? 'critical',
          summary: list.length === 1 ? words.of(first) : `${list.length} events: ${words.of(first)} …`,
          host: first.host ?? '',
          service: first.service ?? '',
          provenance: () => ({ path, count: list.length, events, steps: trail(fork) }),
        }))
        words.complain()
      },
    }
  },
})

/* @__PURE__ */ casesOf('notify', () => [
  {
    name: 'makes a page of each event, without a life of its own',
    stream: where('state = "bad"', notify('oncall')),
    rows: [
      [0, { host: 'a', service: 's', state: 'ok' }],
      [
        1,
        { host: 'a', service: 's', state: 'bad', metric: 3 },
        { page: { action: 'notify', receiver: 'oncall', key: '', summary: 'notify oncall: a s bad (3)' } },
      ],
      [2, { host: 'a', state: 'bad', metric: 1234.56 }, { page: { summary: 'notify oncall: a bad (1235)' } }],
      [3, { host: 'a', state: 'bad', metric: 123_456_789 }, { page: { summary: 'notify oncall: a bad (123456789)' } }],
    ],
  },
  {
    name: 'tells the default where its summary throws',
    stream: notify('oncall', {
      summary: () => {
        throw new Error('no')
      },
    }),
    rows: [
      [
        0,
        { host: 'a', state: 'bad', metric: 0.9949494949494949 },
        { page: { action: 'notify', summary: 'notify oncall: a bad (0.9949)' } },
        { throws: 'notify[0]' },
      ],
    ],
  },
  {
    name: 'makes one page of a list, for each receiver',
    stream: fixedEventWindow(2, notify(['one', 'two'], { name: 'twos' })),
    rows: [
      [0, { host: 'a' }],
      [
        1,
        { host: 'b' },
        { page: { receiver: 'one', rule: 'twos', summary: '2 events: twos: a …' } },
        { page: { receiver: 'two', rule: 'twos' } },
      ],
    ],
  },
  {
    name: 'goes over to one digest for the rest of the minute at the limit of pages a minute',
    stream: notify('oncall'),
    settings: { pagesPerMinute: 1 },
    rows: [
      [
        61,
        [{ host: 'a' }, { host: 'b' }, { host: 'c' }],
        { page: { memberCount: undefined } },
        { page: { memberCount: 1 } },
      ],
      [120, { host: 'd' }, { page: { host: 'd' } }],
    ],
  },
  {
    name: 'makes none of late events alone that newer ones in the index contradict',
    stream: sdo(index(), fixedEventWindow(2, notify('oncall'))),
    rows: [
      [200, { host: 'a', state: 'ok', ttl: 900 }],
      [200, { host: 'b', state: 'ok', ttl: 900 }, { page: { summary: '2 events: notify oncall: a ok …' } }],
      [
        201,
        [
          { host: 'a', state: 'bad', time: 100, ttl: 900 },
          { host: 'b', state: 'bad', time: 100, ttl: 900 },
        ],
      ],
      [202, { host: 'a', state: 'bad', time: 100, ttl: 900 }],
      [
        203,
        { host: 'c', state: 'bad', time: 100, ttl: 900 },
        { page: { summary: '2 events: notify oncall: a bad …' } },
      ],
    ],
  },
])
