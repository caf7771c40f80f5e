import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { knownSeeds, mutationNames } from './mutations.ts'
import { runSeed } from './run.ts'

/** How many seeds from the known one on are searched: a small change elsewhere shifts what a seed does, not what seeds find. */
const searchedSeeds = 40

describe('a rule taken away is found by the oracle', () => {
  for (const mutation of mutationNames) {
    it(mutation, async () => {
      const first = knownSeeds[mutation]
      for (let seed = first; seed < first + searchedSeeds; seed++) {
        const { verdicts } = await runSeed(seed, { mutation })
        if (verdicts.length === 0) continue
        const [{ kind, text }] = verdicts
        console.log(`without ${mutation}, seed ${seed}: ${kind}: ${text}`)
        return
      }
      assert.fail(`seeds ${first} to ${first + searchedSeeds - 1} pass without ${mutation}`)
    })
  }
})
