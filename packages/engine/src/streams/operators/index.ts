import { defineOperator } from '../operator.ts'
import { Stream } from '../stream.ts'

/**
 * Keeps each event in the index, over the last one of its host and service, until its TTL passes; then the entry leaves and
 * comes back through all streams with the state `expired`. An event with that state takes the entry out.
 * Source: Riemann's `index`.
 * @example rules(index())
 */
export function index(): Stream {
  return new Stream('index', [], [])
}

defineOperator({
  name: 'index',
  sample: () => index(),
  takes: ['event'],
  gives: 'nothing',
  columns: {},
  build({ runtime }) {
    return { event: (event) => runtime.index.put(event, runtime.ageMs, runtime.late) }
  },
})
