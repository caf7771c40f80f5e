/**
 * The laws over generated rules: samples of operators grafted onto one another's taps, three deep, side by side, and a switch from one such
 * tree to another. Made of the registry, so that a new operator is among them by itself; one that was never part of what showed something
 * fails.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkRules, index, operators, rules, Stream } from '@ricci/engine'
import fc from 'fast-check'
import { ArrayLog, type Seen } from './array-log.ts'
import { generatedRecords } from './records.ts'

const runs = 60
const depth = 3
const samples = operators().flatMap(({ name, sample }) => (sample === undefined ? [] : [{ name, sample }]))

/** Grows a tree: onto every tap that is a leaf comes what `next` gives, where that takes what flows there. */
function grafted(stream: Stream, next: () => Stream): Stream {
  if (stream.operator !== 'tap' || stream.children.length > 0) {
    return new Stream(
      stream.operator,
      stream.args,
      stream.children.map((child) => grafted(child, next)),
      stream.label,
    )
  }
  return new Stream('tap', stream.args, [next()])
}

/** A tree of samples, by the numbers given; where one does not take what another gives, the tree ends there. */
function composed(picks: readonly number[]): Stream {
  let at = 0
  const pick = (): Stream => samples[picks[at++ % picks.length] % samples.length].sample()
  let tree = pick()
  for (let level = 1; level < depth; level++) {
    const larger = grafted(tree, pick)
    try {
      checkRules(rules(larger))
    } catch {
      continue
    }
    tree = larger
  }
  return tree
}

/** What was shown. When a full limit is told of depends on what was told before, which is no state. */
function shownBy({ taps, decisions, alarms }: Seen): unknown {
  return { taps, decisions, alarms: alarms.filter(([, name]) => !name.endsWith('-full')) }
}

function namesIn(stream: Stream): string[] {
  return [stream.operator, ...stream.children.flatMap(namesIn)]
}

describe('laws of generated rules', () => {
  it('hold for trees of any operators, and over a switch from one to another', () => {
    const trees = fc.array(fc.array(fc.nat({ max: 1_000 }), { minLength: 2, maxLength: 8 }), {
      minLength: 1,
      maxLength: 4,
    })
    const limits = fc.record({
      graceMs: fc.constantFrom(0, 2_000),
      forksPerBy: fc.constantFrom(1_000, 3),
      eventsPerBuffer: fc.constantFrom(1_000, 3),
      symbols: fc.constantFrom(100_000, 60),
      idleForkMs: fc.constantFrom(0, 2_000, 86_400_000),
      reaperIntervalMs: fc.constantFrom(0, 2_000),
      pagesPerMinute: fc.constantFrom(100, 2),
      pendingPerReceiver: fc.constantFrom(10_000, 3),
    })
    const shown = new Map(samples.map(({ name }) => [name, 0]))
    let deep = 0
    let kept = 0
    fc.assert(
      fc.property(
        trees,
        trees,
        limits,
        generatedRecords,
        fc.array(fc.nat({ max: 500 }), { minLength: 1, maxLength: 6 }),
        (first, second, settings, records, places) => {
          const before = [index(), ...first.map(composed)]
          // some of the old trees, so that there is something to go on from
          const after = [index(), ...second.map(composed), ...first.slice(1).map(composed)]
          const half = records.length >> 1
          const log = new ArrayLog()
            .switchTo(rules(...before), settings)
            .append(...records.slice(0, half))
            .switchTo(rules(...after), settings)
            .append(...records.slice(half))
          const whole = log.run()
          const cuts = places.map((place) => 1 + (place % (log.records.length - 1)))
          const cut = log.run(cuts)
          assert.deepEqual(
            shownBy(cut.seen),
            shownBy(whole.seen),
            `a snapshot before ${cuts} changes nothing that is shown`,
          )
          assert.deepEqual(cut.engine.hashes(), whole.engine.hashes())
          assert.equal(cut.engine.stateHash(), whole.engine.stateHash(), `a snapshot before ${cuts} changes no state`)
          const { atCut, cut: hashed, restored } = log.cutWhileApplying(cuts[0], 1 + (places[0] % 7))
          assert.deepEqual(
            [hashed, restored],
            [atCut, atCut],
            'so does one that is worked on while records are applied',
          )
          const names = [...before, ...after].flatMap(namesIn)
          if (names.length > 12) deep++
          kept += whole.seen.taps.length
          for (const name of new Set(names)) {
            if (whole.seen.taps.length + whole.seen.decisions.length > 0) shown.set(name, (shown.get(name) ?? 0) + 1)
          }
        },
      ),
      { numRuns: runs, seed: 20261129 },
    )
    assert.deepEqual(
      [...shown].filter(([, times]) => times === 0).map(([name]) => name),
      [],
      'operators that were part of nothing that showed anything',
    )
    assert.ok(deep > runs / 2, `only ${deep} of ${runs} runs had more than a dozen operators`)
    assert.ok(kept > 10 * runs, `only ${kept} events were shown`)
  })
})
