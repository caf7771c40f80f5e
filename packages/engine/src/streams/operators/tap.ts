import { type Event, EventCursor, cursorToEvent } from '@ricci/client'
import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { casesOf } from '../cases.ts'
import { changed } from './changed.ts'

/**
 * Shows what passes to whoever watches the engine (tests, `ricci` tools) and passes it on. Costs nothing when nobody does.
 * Source: Riemann's `tap`, which exists in tests only.
 * @example where('state = "critical"', tap('critical'))
 */
export function tap(name: string, ...children: Stream[]): Stream {
  return new Stream('tap', [name], children)
}

defineOperator({
  name: 'tap',
  sample: () => tap('out'),
  takes: ['event', 'list', 'value'],
  gives: 'same',
  columns: {},
  build({ args: [name], out, runtime }) {
    const cursor = new EventCursor()
    return {
      event(event, fork) {
        if (runtime.tapped) runtime.tap(name as string, cursorToEvent(event, runtime.table))
        out.event(event, fork)
      },
      list(list, fork) {
        if (runtime.tapped) {
          const events: (Event | null)[] = []
          for (let i = 0; i < list.length; i++) {
            events.push(list.load(i, cursor) ? cursorToEvent(cursor, runtime.table) : null)
          }
          runtime.tap(name as string, events)
        }
        out.list(list, fork)
      },
      value(value, fork) {
        runtime.tap(name as string, value)
        out.value(value, fork)
      },
    }
  },
})

/* @__PURE__ */ casesOf('tap', () => [
  {
    name: 'shows what passes under its name, and passes it on',
    stream: tap('first', tap('out')),
    rows: [[0, { metric: 1 }, { tap: 'first', shows: { metric: 1 } }, { metric: 1 }]],
  },
  {
    name: 'shows lists, null elements too',
    stream: changed('state', { pairs: true }, tap('out')),
    rows: [[0, { state: 'ok' }, [null, { state: 'ok' }]]],
  },
])
