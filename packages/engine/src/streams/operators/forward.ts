import { EventCursor } from '@ricci/client'
import { EngineError } from '../../errors.ts'
import { casesOf } from '../cases.ts'
import { defineOperator } from '../operator.ts'
import { describeValue, Stream } from '../stream.ts'
import { changed } from './changed.ts'
import { sdo } from './sdo.ts'
import { tap } from './tap.ts'
import { where } from './where.ts'
import { withFields } from './with.ts'

/**
 * Sends events to a sink: another Riemann or Ricci, Graphite, Datadog. What it is called, where it is and what it needs stands in the
 * configuration, under `sinks`. A list is sent event by event.
 *
 * All that rules send to one name is one flow, in order: kept until its sink has taken it, by whoever owns then, and bounded: from a
 * sink that takes nothing for long the oldest events are kept away.
 * Source: Riemann's `forward`, `graphite` and `datadog`.
 * @example where('service = "cpu"', forward('graphite'))
 */
export function forward(sink: string): Stream {
  if (typeof sink !== 'string' || sink === '') {
    throw new EngineError('RULES_INVALID', `forward takes the name of a sink, got ${describeValue(sink)}`)
  }
  return new Stream('forward', [sink], [])
}

defineOperator({
  name: 'forward',
  since: 2,
  sample: () => sdo(forward('sample'), where('host != "b"', forward('other'))),
  takes: ['event', 'list'],
  gives: 'nothing',
  columns: {},
  build({ args: [name], runtime: { flows } }) {
    const sink = name as string
    const cursor = new EventCursor()
    return {
      event(event) {
        flows.push(sink, event)
      },
      list(list) {
        for (let i = 0; i < list.length; i++) if (list.load(i, cursor)) flows.push(sink, cursor)
      },
    }
  },
})

/* @__PURE__ */ casesOf('forward', () => [
  {
    name: 'sends each event to its sink, as it is where it stands',
    stream: sdo(forward('upstream'), withFields({ state: 'seen' }, forward('elsewhere')), tap('out')),
    rows: [
      [
        0,
        { host: 'a', metric: 1, description: 'one' },
        { flow: 'upstream', shows: { host: 'a', metric: 1, description: 'one' } },
        { flow: 'elsewhere', shows: { host: 'a', metric: 1, description: 'one', state: 'seen' } },
        { host: 'a', metric: 1, description: 'one' },
      ],
    ],
  },
  {
    name: 'sends the events of a list one by one, and leaves out what is absent',
    stream: changed('state', { pairs: true }, forward('upstream')),
    rows: [
      [0, { state: 'ok' }, { flow: 'upstream', shows: { state: 'ok' } }],
      [
        1,
        { state: 'bad' },
        { flow: 'upstream', shows: { state: 'ok' } },
        { flow: 'upstream', shows: { state: 'bad' } },
      ],
    ],
  },
])
