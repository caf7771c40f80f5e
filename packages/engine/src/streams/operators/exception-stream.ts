import { type EventCursor, EventCursor as Cursor, eventToCursor } from '@ricci/client'
import { defineOperator } from '../operator.ts'
import type { Runtime } from '../runtime.ts'
import { Stream } from '../stream.ts'
import type { Node } from '../tree.ts'
import { smap } from './smap.ts'
import { tap } from './tap.ts'
import { withFields } from './with.ts'
import { casesOf } from '../cases.ts'
import { stable } from './stable.ts'

/**
 * Passes events on to the children; when something of theirs throws, at an event or in a timer, an event about it goes to the
 * handler: service `riemann exception`, state `error`, tag `exception`, the operator's path in the attribute `operator`, host
 * that of the event it failed on. What a handler's own streams throw goes to the next `exceptionStream` further out.
 * Source: Riemann's `exception-stream`. Unlike there, no timer forgets its handler, and the event holds no text of the error:
 * engines of other versions would word it differently, and replicas must agree. The log and `ricci status` have the text.
 * @param handler gets one event for each thing that was thrown: put a `throttle` or `rollup` before a `notify`
 * @example exceptionStream(rollup(1, 3600, notify('rules-team')), where((e) => e.attributes['x'].length > 3, index()))
 */
export function exceptionStream(handler: Stream, ...children: Stream[]): Stream {
  return new Stream('exceptionStream', [], [handler, ...children])
}

/**
 * The event that tells of something thrown at a place. Made anew each time: a handler may fail while it looks at one. Where the table
 * of texts is full and was never asked for these before, it lacks them: a handler hears all the same.
 */
function exceptionEvent(runtime: Runtime, path: string, failed: EventCursor | undefined): EventCursor {
  const { table } = runtime
  const host = failed === undefined || failed.host === 0 ? undefined : table.text(failed.host)
  const service = failed === undefined || failed.service === 0 ? undefined : table.text(failed.service)
  const at = failed === undefined ? 'a timer' : `the event ${host ?? ''} ${service ?? ''}`
  const cursor = new Cursor()
  eventToCursor(
    {
      ...(host === undefined ? {} : { host }),
      service: 'riemann exception',
      state: 'error',
      description: `${path} failed at ${at}`,
      tags: ['exception'],
      time: runtime.clocks.calendar.now / 1000,
      attributes: { operator: path },
    },
    table,
    cursor,
  )
  return cursor
}

/** Something threw at a place: the nearest `exceptionStream` around it hears of it, as of something of the present, however old the event was. */
export function tellOfFailure(runtime: Runtime, node: Node, fork: number, event: EventCursor | undefined): void {
  for (let { catcher } = node; catcher !== undefined; catcher = catcher.catcher) {
    const own = node.dimension.idIn(catcher.dimension, fork)
    if (own < 0) continue
    const { ageMs } = runtime
    runtime.ageMs = 0
    catcher.caught(exceptionEvent(runtime, node.path, event), own)
    runtime.ageMs = ageMs
    return
  }
}

function failing(): never {
  throw new Error('a mistake')
}

defineOperator({
  name: 'exceptionStream',
  // without the path, which tells where among its neighbours the sample stands
  sample: () => exceptionStream(withFields({ attributes: null, description: null }, tap('failed')), smap(failing)),
  takes: ['event'],
  gives: 'event',
  columns: {},
  catches: true,
  build({ children, outTo }) {
    const [handler, ...others] = children
    const out = outTo(others)
    const heard = outTo([handler])
    return {
      event: (event, fork) => out.event(event, fork),
      caught: (event, fork) => heard.event(event, fork),
    }
  },
})

/* @__PURE__ */ casesOf('exceptionStream', () => [
  {
    name: 'tells its handler where something was thrown, and passes events on to the others',
    stream: exceptionStream(tap('failed'), smap(failing), tap('out')),
    rows: [
      [
        3,
        { host: 'a', service: 's' },
        {
          tap: 'failed',
          shows: {
            host: 'a',
            service: 'riemann exception',
            state: 'error',
            description: 'exceptionStream[0] > smap[1] failed at the event a s',
            tags: ['exception'],
            time: 3,
            attributes: { operator: 'exceptionStream[0] > smap[1]' },
          },
        },
        { host: 'a', service: 's' },
        { throws: 'exceptionStream[0] > smap[1]' },
      ],
    ],
  },
  {
    name: 'hears of timers, which forget their handler in Riemann',
    stream: exceptionStream(
      withFields({ description: null, attributes: null }, tap('failed')),
      stable(2, 'state', smap(failing)),
    ),
    rows: [
      [0, { host: 'a' }],
      [
        2,
        'time',
        {
          tap: 'failed',
          shows: { service: 'riemann exception', host: 'a', state: 'error', tags: ['exception'], time: 2 },
        },
        { throws: 'exceptionStream[0] > stable[1] > smap[0]' },
      ],
    ],
  },
  {
    name: 'says nothing when nothing fails',
    stream: exceptionStream(tap('failed'), tap('out')),
    rows: [[0, { metric: 1 }, { metric: 1 }]],
  },
])
