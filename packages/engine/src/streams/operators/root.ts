import { defineOperator } from '../operator.ts'

/** The top of the tree: what `rules(…)` describes. */
defineOperator({
  name: 'rules',
  takes: ['event'],
  gives: 'event',
  columns: {},
  build({ out }) {
    return { event: (event, fork) => out.event(event, fork) }
  },
})
