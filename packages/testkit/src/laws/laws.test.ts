/**
 * The engine's four laws, for every operator that is registered: whoever adds one gives a sample, and it is under them.
 * A run that exercised nothing fails: each sample must show something, fire timers if it declares any, and hold state when it is cut.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { operators, rules, type Stream, tap, where } from '@ricci/engine'
import fc from 'fast-check'
import { ArrayLog } from './array-log.ts'
import { generatedRecords } from './records.ts'

const runs = 12
const timerKinds = new Set(['ownedTimer', 'gracedTimer', 'calendarTimer', 'periodicTimer'])

function logOf(stream: Stream, records: Parameters<ArrayLog['append']>, settings = {}): ArrayLog {
  return new ArrayLog().switchTo(rules(stream), { graceMs: 2_000, ...settings }).append(...records)
}

describe('laws', () => {
  for (const operator of operators()) {
    if (operator.name === 'rules') continue
    const sample = operator.sample
    it(`${operator.name} keeps them`, () => {
      assert.ok(sample !== undefined, `give ${operator.name} a sample, so that the laws can be tried on it`)
      let shown = 0
      let timersFired = 0
      let heldAtCuts = 0
      fc.assert(
        fc.property(generatedRecords, fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), (records, places) => {
          const log = logOf(sample(), records)
          const whole = log.run()
          shown += whole.seen.taps.length + whole.seen.decisions.length + whole.engine.stats().indexSize
          timersFired += whole.engine.stats().timersFired

          const again = log.run()
          assert.deepEqual(again.seen, whole.seen, 'the same records show the same')
          assert.equal(again.engine.stateHash(), whole.engine.stateHash(), 'and lead to the same state')

          const cuts = places.map((place) => 1 + (place % (log.records.length - 1)))
          const cut = log.run(cuts)
          assert.deepEqual(cut.seen, whole.seen, `a snapshot before ${cuts} changes nothing that is shown`)
          assert.deepEqual(cut.engine.hashes(), whole.engine.hashes())
          assert.equal(cut.engine.stateHash(), whole.engine.stateHash(), `a snapshot before ${cuts} changes no state`)
          const { atCut, restored } = log.carriedWhileApplying(cuts[0])
          assert.equal(restored, atCut, 'a snapshot is that of its cut, whatever is applied while it is carried away')
          const bare = logOf(tap('bare'), records).run(cuts)
          heldAtCuts += cut.cutBytes - bare.cutBytes

          const beside = new ArrayLog()
            .switchTo(rules(where(throwing, tap('never')), sample()), { graceMs: 2_000 })
            .append(...records)
          assert.deepEqual(beside.run().seen.taps, whole.seen.taps, 'a neighbour that throws changes nothing')

          const limits = { forksPerBy: 2, eventsPerBuffer: 3, indexRows: 2 }
          const small = logOf(sample(), records, limits).run()
          assert.ok(small.engine.stats().forks <= 1 + 2 * 2, `forks stay within their limit`)
          assert.ok(small.engine.stats().indexSize <= 2)
          assert.equal(small.engine.stats().ruleErrors, whole.engine.stats().ruleErrors, 'a limit is no error')
        }),
        { numRuns: runs, seed: 20261121 },
      )
      assert.ok(shown > 0, 'no run showed anything')
      const spec = typeof operator.columns === 'function' ? operator.columns(sample().args) : operator.columns
      const kinds = Object.values(spec)
      if (kinds.some((kind) => timerKinds.has(kind))) assert.ok(timersFired > 0, 'no run fired a timer')
      if (kinds.length > 0) assert.ok(heldAtCuts > 0, 'no run held state where it was cut')
    })
  }
})

function throwing(): never {
  throw new Error('a rule with a mistake')
}
