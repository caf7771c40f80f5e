import { EventCursor, Kind } from '@ricci/client'
import { QueueView } from '../../state/lists.ts'
import { ValueSlot } from '../../state/values.ts'
import { checkField, compileField, type Field } from '../fields.ts'
import { defineOperator } from '../operator.ts'
import { notNegative, Stream } from '../stream.ts'
import { tap } from './tap.ts'

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
    function letGo(fork: number): void {
      held.take(fork, view)
      const events = view
      for (let i = 0; i < events.length; i++) {
        events.load(i, first)
        out.event(first, fork)
      }
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
        if (held.count(fork) < runtime.settings.eventsPerBuffer) held.push(fork, event)
        const timed = event.timeKind !== Kind.none && first.timeKind !== Kind.none
        if (timed && event.time - first.time >= dt) {
          flush.clear(fork)
          letGo(fork)
        }
      },
      timers: { flush: (fork) => letGo(fork) },
    }
  },
})
