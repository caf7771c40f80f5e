/**
 * The engine's four laws, for every operator that is registered: whoever adds one gives a sample, and it is under them.
 * A run that exercised nothing fails: each sample must show something, fire timers if it declares any, and hold state when it is cut.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { index, operators, rules, type Stream, tap, where } from '@ricci/engine'
import fc from 'fast-check'
import { ArrayLog, type Seen } from './array-log.ts'
import { generatedRecords } from './records.ts'

const runs = 12
const timerKinds = new Set(['ownedTimer', 'gracedTimer', 'calendarTimer', 'periodicTimer'])

const settings = { graceMs: 2_000 }

function logOf(stream: Stream, records: Parameters<ArrayLog['append']>, more = {}): ArrayLog {
  return new ArrayLog().switchTo(rules(stream), { ...settings, ...more }).append(...records)
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
        fc.property(
          generatedRecords,
          fc.array(fc.nat({ max: 200 }), { minLength: 1, maxLength: 3 }),
          (records, places) => {
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
            const { atCut, cut: hashed, restored } = log.cutWhileApplying(cuts[0], 1 + (places[0] % 7))
            assert.equal(hashed, atCut, 'the hash of a cut is that of its position, whatever is applied meanwhile')
            assert.equal(restored, atCut, 'and so is its snapshot')
            const bare = logOf(tap('bare'), records).run(cuts)
            heldAtCuts += cut.cutBytes - bare.cutBytes

            const beside = new ArrayLog()
              .switchTo(rules(where(throwing, tap('never')), sample()), { graceMs: 2_000 })
              .append(...records)
            assert.deepEqual(beside.run().seen.taps, whole.seen.taps, 'a neighbour that throws changes nothing')

            const at = 1 + (places[0] % records.length)
            const around = (again: Stream) =>
              new ArrayLog()
                .switchTo(rules(sample()), settings)
                .append(...records.slice(0, at))
                .switchTo(rules(again), settings)
                .append(...records.slice(at))
            const same = around(sample()).run()
            assert.deepEqual(shownBy(same.seen), shownBy(whole.seen), 'a switch to the same rules changes nothing')
            assert.equal(same.engine.stats().indexSize, whole.engine.stats().indexSize)

            const other = around(where('host != "c"', index(), sample()))
            const uncut = other.run()
            const cutToo = other.run([...cuts, at + 1, at + 2])
            assert.deepEqual(cutToo.seen, uncut.seen, 'a snapshot beside a switch of rules changes nothing')
            assert.equal(cutToo.engine.stateHash(), uncut.engine.stateHash())
            const goesOn = new ArrayLog()
              .switchTo(rules(tap('beside'), sample()), settings)
              .append(...records.slice(0, at))
              .switchTo(rules(sample(), index()), settings)
              .append(...records.slice(at))
            const moved = goesOn.run()
            const movedCut = goesOn.run([at + 1, at + 2, records.length])
            assert.deepEqual(movedCut.seen, moved.seen, 'nor where state moves to another place of the tree')
            assert.equal(movedCut.engine.stateHash(), moved.engine.stateHash())

            const limits = { forksPerBy: 2, eventsPerBuffer: 3, indexRows: 2 }
            const small = logOf(sample(), records, limits).run()
            assert.ok(small.engine.stats().forks <= 1 + 2 * 2, `forks stay within their limit`)
            assert.ok(small.engine.stats().indexSize <= 2)
            assert.equal(small.engine.stats().ruleErrors, whole.engine.stats().ruleErrors, 'a limit is no error')
          },
        ),
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

/** What was shown, without the offsets, which a record more shifts. */
function shownBy({ taps, decisions, alarms }: Seen): unknown {
  return [taps.map(([, name, value]) => [name, value]), decisions.length, alarms.map(([, name]) => name)]
}

function throwing(): never {
  throw new Error('a rule with a mistake')
}
