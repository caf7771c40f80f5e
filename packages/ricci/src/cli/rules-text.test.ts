// What docs/rules.md shows is what the command prints.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import {
  by,
  compareRules,
  incident,
  index,
  rules,
  stable,
  tap,
  throttle,
  where,
  type RulesDescription,
  type Stream,
} from '@ricci/engine'
import { operatorsText, previewText, resolvedText } from './rules-text.ts'

/** The rules of a start, as `ricci init` writes them. */
const start = (seconds: number, limit: number, ...before: Stream[]): RulesDescription =>
  rules(
    index(),
    ...before,
    where(
      'service = "cpu"',
      by(
        'host',
        stable(seconds, (e) => e.metric > 0.9, incident('cpu-high', { bad: `metric > ${limit}`, to: 'console' })),
      ),
    ),
    where('service = "uptime"', incident('host-silent', { bad: 'state = "expired"', key: 'host', to: 'console' })),
  )

const preview = {
  inForce: 'bd2da4c1a5b6ffff',
  onDisk: '9b48df2f373fffff',
  partitions: [0],
  settings: [],
  rules: compareRules(start(30, 0.9), start(20, 0.8, throttle(1, 60, tap('news')))),
  resolves: { rules: [], unknown: [] },
}

describe('what a switch would change', () => {
  it('is printed as docs/rules.md shows it', () => {
    const [, shown] =
      /<!-- diff: a test compares -->\n\n```\n(.*?)```/s.exec(readFileSync('docs/rules.md', 'utf8')) ?? []
    assert.equal(previewText(preview), shown)
  })

  it('names settings, incidents that would be over, and what is not known', () => {
    const text = previewText({
      ...preview,
      rules: undefined,
      settings: [{ name: 'graceMs', onDisk: 5 }],
      resolves: { rules: [{ rule: 'hot', count: 7, keys: ['a', 'b'] }], unknown: [1, 2, 3] },
    })
    assert.equal(
      text,
      `bd2da4c1a5b6 → 9b48df2f373f, in partition 0
WHAT     HOW
setting  changed  graceMs: its default → 5
What is in force is not known here: ask an instance that keeps a partition.
7 open incidents of hot would resolve, its rule being gone: a; b; 5 more
Not known: which incidents are open in partitions 1-3.
`,
    )
    assert.deepEqual(resolvedText({ rules: [], unknown: [] }, 'resolved'), [])
  })

  it('is nothing where the same is in force', () => {
    assert.match(previewText({ ...preview, partitions: [] }), /^Nothing would change/)
  })
})

describe('what operators hold', () => {
  const stats = (operator: string, taken: number, keys: number, bytes: number) => ({ operator, taken, keys, bytes })

  it('is shown in the order of the rules', () => {
    const text = operatorsText([stats('index[0]', 12_000, 0, 0), stats('by[1]', 12_000, 300, 65_536)])
    const rows = text.trim().split('\n').slice(1)
    assert.deepEqual(
      rows.map((row) => row.split(/ {2,}/)[0]),
      ['OPERATOR', 'index[0]', 'by[1]'],
    )
    assert.match(rows[2], /^by\[1\] +12,?000 +300 +\S+/)
    assert.equal(operatorsText([]), '')
  })

  it('of very many is that of the greatest', () => {
    const many = Array.from({ length: 100 }, (_, i) => stats(`tap[${i}]`, 1, 1, i))
    const text = operatorsText(many)
    assert.match(text, /tap\[60\][^]*tap\[99\][^]*and 60 operators more/)
    assert.doesNotMatch(text, /tap\[59\]/)
  })
})
