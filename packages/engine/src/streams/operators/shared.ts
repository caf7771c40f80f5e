import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { by } from './by.ts'
import { counter } from './counter.ts'
import { tap } from './tap.ts'

/**
 * Leaves every `by` above it: its children have one state for all forks.
 * In Riemann that is what a stream bound outside of `by` does.
 * @example changedState({ init: 'ok' }, shared(by('state', counter(index()))))
 */
export function shared(...children: Stream[]): Stream {
  return new Stream('shared', [], children)
}

defineOperator({
  name: 'shared',
  sample: () => by('host', shared(counter(tap('out')))),
  takes: ['event', 'list', 'value'],
  gives: 'same',
  columns: {},
  opens: 'top',
  build: ({ out }) => ({
    event: (event) => out.event(event, 0),
    list: (list) => out.list(list, 0),
    value: (value) => out.value(value, 0),
  }),
})
