import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { differenceOf, differencesPage, readDifferences } from './differences.ts'
import { readVectors, runCase } from './run.ts'
import { plain, same } from './values.ts'

const known = readDifferences(readFileSync(differencesPage, 'utf8'))
const files = readVectors('packages/testkit/vectors')

describe('recorded behaviour of Riemann', () => {
  for (const { name, cases } of files) {
    test(name, (t) => {
      const wrong: string[] = []
      const skipped = new Map<string, number>()
      for (const c of cases) {
        const outcome = runCase(c, known)
        if (outcome.status === 'failed') wrong.push(`${c.id}: ${outcome.differences.join('\n    ')}`)
        if (outcome.status === 'skipped') skipped.set(outcome.why, (skipped.get(outcome.why) ?? 0) + 1)
      }
      for (const [why, count] of skipped) t.diagnostic(`skipped ${count}: ${why}`)
      assert.equal(wrong.length, 0, wrong.join('\n'))
    })
  }

  test('what must be there is not skipped as unknown', () => {
    for (const name of ['query.json', 'folds.json']) {
      const { cases } = files.find((file) => file.name === name)!
      const unknown = cases
        .map((c) => runCase(c, known))
        .filter((o) => o.status === 'skipped' && /^not there/.test(o.why))
      assert.deepEqual(unknown, [], name)
    }
  })

  test('every listed difference is one: of the cases it lists, at least one differs', () => {
    const cases = files.flatMap((file) => file.cases)
    for (const { pattern } of known) {
      const own = [{ pattern, why: '' }]
      const listed = cases.filter((c) => differenceOf(c.id, [{ pattern: pattern.replace(/ \(.*/, ''), why: '' }]))
      // These recordings are a part of all: a line may be about others only.
      if (listed.length === 0) continue
      const differs = listed.some((c) => runCase(c, []).status === 'failed' && runCase(c, own).status === 'skipped')
      assert.ok(differs, `${pattern} in ${differencesPage} lists no case that differs; take the line out`)
    }
  })
})

describe('the runner itself', () => {
  test('a difference is found and not hidden', () => {
    const c = { id: 'query/x', query: 'metric > 1', event: { metric: 2 }, result: false }
    const outcome = runCase(c, [])
    assert.equal(outcome.status, 'failed')
    assert.equal(runCase({ ...c, result: true } as typeof c, []).status, 'passed')
    assert.equal(runCase(c, [{ pattern: 'query/y', why: '' }]).status, 'failed')
  })

  test('patterns of ids', () => {
    const listed = readDifferences('| `query/a-0*.1`, `folds/x` | because |\n| --- | --- |\n| no id | x |\n')
    assert.deepEqual(listed, [
      { pattern: 'query/a-0*.1', why: 'because' },
      { pattern: 'folds/x', why: 'because' },
    ])
    assert.equal(differenceOf('query/a-07.1', listed)?.pattern, 'query/a-0*.1')
    assert.equal(differenceOf('query/a-07x1', listed), undefined)
  })

  test('values: doubles by tolerance, integers exactly, null is absent', () => {
    assert.ok(same(plain({ ratio: [1, 3] }), 0.33333333333))
    assert.ok(!same(plain({ long: '9007199254740993' }), 9007199254740992))
    assert.ok(same(plain({ d: 5 }), plain({ n: '5' })))
    assert.ok(same(plain({ a: null, tags: [] }), {}))
    assert.ok(!same(plain({ a: 1 }), plain({ b: 1 })))
    assert.ok(same(plain({ d: 'NaN' }), NaN))
  })
})
