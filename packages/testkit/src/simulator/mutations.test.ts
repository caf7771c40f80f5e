import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { searchMutation, searchedSeeds } from './mutation-search.ts'
import { knownSeeds, mutationNames } from './mutations.ts'

describe('the oracle finds that a rule was taken away', () => {
  for (const mutation of mutationNames) {
    it(mutation, async () => {
      const finding = await searchMutation(mutation)
      assert.ok(finding, `${searchedSeeds} seeds from ${knownSeeds[mutation]} on pass without ${mutation}`)
    })
  }
})
