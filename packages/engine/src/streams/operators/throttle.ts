import { QueueView } from '../../state/lists.ts'
import { OneOrTwo } from '../lists.ts'
import { defineOperator } from '../operator.ts'
import { positive, Stream, wholeNumber } from '../stream.ts'
import { tap } from './tap.ts'

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
    }
  },
})

defineOperator({
  name: 'rollup',
  sample: () => rollup(1, 3, tap('out')),
  takes: ['event'],
  gives: 'list',
  // `carried`: the last window with an event sent a list at its end
  columns: { end: 'number', count: 'count', carried: 'flag', held: 'list', refused: 'count', flush: 'calendarTimer' },
  build({ args: [most, seconds], columns: { end, count, carried, held, refused, flush }, out, runtime }) {
    const length = (seconds as number) * 1000
    const { calendar } = runtime.clocks
    const one = new OneOrTwo()
    const view = new QueueView()
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
        if (held.count(fork) >= runtime.settings.eventsPerBuffer) {
          refused.set(fork, refused.get(fork) + 1)
          return
        }
        held.push(fork, event)
        if (held.count(fork) === 1) flush.set(fork, end.get(fork))
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
    }
  },
})
