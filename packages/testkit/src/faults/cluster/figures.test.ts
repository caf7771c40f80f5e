import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { claimsAfter, leastInFlight, shortfalls, spreadOf, type RowResult } from './figures.ts'
import { findingLines, page, rowLines } from './page.ts'
import { rows } from './rows.ts'
import type { Page } from './script.ts'
import { figuresOf, type Trial } from './trial.ts'

const rowOf = (name: string) => rows.find((row) => row.name === name)!

const trial = (flowMs: number | undefined, latestMs = flowMs, more: Partial<Trial> = {}): Trial => ({
  fromMs: 0,
  undoneMs: 0,
  overMs: 0,
  partitions: [0],
  flowMs,
  latestMs,
  latest: 'job-1, sent after 3 ms',
  inFlight: leastInFlight,
  pages: 1,
  ownersStayed: true,
  ...more,
})

const result = (name: string, trials: Trial[], wrong: string[] = []): RowResult => ({
  row: rowOf(name),
  trials,
  counts: { 'pages decided': 7 },
  claimsMs: [800, 1_200],
  wrong,
})

describe('the figures of the table', () => {
  it('least, median, 99th percentile and most', () => {
    assert.equal(spreadOf([]), undefined)
    assert.deepEqual(spreadOf([3]), { minMs: 3, medianMs: 3, p99Ms: 3, maxMs: 3 })
    const thirty = Array.from({ length: 30 }, (_, at) => 30 - at)
    assert.deepEqual(spreadOf(thirty), { minMs: 1, medianMs: 16, p99Ms: 30, maxMs: 30 })
    const many = Array.from({ length: 200 }, (_, at) => at + 1)
    assert.deepEqual(spreadOf(many), { minMs: 1, medianMs: 101, p99Ms: 198, maxMs: 200 })
  })

  const cases: readonly (readonly [string, RowResult, RegExp | undefined])[] = [
    ['all is reached', result('owner-killed', [trial(1_499), trial(1_499), trial(2_999)]), undefined],
    ['a median as long as its bound', result('owner-killed', [trial(1_500)]), /median is 1500 ms; asked: under 1500/],
    ['one that took too long', result('owner-killed', [trial(9), trial(9), trial(3_000)]), /worst is 3000 ms/],
    ['a trial without a page', result('owner-killed', [trial(9), trial(undefined)]), /in 1 trials no page came/],
    ['what the oracle found', result('owner-killed', [trial(9)], ['one is lost']), /one is lost/],
    ['too few in flight', result('owner-killed', [trial(9, 9, { inFlight: 19 })]), /19 pages in flight/],
    ['the latest page counts where it is asked', result('owner-drained', [trial(9, 300)]), /worst is 300 ms/],
    ['and nowhere else', result('owner-killed', [trial(9, 60_000)]), undefined],
    [
      'an owner that changed',
      result('store-leader-killed', [trial(9, 9, { ownersStayed: false })]),
      /in 1 of 1 trials an owner changed/,
    ],
    ['which it may elsewhere', result('owner-killed', [trial(9, 9, { ownersStayed: false })]), undefined],
  ]
  for (const [what, of, short] of cases)
    it(`${what}: ${short === undefined ? 'reached' : 'missed'}`, () => {
      const said = shortfalls(of)
      assert.equal(said.length, short === undefined ? 0 : 1, said.join('\n'))
      if (short !== undefined) assert.match(said[0], short)
      assert.match(rowLines(of)[0], short === undefined ? /^reached/ : /^MISSED/)
    })

  it('the page has each row, what was checked, what was missed, and what was not run', () => {
    const text = page(
      [
        result('owner-killed', [trial(1_234)]),
        result('owner-drained', [trial(9, 2_500)]),
        { ...result('broker-cut', []), skipped: 'no network' },
      ],
      { text: 'here and now.', short: 'now' },
    )
    assert.match(text, /\| owner SIGKILLed \| flow \| 1,234 \| 1,234 \| 1,234 \| 1,234 \| 1 \| .* \| yes \| now \|/)
    assert.match(text, /\| owner drained .* \| latest \| 2,500 \|.* \| no \|/)
    assert.match(text, /cut off for 12 s \| not run: no network/)
    assert.match(text, /\| owner SIGKILLed \| 7 \| 20 \| – \| – \| – \| – \| – \| 1,000, 1,200 \| 1,234 \| none \|/)
    assert.match(text, /## Missed\n\n- owner drained .*: the worst is 2500 ms/)
    const later = { text: 'here, later.', short: 'later' }
    const again = page([result('owner-drained', [trial(9, 200)])], later, text.replaceAll(' |', '   |'))
    assert.match(again, /\| owner SIGKILLed +\| flow .*\| now +\|/, 'a row that was not run again is kept')
    assert.match(again, /\| owner SIGKILLed +\| 7 +\|/)
    assert.match(again, /\| owner drained .* \| latest \| 200 \|.* \| later \|/)
    assert.equal(again.match(/\| owner drained/g)!.length, 2)
    assert.doesNotMatch(again, /the worst is 2500 ms/)
  })

  it('another owner: the first after the fault, of the partition that took longest', () => {
    const owned = (partition: number, fromMs: number) => ({ partition, epoch: 1, instance: 'a', fromMs })
    const fault = { fromMs: 100, overMs: 1_000, partitions: [0, 1] }
    const later = { fromMs: 2_000, overMs: 3_000, partitions: [0] }
    const ownerships = [owned(0, 10_050), owned(0, 10_400), owned(0, 10_900), owned(1, 10_700), owned(2, 10_999)]
    assert.deepEqual(claimsAfter([fault, later], ownerships, 10_000), [600])
  })

  it('of many findings the first are shown, and how many more there are', () => {
    const wrong = Array.from({ length: 23 }, (_, at) => `finding ${at}`)
    const lines = findingLines({ counts: { claims: 3 }, wrong })
    assert.equal(lines.length, 1 + 20 + 1)
    assert.match(lines.at(-1)!, /and 3 more/)
  })
})

describe('what pages say of a fault', () => {
  const at = (sentMs: number, arrivedMs?: number, more: Partial<Page> = {}): Page => ({
    host: `job-${sentMs}`,
    cluster: 0,
    sentMs,
    ackedMs: sentMs + 1,
    arrivedMs,
    answeredMs: arrivedMs,
    ...more,
  })
  const figures = (...pages: Page[]) => figuresOf(pages, (cluster) => cluster, [0, 1], 100, 1_000)

  it('they flow again with the first that was sent after it, not with one sent before', () => {
    assert.equal(figures(at(90, 150), at(110, 400), at(120, 300)).flowMs, 200)
  })

  it('of several partitions the one counts that took longest', () => {
    assert.equal(figures(at(110, 300), at(110, 700, { cluster: 1 })).flowMs, 600)
  })

  it('one that the fault did not befall says nothing', () => {
    const { flowMs, latestMs, pages, inFlight } = figures(at(110, 900, { cluster: 2 }), at(50, 900, { cluster: 2 }))
    assert.deepEqual(
      { flowMs, latestMs, pages, inFlight },
      { flowMs: undefined, latestMs: undefined, pages: 0, inFlight: 0 },
    )
  })

  it('the latest is reckoned from its event, and of those that were sent until it was over', () => {
    const { latestMs, latest } = figures(at(110, 200), at(500, 900), at(1_000, 9_000))
    assert.equal(latestMs, 400)
    assert.equal(latest, 'job-500, sent after 400 ms, acknowledged 1 ms later')
  })

  it('in flight is what was acknowledged before, and not answered', () => {
    const { inFlight } = figures(
      at(50, 150),
      at(60),
      at(70, 80),
      at(90, 95, { answeredMs: 130 }),
      at(99, 150, { ackedMs: undefined }),
      at(99, 150, { ackedMs: 101 }),
    )
    assert.equal(inFlight, 3)
  })
})
