import assert from 'node:assert/strict'
import { describe as suite, it } from 'node:test'
import { ablations, searchAblation } from './ablations.ts'
import { Batch, describe } from './batch.ts'
import { runElection, type Missing } from './run.ts'

// CI runs 2,000 seeds and takes the rules away besides: `npm run simulate -- election`.
suite('elections under simulated faults', () => {
  it('keep every promise, on each of 100 seeds', async () => {
    const batch = new Batch()
    for (let seed = 1; seed <= 100; seed++) batch.add(await runElection(seed))
    assert.deepEqual(
      batch.failed.map((result) => describe(result)),
      [],
    )
    assert.deepEqual(batch.missing(), [])
  })

  it('do the same on the same seed', async () => {
    const [one, other] = [await runElection(7), await runElection(7)]
    assert.deepEqual(one.history, other.history)
  })

  for (const rule of Object.keys(ablations) as Missing[])
    it(`miss the rule: ${ablations[rule]}`, async () => {
      assert.notEqual(await searchAblation(rule), undefined)
    })
})
