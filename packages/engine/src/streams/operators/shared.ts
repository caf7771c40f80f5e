import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { by } from './by.ts'
import { counter } from './counter.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { throttle } from './throttle.ts'
import { fixedEventWindow } from './windows.ts'

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

/* @__PURE__ */ casesOf('shared', () => [
  {
    name: 'has one state for all forks of the `by` above it',
    stream: by('host', counter(tap('own')), shared(counter(tap('out')))),
    rows: [
      [0, { host: 'a', metric: 1 }, { tap: 'own', shows: { host: 'a', metric: 1 } }, { host: 'a', metric: 1 }],
      [1, { host: 'b', metric: 1 }, { tap: 'own', shows: { host: 'b', metric: 1 } }, { host: 'b', metric: 2 }],
    ],
  },
  {
    name: 'leaves every `by`, and another one begins anew within it',
    stream: by('host', by('service', shared(by('state', counter(tap('out')))))),
    rows: [
      [0, { host: 'a', service: 's', state: 'x', metric: 1 }, { host: 'a', service: 's', state: 'x', metric: 1 }],
      [1, { host: 'b', service: 't', state: 'x', metric: 1 }, { host: 'b', service: 't', state: 'x', metric: 2 }],
      [2, { host: 'b', service: 't', state: 'y', metric: 1 }, { host: 'b', service: 't', state: 'y', metric: 1 }],
    ],
  },
  {
    name: 'takes lists',
    stream: by('host', fixedEventWindow(1, shared(throttle(1, 60, tap('out'))))),
    rows: [
      [0, { host: 'a' }, [{ host: 'a' }]],
      [1, { host: 'b' }],
    ],
  },
])
