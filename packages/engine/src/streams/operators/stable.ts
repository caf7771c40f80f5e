import { EventCursor, Kind } from '@ricci/client'
import { QueueView } from '../../state/lists.ts'
import { ValueSlot } from '../../state/values.ts'
import { hold } from '../buffer.ts'
import { checkField, compileField, type Field } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import { notNegative, Stream } from '../stream.ts'
import { factOf, spanOf } from '../trail.ts'
import { by } from './by.ts'
import { incident } from './incident.ts'
import { index } from './index.ts'
import { sdo } from './sdo.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'

/**
 * Passes events once a field or function of theirs has held its value for a time; what came meanwhile is held back and follows
 * in order. A change of the value drops what was held.
 *
 * What is held is let go by a later event at least `seconds` after the first held one (event time), or by a timer `seconds`
 * after that one arrived, less its age (owned time), whichever is first.
 * Source: Riemann's `stable`; its timer repeats what an event has flushed already, ours does not.
 * @param seconds for how long the value must hold
 * @example stable(30, (e) => e.metric > 0.9, incident('cpu-high', { bad: 'metric > 0.9', to: 'oncall' }))
 */
export function stable(seconds: number, field: Field, ...children: Stream[]): Stream {
  checkField('stable', field)
  return new Stream('stable', [notNegative('stable', 'its time', seconds), field], children)
}

defineOperator({
  name: 'stable',
  sample: () => stable(2, 'state', tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: { known: 'flag', value: 'value', held: 'list', flush: 'ownedTimer' },
  build({ args: [seconds, field], columns: { known, value, held, flush }, out, runtime }) {
    const dt = seconds as number
    const read = compileField(field as Field, runtime)
    const slot = new ValueSlot()
    const first = new EventCursor()
    const view = new QueueView()
    const { owned } = runtime.clocks
    const shown = new QueueView()
    // whose events are on their way, within one call
    let letting = -1
    function letGo(fork: number): void {
      held.take(fork, view)
      const events = view
      letting = fork
      for (let i = 0; i < events.length; i++) {
        events.load(i, first)
        out.event(first, fork)
      }
      letting = -1
      held.giveBack(events)
    }
    return {
      event(event, fork) {
        read(event, slot)
        if (known.get(fork) === 0 || !value.equals(fork, slot)) {
          known.set(fork, 1)
          value.store(fork, slot)
          held.clear(fork)
          held.push(fork, event)
          flush.set(fork, owned.now + Math.max(0, dt * 1000 - runtime.ageMs))
          return
        }
        if (held.count(fork) === 0) return out.event(event, fork)
        held.loadFirst(fork, first)
        hold(held, fork, event, runtime)
        const timed = event.timeKind !== Kind.none && first.timeKind !== Kind.none
        if (timed && event.time - first.time >= dt) {
          flush.clear(fork)
          letGo(fork)
        }
      },
      // how long it has held already is not known: it waits from now on
      resume(fork, [before]) {
        if (before !== seconds && flush.get(fork) !== Infinity) flush.set(fork, owned.now + dt * 1000)
      },
      timers: { flush: (fork) => letGo(fork) },
      explain(fork) {
        if (known.get(fork) === 0) return {}
        value.load(fork, slot)
        return {
          value: factOf(slot, runtime.table),
          ...spanOf(letting === fork ? view : held.view(fork, shown)),
          ...(letting === fork && { letGo: true }),
        }
      },
    }
  },
})

/* @__PURE__ */ casesOf('stable', () => [
  {
    name: 'passes events once the value has held for its time, those held back first',
    stream: stable(5, 'state', tap('out')),
    rows: [
      [0, { state: 'ok', metric: 1 }],
      [4, { state: 'ok', metric: 2 }],
      [5, 'time', { state: 'ok', metric: 1 }, { state: 'ok', metric: 2 }],
      [6, { state: 'ok', metric: 3 }, { state: 'ok', metric: 3 }],
    ],
  },
  {
    name: 'drops what it held when the value changes',
    stream: stable(5, 'state', tap('out')),
    rows: [
      [0, { state: 'ok' }],
      [4, { state: 'bad', metric: 1 }],
      [8, { state: 'bad', metric: 2 }],
      [8.9, 'time'],
      [9, 'time', { state: 'bad', metric: 1 }, { state: 'bad', metric: 2 }],
    ],
  },
  {
    name: 'lets a lone event go by its timer, and repeats nothing that an event has let go (Riemann does)',
    stream: stable(5, 'state', tap('out')),
    rows: [
      [0, { state: 'ok', time: 0 }],
      [1, { state: 'ok', time: 6 }, { state: 'ok', time: 0 }, { state: 'ok', time: 6 }],
      [20, 'time'],
      [21, { state: 'bad' }],
      [26, 'time', { state: 'bad' }],
    ],
  },
  {
    name: 'takes the age of its first event off the timer',
    stream: stable(10, 'state', tap('out')),
    rows: [
      [100, { state: 'ok', time: 96 }],
      [105.9, 'time'],
      [106, 'time', { state: 'ok', time: 96 }],
    ],
  },
  {
    name: 'takes functions; expired events count as any other',
    stream: stable(2, (e) => e.metric > 5, tap('out')),
    rows: [
      [0, { metric: 6 }],
      [1, { metric: 7, state: 'expired' }],
      [2, 'time', { metric: 6 }, { metric: 7, state: 'expired' }],
    ],
  },
  {
    name: 'waits on owned time: what held while nobody owned the log has not held',
    stream: stable(5, 'state', tap('out')),
    rows: [
      [0, { state: 'ok' }],
      [600, 'gap'],
      [604.9, 'time'],
      [605, 'time', { state: 'ok' }],
    ],
  },
  {
    name: 'holds no more than a buffer',
    stream: stable(5, 'state', tap('out')),
    settings: { eventsPerBuffer: 2 },
    rows: [
      [0, [{ metric: 1 }, { metric: 2 }, { metric: 3 }]],
      [5, 'time', { metric: 1 }, { metric: 2 }],
    ],
  },
  {
    name: 'lets go of a late event as a late one: a page rests on it only where nothing newer contradicts it',
    stream: sdo(index(), by('host', stable(5, 'state', incident('down', { bad: 'state = "bad"', to: 'oncall' })))),
    rows: [
      [200, { host: 'a', state: 'ok', ttl: 900 }],
      [300, { host: 'a', state: 'bad', ttl: 900, time: 100 }],
      [301, 'time'],
      [302, { host: 'b', state: 'bad', ttl: 900, time: 100 }],
      [303, 'time', { page: { action: 'trigger', host: 'b' } }],
      [304, { host: 'a', state: 'bad', ttl: 900 }, { page: { action: 'trigger', host: 'a' } }],
    ],
  },
])
