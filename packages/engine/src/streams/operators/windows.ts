import { Kind } from '@ricci/client'
import { isFold } from '../../folds/fold.ts'
import { QueueView } from '../../state/lists.ts'
import { hold } from '../buffer.ts'
import { defineOperator } from '../operator.ts'
import { positive, Stream, wholeNumber } from '../stream.ts'
import { spanOf } from '../trail.ts'
import { by } from './by.ts'
import { fold } from '../../folds/vocabulary.ts'
import { incident } from './incident.ts'
import { index } from './index.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { counter } from './counter.ts'
import { sdo } from './sdo.ts'
import { where } from './where.ts'
import { smap } from './smap.ts'
import { over } from './thresholds.ts'
import { adjust } from './with.ts'

/** Larger windows of events belong into a time window or a store. */
const longestEventWindow = 100_000
/** Empty windows given one after another; a jump over more goes on from its end. Riemann knows no limit there. */
const mostEmptyWindows = 1_000

/**
 * The last `count` events as a list, at each event.
 * Source: Riemann's `moving-event-window`.
 * @example movingEventWindow(10, smap(fold.mean, index()))
 */
export function movingEventWindow(count: number, ...children: Stream[]): Stream {
  wholeNumber('movingEventWindow', 'its count', count, 0, longestEventWindow)
  return new Stream('movingEventWindow', [count], children)
}

/**
 * Each `count` events as a list.
 * Source: Riemann's `fixed-event-window`.
 * @example fixedEventWindow(100, smap(fold.mean, index()))
 */
export function fixedEventWindow(count: number, ...children: Stream[]): Stream {
  wholeNumber('fixedEventWindow', 'its count', count, 1, longestEventWindow)
  return new Stream('fixedEventWindow', [count], children)
}

/**
 * The events of the last `seconds` before the newest as a list, at each event that is not too old itself. Event time.
 * Source: Riemann's `moving-time-window`.
 * @example movingTimeWindow(30, smap(fold.mean, over(0.9, notify('oncall'))))
 */
export function movingTimeWindow(seconds: number, ...children: Stream[]): Stream {
  return new Stream('movingTimeWindow', [positive('movingTimeWindow', 'its width', seconds)], children)
}

/**
 * The events of windows of `seconds` that follow each other from the first event's time on, each as a list once an event of a
 * later window comes. Late events are dropped; those without a time join the window there is, before the first they are lost. Event time.
 * Source: Riemann's `fixed-time-window`.
 * @example fixedTimeWindow(60, smap(fold.sum, index()))
 */
export function fixedTimeWindow(seconds: number, ...children: Stream[]): Stream {
  return new Stream('fixedTimeWindow', [positive('fixedTimeWindow', 'its width', seconds)], children)
}

/** Whether a child folds the window at each event: then its numbers are kept together. */
function isFolded(child: Stream): boolean {
  return child.operator === 'smap' && isFold(child.args[0])
}

defineOperator({
  name: 'movingEventWindow',
  sample: () => movingEventWindow(3, tap('out')),
  takes: ['event'],
  gives: 'list',
  columns: { held: 'list' },
  build({ args: [count], columns: { held }, out, children }) {
    const view = new QueueView()
    const shown = new QueueView()
    if (children.some(isFolded)) held.keepNumbers()
    return {
      event(event, fork) {
        held.push(fork, event)
        // more than one where the window was longer before the rules were switched
        while (held.count(fork) > (count as number)) held.shift(fork)
        out.list(held.view(fork, view), fork)
      },
      explain: (fork) => spanOf(held.view(fork, shown)),
    }
  },
})

defineOperator({
  name: 'fixedEventWindow',
  sample: () => fixedEventWindow(3, tap('out')),
  takes: ['event'],
  gives: 'list',
  columns: { held: 'list' },
  build({ args: [count], columns: { held }, out }) {
    const view = new QueueView()
    const shown = new QueueView()
    return {
      event(event, fork) {
        held.push(fork, event)
        if (held.count(fork) < (count as number)) return
        const list = held.take(fork, view)
        out.list(list, fork)
        held.giveBack(list)
      },
      explain: (fork) => spanOf(held.view(fork, shown)),
    }
  },
})

defineOperator({
  name: 'movingTimeWindow',
  sample: () => movingTimeWindow(3, tap('out')),
  takes: ['event'],
  gives: 'list',
  // `cutoff` begins at 0: times up to 0 are older than any window
  columns: { cutoff: 'number', held: 'list' },
  build({ args: [seconds], columns: { cutoff, held }, out, children, runtime }) {
    const width = seconds as number
    const view = new QueueView()
    const shown = new QueueView()
    if (children.some(isFolded)) held.keepNumbers()
    return {
      event(event, fork) {
        const timed = event.timeKind !== Kind.none
        const boundary = timed ? Math.max(cutoff.get(fork), event.time - width) : cutoff.get(fork)
        if (timed && event.time <= boundary) return
        if (boundary > cutoff.get(fork)) {
          cutoff.set(fork, boundary)
          held.remove(fork, (pool, slot) => pool.timeKind(slot) !== Kind.none && pool.time(slot) <= boundary)
        }
        if (held.count(fork) >= runtime.settings.eventsPerBuffer) {
          runtime.bufferRefusals++
          held.shift(fork)
        }
        held.push(fork, event)
        out.list(held.view(fork, view), fork)
      },
      explain: (fork) => spanOf(held.view(fork, shown)),
    }
  },
})

defineOperator({
  name: 'fixedTimeWindow',
  sample: () => fixedTimeWindow(3, tap('out')),
  takes: ['event'],
  gives: 'list',
  columns: { started: 'flag', begins: 'number', held: 'list' },
  build({ args: [seconds], columns: { started, begins, held }, out, runtime }) {
    const width = seconds as number
    const view = new QueueView()
    const shown = new QueueView()
    const empty = new QueueView()
    return {
      event(event, fork) {
        if (event.timeKind === Kind.none) {
          if (started.get(fork) === 1) hold(held, fork, event, runtime)
          return
        }
        if (started.get(fork) === 0) {
          started.set(fork, 1)
          begins.set(fork, event.time)
        }
        const from = begins.get(fork)
        if (event.time < from) return
        const passed = Math.floor((event.time - from) / width)
        if (passed > 0) {
          begins.set(fork, from + passed * width)
          const list = held.take(fork, view)
          out.list(list, fork)
          held.giveBack(list)
          for (let i = 1; i < Math.min(passed, mostEmptyWindows); i++) out.list(empty, fork)
        }
        hold(held, fork, event, runtime)
      },
      explain: (fork) => spanOf(held.view(fork, shown)),
    }
  },
})

/* @__PURE__ */ casesOf('movingEventWindow', () => [
  {
    name: 'gives the last events at each event, from the first on; expired ones too',
    stream: movingEventWindow(2, tap('out')),
    rows: [
      [0, { metric: 1 }, [{ metric: 1 }]],
      [1, { metric: 2, state: 'expired' }, [{ metric: 1 }, { metric: 2, state: 'expired' }]],
      [2, { metric: 3, time: 0 }, [{ metric: 2, state: 'expired' }, { metric: 3 }]],
    ],
  },
  {
    name: 'gives empty lists with a count of 0',
    stream: movingEventWindow(0, tap('out')),
    rows: [[0, { metric: 1 }, []]],
  },
  {
    name: 'is late where all its events are: a page rests on it only where nothing newer contradicts it',
    stream: sdo(
      index(),
      by('host', movingEventWindow(2, smap(fold.mean, incident('high', { bad: 'metric > 5', to: 'oncall' })))),
    ),
    rows: [
      [100, { host: 'a', metric: 9, ttl: 900, time: 20 }, { page: { host: 'a' } }],
      [200, { host: 'b', metric: 1, ttl: 900 }],
      // the mean of 1 and 99 rests on an event of the present too
      [201, { host: 'b', metric: 99, ttl: 900, time: 20 }, { page: { host: 'b' } }],
      [202, { host: 'c', metric: 9, ttl: 900, time: 20 }, { page: { host: 'c' } }],
    ],
  },
  {
    name: 'of late events alone opens nothing that a newer entry of the index contradicts',
    stream: sdo(
      index(),
      where(
        'tagged "counts"',
        movingEventWindow(2, smap(fold.mean, incident('high', { bad: 'metric > 5', to: 'oncall' }))),
      ),
    ),
    rows: [
      [200, { host: 'a', metric: 1, ttl: 900 }],
      [201, { host: 'a', metric: 9, ttl: 900, time: 20, tags: ['counts'] }],
      [202, { host: 'a', metric: 9, ttl: 900, time: 21, tags: ['counts'] }],
      [203, { host: 'b', metric: 8, ttl: 900, time: 22, tags: ['counts'] }],
      [204, { host: 'b', metric: 8, ttl: 900, tags: ['counts'] }, { page: { host: 'b' } }],
    ],
  },
])

/* @__PURE__ */ casesOf('fixedEventWindow', () => [
  {
    name: 'gives each so many events once, in order of arrival',
    stream: fixedEventWindow(2, tap('out')),
    rows: [
      [0, { metric: 1, time: 5 }],
      [1, { metric: 2, time: 3 }, [{ metric: 1 }, { metric: 2 }]],
      [2, { metric: 3, state: 'expired' }],
      [900, 'time'],
      [901, { metric: 4 }, [{ metric: 3, state: 'expired' }, { metric: 4 }]],
    ],
  },
])

/* @__PURE__ */ casesOf('movingTimeWindow', () => [
  {
    name: 'gives the events of the last seconds before the newest, at each event; exactly as old has left',
    stream: movingTimeWindow(5, tap('out')),
    rows: [
      [1, { metric: 1 }, [{ metric: 1 }]],
      [3, { metric: 2 }, [{ metric: 1 }, { metric: 2 }]],
      [6, { metric: 3 }, [{ metric: 2 }, { metric: 3 }]],
      [60, 'time'],
      [61, { metric: 4 }, [{ metric: 4 }]],
    ],
  },
  {
    name: 'goes by the times of events: one too old is dropped, one in the window joins it, equal times stay together',
    stream: movingTimeWindow(5, tap('out')),
    rows: [
      [10, { metric: 1 }, [{ metric: 1 }]],
      [10, { metric: 2, time: 5 }],
      [10, { metric: 3, time: 5.5 }, [{ metric: 1 }, { metric: 3 }]],
      [10, { metric: 4, time: 10 }, [{ metric: 1 }, { metric: 3 }, { metric: 4 }]],
    ],
  },
  {
    name: 'holds no more than a buffer: the oldest leaves',
    stream: movingTimeWindow(60, tap('out')),
    settings: { eventsPerBuffer: 2 },
    rows: [
      [
        1,
        [{ metric: 1 }, { metric: 2 }, { metric: 3 }],
        [{ metric: 1 }],
        [{ metric: 1 }, { metric: 2 }],
        [{ metric: 2 }, { metric: 3 }],
      ],
    ],
  },
])

/* @__PURE__ */ casesOf('fixedTimeWindow', () => [
  {
    name: 'gives a window once an event of a later one comes; the end belongs to the next',
    stream: fixedTimeWindow(10, tap('out')),
    rows: [
      [3, { metric: 1 }],
      [12.9, { metric: 2 }],
      [13, { metric: 3 }, [{ metric: 1 }, { metric: 2 }]],
      [900, 'time'],
    ],
  },
  {
    name: 'gives empty windows as empty lists',
    stream: fixedTimeWindow(10, tap('out')),
    rows: [
      [0, { metric: 1 }],
      [25, { metric: 2 }, [{ metric: 1 }], []],
      [40, { metric: 3 }, [{ metric: 2 }], []],
    ],
  },
  {
    name: 'gives at most a thousand at once, and goes on from the newest event (Riemann: without limit)',
    stream: fixedTimeWindow(
      10,
      smap(() => ({ metric: 1 }), counter(over(999, tap('out')))),
    ),
    rows: [
      [1, { time: 1 }],
      [1, { time: 900_000 }, { metric: 1000 }],
      [1, { time: 900_010 }, { metric: 1001 }],
    ],
  },
  {
    name: 'takes an event without a time into the window there is; before the first that has one it is lost',
    stream: sdo(
      where('not tagged "untimed"', fixedTimeWindow(10, tap('timed'))),
      adjust((e) => (e.tags.includes('untimed') ? { time: null } : {}), fixedTimeWindow(10, tap('out'))),
    ),
    rows: [
      [100, { metric: 1, tags: ['untimed'] }],
      [101, { metric: 2 }],
      [102, { metric: 3, tags: ['untimed'] }],
      [111, { metric: 4 }, { tap: 'timed', shows: [{ metric: 2 }] }, [{ metric: 2 }, { metric: 3, tags: ['untimed'] }]],
    ],
  },
  {
    name: 'drops late events, and goes by the times of events, not by arrival',
    stream: fixedTimeWindow(10, tap('out')),
    rows: [
      [30, { metric: 1, time: 20 }],
      [30, { metric: 2, time: 19 }],
      [30, { metric: 3, time: 29 }],
      [30, { metric: 4, time: 20 }],
      [30, { metric: 5, time: 30 }, [{ metric: 1 }, { metric: 3 }, { metric: 4 }]],
    ],
  },
  {
    name: 'holds no more than a buffer',
    stream: fixedTimeWindow(10, tap('out')),
    settings: { eventsPerBuffer: 2 },
    rows: [
      [0, [{ metric: 1 }, { metric: 2 }, { metric: 3 }]],
      [10, { metric: 4 }, [{ metric: 1 }, { metric: 2 }]],
    ],
  },
])
