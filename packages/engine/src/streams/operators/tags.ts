import { EventCursor } from '@ricci/client'
import { EngineError } from '../../errors.ts'
import { defineOperator } from '../operator.ts'
import { describeValue, Stream } from '../stream.ts'
import { tap } from './tap.ts'
import { casesOf } from '../cases.ts'
import { sdo } from './sdo.ts'
import { madeTags, madeText } from '../../state/made-texts.ts'

function tagList(operator: string, tags: string | readonly string[]): readonly string[] {
  const list = [tags].flat()
  for (const tag of list) {
    if (typeof tag !== 'string')
      throw new EngineError('RULES_INVALID', `${operator} takes tags as text, got ${describeValue(tag)}`)
  }
  return list
}

/**
 * Passes events that have a tag, or all of several.
 * Source: Riemann's `tagged` and `tagged-all`.
 * @example tagged('latency', index())
 */
export function tagged(tags: string | readonly string[], ...children: Stream[]): Stream {
  return new Stream('tagged', [tagList('tagged', tags)], children)
}

/**
 * Puts tags before those an event has, each once.
 * Source: Riemann's `tag`.
 * @example tag('night', index())
 */
export function tag(tags: string | readonly string[], ...children: Stream[]): Stream {
  return new Stream('tag', [tagList('tag', tags)], children)
}

defineOperator({
  name: 'tagged',
  sample: () => tagged('a', tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build({ args: [tags], out, runtime }) {
    const wanted = tags as readonly string[]
    const { table } = runtime
    // the verdict on each set of tags: 0 not looked at, 1 no, 2 yes; a cache
    let verdicts = new Uint8Array(64)
    let generation = runtime.generation
    function judge(set: number): boolean {
      const texts = set === 0 ? [] : Array.from(table.tagsOf(set), (id) => table.text(id))
      return wanted.every((one) => texts.includes(one))
    }
    return {
      event(event, fork) {
        if (generation !== runtime.generation) {
          generation = runtime.generation
          verdicts = new Uint8Array(64)
        }
        const set = event.tags
        if (set >= verdicts.length) {
          const larger = new Uint8Array(set * 2)
          larger.set(verdicts)
          verdicts = larger
        }
        if (verdicts[set] === 0) verdicts[set] = judge(set) ? 2 : 1
        if (verdicts[set] === 2) out.event(event, fork)
      },
    }
  },
})

defineOperator({
  name: 'tag',
  sample: () => tag('b', tap('out')),
  takes: ['event'],
  gives: 'event',
  columns: {},
  build({ args: [tags], out, runtime }) {
    const { table } = runtime
    const added = new EventCursor()
    return {
      event(event, fork) {
        const ids = (tags as readonly string[]).map((text) => madeText(table, text))
        added.copyFrom(event)
        added.tags = madeTags(table, event.tags === 0 ? ids : [...ids, ...table.tagsOf(event.tags)])
        out.event(added, fork)
      },
    }
  },
})

/* @__PURE__ */ casesOf('tagged', () => [
  {
    name: 'passes events that have the tag',
    stream: tagged('x', tap('out')),
    rows: [
      [0, { tags: ['x', 'y'] }, { tags: ['x', 'y'] }],
      [1, { tags: ['xy'] }],
      [2, { metric: 1 }],
    ],
  },
  {
    name: 'wants all of several tags',
    stream: tagged(['x', 'y'], tap('out')),
    rows: [
      [0, { tags: ['x'] }],
      [1, { tags: ['z', 'y', 'x'] }, { tags: ['z', 'y', 'x'] }],
    ],
  },
])

/* @__PURE__ */ casesOf('tag', () => [
  {
    name: 'puts tags before those there are, each once',
    stream: tag(['a', 'b'], tap('out')),
    rows: [
      [0, { metric: 1 }, { metric: 1, tags: ['a', 'b'] }],
      [1, { tags: ['c', 'a'] }, { tags: ['a', 'b', 'c'] }],
    ],
  },
  {
    name: 'changes nothing for its neighbours',
    stream: sdo(tag('a', tap('out')), tap('beside')),
    rows: [[0, { tags: ['b'] }, { tags: ['a', 'b'] }, { tap: 'beside', shows: { tags: ['b'] } }]],
  },
])
