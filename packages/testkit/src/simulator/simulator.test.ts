import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runSeed } from './run.ts'
import { Summary } from './summary.ts'

/** Some twenty seconds of one core. `.ci/run` runs 2,000 seeds besides. */
const ciSeeds = 100

describe('the simulator', () => {
  it(`runs ${ciSeeds} seeds on which the oracle finds nothing`, async () => {
    const summary = new Summary()
    const failures: string[] = []
    for (let seed = 1; seed <= ciSeeds; seed++) {
      const result = await runSeed(seed)
      summary.add(result)
      for (const { kind, text } of result.verdicts) failures.push(`seed ${seed}: ${kind}: ${text}`)
    }
    console.log(summary.text())
    assert.deepEqual(failures, [], 'replay a seed with: npm run simulate -- --seeds 1 --first SEED --trace')
    assert.deepEqual(summary.missing(), [], 'no seed injected or exercised these')
  })

  it('does the same on the same seed', async () => {
    for (const seed of [3, 4, 5]) {
      const [first, second] = [await runSeed(seed), await runSeed(seed)]
      assert.equal(first.traceHash, second.traceHash)
    }
    assert.notEqual((await runSeed(6)).traceHash, (await runSeed(7)).traceHash)
  })
})
