import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'
import { tap } from './tap.ts'

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
