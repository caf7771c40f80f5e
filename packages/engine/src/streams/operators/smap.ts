import { type Event, EventCursor, cursorToEvent } from '@ricci/client'
import { EngineError } from '../../errors.ts'
import { CursorView, type EventView } from '../../event/view.ts'
import { type Fold, type FoldContext, isFold } from '../../folds/fold.ts'
import { restsOnLate } from '../../folds/list.ts'
import { OneOrTwo } from '../lists.ts'
import { takeEvent } from '../made-event.ts'
import { defineOperator } from '../operator.ts'
import { describeValue, Stream } from '../stream.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { fold } from '../../folds/vocabulary.ts'
import { changed } from './changed.ts'
import { sdo } from './sdo.ts'
import { movingEventWindow } from './windows.ts'

/** What a function may make of an event: another event, the same view again, or nothing. */
export type Mapper = (event: EventView) => Event | EventView | null | undefined
/** The same of a list of events. */
export type ListMapper = (events: readonly (Event | null)[]) => Event | null | undefined

/**
 * Passes on what a function makes of an event, or a fold (or function) of a list of events; nothing where that is null.
 * A fold that gives a list passes its events one by one.
 * Source: Riemann's `smap`.
 * @example movingEventWindow(10, smap(fold.mean, over(0.9, notify('oncall'))))
 * @example smap((e) => ({ ...e.copy(), service: `${e.service} total` }), index())
 */
export function smap(map: Fold | Mapper | ListMapper, ...children: Stream[]): Stream {
  if (!isFold(map) && typeof map !== 'function') {
    throw new EngineError('RULES_INVALID', `smap takes a function or a fold, got ${describeValue(map)}`)
  }
  return new Stream('smap', [map], children)
}

defineOperator({
  name: 'smap',
  sample: () => smap((event: EventView) => ({ ...event.copy(), state: 'mapped' }), tap('out')),
  takes: ['event', 'list'],
  gives: 'event',
  columns: {},
  build({ args: [map], out, runtime }) {
    const { table, clocks } = runtime
    const mapped = new EventCursor()
    const context: FoldContext = {
      table,
      get nowSeconds() {
        return clocks.calendar.now / 1000
      },
    }
    if (isFold(map)) {
      const one = new OneOrTwo()
      const fold = map
      return {
        event: (event, fork) => apply(one.one(event), fork),
        list: apply,
      }
      function apply(list: Parameters<Fold['apply']>[0], fork: number): void {
        const late = restsOnLate(list)
        if (fold.gives === 'event') {
          if (!fold.apply(list, mapped, context)) return
          mapped.late = late
          return out.event(mapped, fork)
        }
        const pass = (event: EventCursor | undefined): void => {
          if (event === undefined) return
          event.late = late
          out.event(event, fork)
        }
        fold.apply(list, pass, context)
      }
    }
    const view = new CursorView(mapped, table)
    const loaded = new EventCursor()
    return {
      event(event, fork) {
        view.event = event
        const result = (map as Mapper)(view)
        if (result === view) return out.event(event, fork)
        if (result === null || result === undefined) return
        takeEvent(result, table, mapped)
        mapped.late = event.late
        out.event(mapped, fork)
      },
      list(list, fork) {
        const events: (Event | null)[] = []
        for (let i = 0; i < list.length; i++) events.push(list.load(i, loaded) ? cursorToEvent(loaded, table) : null)
        const result = (map as ListMapper)(events)
        if (result === null || result === undefined) return
        takeEvent(result, table, mapped)
        mapped.late = restsOnLate(list)
        out.event(mapped, fork)
      },
    }
  },
})

/* @__PURE__ */ casesOf('smap', () => [
  {
    name: 'passes what a function makes of an event, and nothing where that is null',
    stream: smap((e: EventView) => (e.metric > 1 ? { ...e.copy(), service: `${e.service} large` } : null), tap('out')),
    rows: [
      [0, { service: 's', metric: 1 }],
      [1, { service: 's', metric: 2, ttl: 5 }, { service: 's large', metric: 2, ttl: 5 }],
      [2, { service: 's' }],
    ],
  },
  {
    name: 'passes a fold of a list, and each event of a fold that gives a list; null elements are left out',
    stream: movingEventWindow(3, smap(fold.sum, tap('out')), smap(fold.sortedSample([0, 1]), tap('sample'))),
    rows: [
      [
        0,
        { host: 'a', service: 's', metric: 5 },
        { host: 'a', service: 's', metric: 5 },
        { tap: 'sample', shows: { host: 'a', service: 's 0', metric: 5 } },
        { tap: 'sample', shows: { host: 'a', service: 's 1', metric: 5 } },
      ],
      [
        1,
        { host: 'b', service: 's', metric: 2.5 },
        { host: 'a', service: 's', metric: 7.5 },
        { tap: 'sample', shows: { host: 'b', service: 's 0', metric: 2.5 } },
        { tap: 'sample', shows: { host: 'a', service: 's 1', metric: 5 } },
      ],
    ],
  },
  {
    name: 'takes a function of a list too',
    stream: changed(
      'state',
      { pairs: true },
      smap((events: readonly (Event | null)[]) => events[0], tap('out')),
    ),
    rows: [
      [0, { state: 'ok' }],
      [1, { state: 'bad' }, { state: 'ok' }],
    ],
  },
  {
    name: 'ends its own branch only where a function throws',
    stream: sdo(
      smap((e: EventView) => ({ service: e.attributes['unit'].toUpperCase() }), tap('never')),
      tap('out'),
    ),
    rows: [[0, { metric: 1 }, { metric: 1 }, { throws: 'sdo[0] > smap[0]' }]],
  },
])
