import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { fixedEventWindow } from './windows.ts'

/**
 * Passes everything to each of its children: several streams where one is asked for.
 * Source: Riemann's `sdo`.
 * @example sdo(index(), notify('oncall'))
 */
export function sdo(...children: Stream[]): Stream {
  return new Stream('sdo', [], children)
}

defineOperator({
  name: 'sdo',
  sample: () => sdo(tap('out')),
  takes: ['event', 'list', 'value'],
  gives: 'same',
  columns: {},
  build: ({ out }) => ({
    event: (event, fork) => out.event(event, fork),
    list: (list, fork) => out.list(list, fork),
    value: (value, fork) => out.value(value, fork),
  }),
})

/* @__PURE__ */ casesOf('sdo', () => [
  {
    name: 'passes what comes to each child, in order',
    stream: sdo(tap('out'), tap('too')),
    rows: [[0, { metric: 1 }, { metric: 1 }, { tap: 'too', shows: { metric: 1 } }]],
  },
  {
    name: 'passes lists as lists; without children it drops what comes',
    stream: fixedEventWindow(2, sdo(sdo(), tap('out'))),
    rows: [
      [0, { metric: 1 }],
      [1, { metric: 2 }, [{ metric: 1 }, { metric: 2 }]],
    ],
  },
])
