import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Acquaintance, type Met } from './acquaintance.ts'

const met = (...names: readonly string[]): Met[] => names.map((instance) => ({ instance, address: `at-${instance}` }))

interface Case {
  readonly name: string
  /** Who is there when it comes, and who comes later. */
  readonly before: readonly string[]
  readonly later: readonly string[]
  readonly refused?: readonly string[]
  readonly answered?: readonly string[]
  readonly stranger: boolean
  readonly by: readonly string[]
}

describe('who the others know', () => {
  for (const { name, before, later, refused = [], answered = [], stranger, by } of [
    { name: 'nobody else is there', before: [], later: [], stranger: false, by: [] },
    { name: 'all answer', before: ['a', 'b'], later: [], answered: ['a', 'b'], stranger: false, by: [] },
    { name: 'who was there before refuses it', before: ['a'], later: [], refused: ['a'], stranger: true, by: ['a'] },
    { name: 'who came later refuses it', before: [], later: ['a'], refused: ['a'], stranger: false, by: ['a'] },
    {
      ...{ name: 'two who came later refuse it', before: [], later: ['a', 'b'] },
      ...{ refused: ['a', 'b'], stranger: true, by: ['a', 'b'] },
    },
    {
      ...{ name: 'one of them answers', before: ['a', 'b'], later: [] },
      ...{ refused: ['a', 'b'], answered: ['b'], stranger: false, by: ['a'] },
    },
    {
      ...{ name: 'all have taken another secret since', before: ['a', 'b'], later: [] },
      ...{ answered: ['a'], refused: ['b'], stranger: false, by: ['b'] },
    },
    {
      ...{ name: 'one that refused it is gone', before: ['a'], later: [], refused: ['a', 'gone'] },
      ...{ stranger: true, by: ['a'] },
    },
  ] as readonly Case[]) {
    it(name, () => {
      const acquaintance = new Acquaintance()
      const all = met(...before, ...later)
      acquaintance.meet(met(...before))
      acquaintance.meet(all)
      for (const one of refused) acquaintance.note(`at-${one}`, false)
      for (const one of answered) acquaintance.note(`at-${one}`, true)
      acquaintance.meet(all)
      assert.deepEqual([acquaintance.isStranger(all), acquaintance.refusedBy(all)], [stranger, by])
    })
  }
})
