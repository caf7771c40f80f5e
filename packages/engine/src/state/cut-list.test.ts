import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { CutCopies } from './asides.ts'
import { CutList, type Place } from './cut-list.ts'

interface Member {
  readonly name: number
  changes: number
}

/** A list of members, and how often one was copied. */
function listOf(count: number) {
  const told = { copies: 0 }
  const list = new CutList<Member>((member) => {
    told.copies++
    return { ...member }
  })
  const places = Array.from({ length: count }, (_, name) => list.add({ name, changes: 0 }))
  return { list, places, told }
}

interface Step {
  readonly what: 'add' | 'cut' | 'end' | 'change' | 'remove' | 'write'
  /** Of the members there are, or how many to write. */
  readonly which: number
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    what: fc.constantFrom('add', 'cut', 'end', 'change', 'change', 'remove', 'write', 'write'),
    which: fc.nat({ max: 30 }),
  }),
  { maxLength: 60 },
)

describe('a list of objects that is cut', () => {
  it('copies nothing at the cut, however long it is: only what changes before it was written', () => {
    const { list, places, told } = listOf(100_000)
    const cut = new CutCopies()
    list.begin(cut)
    assert.equal(told.copies, 0)
    for (const place of [places[70_000], places[70_000], places[99_999]]) list.keep(place)
    list.remove(places[5])
    assert.equal(told.copies, 3)
    assert.ok(cut.bytes > 0, 'what is kept aside is counted')
    list.write(10)
    list.keep(places[9])
    assert.equal(told.copies, 12, 'what was written may change')
    cut.end()
    assert.equal(cut.bytes, 0)
    assert.equal(list.length, 99_999)
  })

  it('finds the first of which something holds without a look at all before it', () => {
    const { list, places } = listOf(100_000)
    /** Members looked at for the first `count` from a name on. */
    const looks = (from: number, count: number): number => {
      let looked = 0
      let left = count
      const isBehind = ({ name }: Member): boolean => ++looked > 0 && name >= from
      for (const { name } of list.from(isBehind)) {
        assert.equal(name, from)
        if (--left === 0) break
      }
      return looked
    }
    for (const from of [0, 1, 255, 256, 50_001, 99_999]) assert.ok(looks(from, 1) < 300, `from ${from}`)
    // all but every thousandth go, in a row and at random
    for (const [name, place] of places.entries()) if (name % 1_000 !== 7) list.remove(place)
    for (const from of [7, 50_007, 99_007]) assert.ok(looks(from, 1) < 300, `from ${from} of few`)
  })

  it('gives all from a place on, whatever was added, removed and cut', () => {
    fc.assert(
      fc.property(steps, fc.nat({ max: 400 }), (history, from) => {
        const { list, places } = listOf(350)
        let named = 350
        for (const { what, which } of history) {
          if (what === 'add') places.push(list.add({ name: named++, changes: 0 }))
          else if (what === 'cut') list.begin(new CutCopies())
          else if (what === 'write') list.write(which)
          else if (what === 'remove' || what === 'change') {
            for (const place of places.splice(which * 10, which)) list.remove(place)
          }
        }
        const names = (members: Iterable<Member>) => Array.from(members, ({ name }) => name)
        assert.deepEqual(
          names(list.from(({ name }) => name >= from)),
          names(list).filter((name) => name >= from),
        )
      }),
    )
  })

  it('writes what stood there at the cut, whatever happens to it meanwhile', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const { list, places } = listOf(8)
        /** What the list is, held in the simplest way. */
        const model = [...places]
        let copies = new CutCopies()
        let expected: string[] | undefined
        const pick = (which: number): Place<Member> | undefined => model[which % Math.max(1, model.length)]
        const textOf = (member: unknown) => JSON.stringify(member)
        for (const step of history) {
          if (step.what === 'add') model.push(list.add({ name: 100 + model.length, changes: 0 }))
          else if (step.what === 'cut') {
            list.begin((copies = new CutCopies()))
            expected = list.toJSON().map(textOf)
          } else if (step.what === 'end') {
            copies.end()
            expected = undefined
          } else if (step.what === 'write') {
            if (expected === undefined) continue
            const written = list.write(step.which).map(textOf)
            assert.deepEqual(written, expected.splice(0, step.which))
          } else {
            const place = pick(step.which)
            if (place === undefined) continue
            if (step.what === 'change') {
              list.keep(place)
              place.value.changes++
            } else {
              list.remove(place)
              place.value.changes = -1
              model.splice(model.indexOf(place), 1)
            }
          }
          assert.deepEqual(
            [...list],
            model.map(({ value }) => value),
          )
          assert.equal(list.length, model.length)
        }
        if (expected !== undefined) assert.deepEqual(list.write(1_000).map(textOf), expected)
        copies.end()
        assert.equal(copies.bytes, 0)
      }),
    )
  })
})
