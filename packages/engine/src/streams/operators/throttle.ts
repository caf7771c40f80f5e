import { QueueView } from '../../state/lists.ts'
import { hold } from '../buffer.ts'
import { OneOrTwo } from '../lists.ts'
import { defineOperator } from '../operator.ts'
import { positive, Stream, wholeNumber } from '../stream.ts'
import { spanOf } from '../trail.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { by } from './by.ts'
import { sdo } from './sdo.ts'
import { fixedEventWindow } from './windows.ts'

/** More in one window is no throttling. */
const mostPerWindow = 1_000_000

/**
 * Passes the first `count` events of each window and drops the rest. Windows follow each other without gaps from the moment the
 * stream began, on calendar time.
 * Source: Riemann's `throttle`.
 * @param seconds length of a window
 * @example throttle(1, 60, notify('oncall'))
 */
export function throttle(count: number, seconds: number, ...children: Stream[]): Stream {
  wholeNumber('throttle', 'its count', count, 0, mostPerWindow)
  return new Stream('throttle', [count, positive('throttle', 'its time', seconds)], children)
}

/**
 * Passes the first `count` events of each window at once, each as a list of one, and the rest as one list when the window ends.
 * Such a list counts as one of the first of the next window that has an event, however late that is.
 * Source: Riemann's `rollup`.
 * @example rollup(5, 3600, notify('oncall'))
 */
export function rollup(count: number, seconds: number, ...children: Stream[]): Stream {
  wholeNumber('rollup', 'its count', count, 0, mostPerWindow)
  return new Stream('rollup', [count, positive('rollup', 'its time', seconds)], children)
}

/** Whether another window has begun; also when the calendar was set back, or a window would last until time caught up. */
function windowOver(end: number, lengthMs: number, now: number): boolean {
  return now >= end || now < end - lengthMs
}

/** The end of the window that `now` lies in, on the grid from `anchor`. */
export function windowEnd(anchor: number, lengthMs: number, now: number): number {
  return anchor + (Math.floor((now - anchor) / lengthMs) + 1) * lengthMs
}

defineOperator({
  name: 'throttle',
  sample: () => throttle(2, 3, tap('out')),
  takes: ['event', 'list'],
  gives: 'same',
  columns: { end: 'number', count: 'count' },
  build({ args: [most, seconds], columns: { end, count }, out, runtime }) {
    const length = (seconds as number) * 1000
    const { calendar } = runtime.clocks
    function passes(fork: number): boolean {
      if (windowOver(end.get(fork), length, calendar.now)) {
        end.set(fork, windowEnd(end.get(fork), length, calendar.now))
        count.set(fork, 0)
      }
      const seen = count.get(fork)
      if (seen >= (most as number)) return false
      count.set(fork, seen + 1)
      return true
    }
    return {
      start: (fork) => end.set(fork, calendar.now + length),
      event(event, fork) {
        if (passes(fork)) out.event(event, fork)
      },
      list(list, fork) {
        if (passes(fork)) out.list(list, fork)
      },
      explain: (fork) => ({ passed: count.get(fork), windowEnds: end.get(fork) / 1000 }),
    }
  },
})

defineOperator({
  name: 'rollup',
  sample: () => rollup(1, 3, tap('out')),
  takes: ['event'],
  gives: 'list',
  // `carried`: the last window with an event sent a list at its end
  columns: { end: 'number', count: 'count', carried: 'flag', held: 'list', flush: 'calendarTimer' },
  build({ args: [most, seconds], columns: { end, count, carried, held, flush }, out, runtime }) {
    const length = (seconds as number) * 1000
    const { calendar } = runtime.clocks
    const one = new OneOrTwo()
    const view = new QueueView()
    const shown = new QueueView()
    return {
      start: (fork) => end.set(fork, calendar.now + length),
      event(event, fork) {
        if (windowOver(end.get(fork), length, calendar.now)) {
          end.set(fork, windowEnd(end.get(fork), length, calendar.now))
          count.set(fork, carried.get(fork))
          carried.set(fork, 0)
        }
        const seen = count.get(fork)
        if (seen < (most as number)) {
          count.set(fork, seen + 1)
          return out.list(one.one(event), fork)
        }
        hold(held, fork, event, runtime)
        // later than this window's end: unset, or set when windows were longer, before the rules were switched
        if (flush.get(fork) > end.get(fork)) flush.set(fork, end.get(fork))
      },
      timers: {
        // a gap in time makes the list late, it does not take it away: these are pages
        flush(fork) {
          carried.set(fork, 1)
          const list = held.take(fork, view)
          out.list(list, fork)
          held.giveBack(list)
        },
      },
      explain: (fork) => ({
        passed: count.get(fork),
        windowEnds: end.get(fork) / 1000,
        ...spanOf(held.view(fork, shown)),
      }),
    }
  },
})

/* @__PURE__ */ casesOf('throttle', () => [
  {
    name: 'passes the first of each window and drops the rest, expired ones too',
    stream: throttle(2, 10, tap('out')),
    rows: [
      [1, [{ metric: 1 }, { metric: 2 }, { metric: 3 }], { metric: 1 }, { metric: 2 }],
      [9.9, { metric: 4, state: 'expired' }],
      [10, { metric: 5 }, { metric: 5 }],
      [25, { metric: 6 }, { metric: 6 }],
      [30, { metric: 7 }, { metric: 7 }],
    ],
  },
  {
    name: 'counts by arrival, whatever the times of events say',
    stream: throttle(1, 10, tap('out')),
    rows: [
      [11, { metric: 1, time: 900 }, { metric: 1 }],
      [12, { metric: 2, time: 3 }],
    ],
  },
  {
    name: 'counts a list as one, and has windows of its own in each fork, from the fork’s first event on',
    stream: by('host', fixedEventWindow(1, throttle(1, 10, tap('out')))),
    rows: [
      [3, { host: 'a' }, [{ host: 'a' }]],
      [5, { host: 'b' }, [{ host: 'b' }]],
      [12, { host: 'a' }],
      [13, { host: 'a' }, [{ host: 'a' }]],
      [14, { host: 'b' }],
    ],
  },
  {
    name: 'passes nothing with a count of 0',
    stream: sdo(throttle(0, 10, tap('never')), tap('out')),
    rows: [[0, { metric: 1 }, { metric: 1 }]],
  },
])

/* @__PURE__ */ casesOf('rollup', () => [
  {
    name: 'passes the first of each window at once, and the rest as one list when it ends',
    stream: rollup(1, 10, tap('out')),
    rows: [
      [1, { metric: 1 }, [{ metric: 1 }]],
      [2, { metric: 2 }],
      [3, { metric: 3, state: 'expired' }],
      [9.9, 'time'],
      [10, 'time', [{ metric: 2 }, { metric: 3, state: 'expired' }]],
    ],
  },
  {
    name: 'counts such a list as one of the first of the next window that has an event',
    stream: rollup(2, 10, tap('out')),
    rows: [
      [1, [{ metric: 1 }, { metric: 2 }, { metric: 3 }], [{ metric: 1 }], [{ metric: 2 }]],
      [35, { metric: 4 }, [{ metric: 3 }], [{ metric: 4 }]],
      [36, { metric: 5 }],
      [40, 'time', [{ metric: 5 }]],
    ],
  },
  {
    name: 'passes nothing at once with a count of 0',
    stream: rollup(0, 10, tap('out')),
    rows: [
      [1, { metric: 1 }],
      [10, 'time', [{ metric: 1 }]],
    ],
  },
  {
    name: 'keeps its list through a gap, late as it then is: these are pages',
    stream: rollup(1, 10, tap('out')),
    rows: [
      [1, [{ metric: 1 }, { metric: 2 }], [{ metric: 1 }]],
      [900, 'gap', [{ metric: 2 }]],
    ],
  },
  {
    name: 'holds no more than a buffer',
    stream: rollup(0, 10, tap('out')),
    settings: { eventsPerBuffer: 2 },
    rows: [
      [1, [{ metric: 1 }, { metric: 2 }, { metric: 3 }]],
      [10, 'time', [{ metric: 1 }, { metric: 2 }]],
    ],
  },
])
