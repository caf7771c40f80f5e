import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { CandidateEvent } from './candidate.ts'
import { judge, longestGapMs, type Fault } from './checker.ts'
import type { Told } from './fleet.ts'

/** One thing told: who, what, when, under which token. */
const told = (id: string, event: CandidateEvent, atMs: number, token: number): Told => ({
  ...{ id, event, atMs, token: BigInt(token) },
})

/** The name is granted, waited for and begun. */
const elected = (id: string, atMs: number, token: number, waitMs = 500): Told[] => [
  { ...told(id, 'acquired', atMs - waitMs / 2, token), grant: { seenFreeMs: atMs - waitMs, waitMs } },
  told(id, 'elected', atMs, token),
]

const actsOf = (id: string, token: number, ...timesMs: number[]): Told[] =>
  timesMs.map((atMs) => told(id, 'act', atMs, token))

/** A leader is killed at 1010, and another follows. */
const history: readonly Told[] = [
  ...elected('a', 1000, 1),
  ...actsOf('a', 1, 1001, 1006),
  ...elected('b', 2000, 2),
  ...actsOf('b', 2, 2001, 2006, 2011),
]
const fault: Fault = {
  ...{ what: 'SIGKILL', fromMs: 1010, undoneMs: 2003, untilMs: 2011, boundMs: 1000, replaces: 'a' },
}

/** What is broken, by its invariant. */
const broken = (changed: readonly Told[], faults: readonly Fault[] = [fault]): string[] =>
  judge(changed, faults).breaches.map(({ invariant, text }) => `${invariant} ${text}`)

describe('the judgement of elections', () => {
  it('finds nothing in a history where all is kept', () => {
    assert.deepEqual(broken(history), [])
    assert.deepEqual(judge(history, [fault]), { breaches: [], acts: 5, stale: 0, slips: 0, refused: 0 })
  })

  const cases: readonly (readonly [what: string, history: readonly Told[], breaches: readonly string[]])[] = [
    [
      'I1: a token that does not rise',
      [...history, ...elected('c', 3000, 2), ...actsOf('c', 2, 3001)],
      ['I1 c under 2 at 3000.0 ms: elected after 2 was'],
    ],
    [
      'I1: an act under another one’s token',
      [...history, ...actsOf('a', 2, 2008)],
      ['I1 a under 2 at 2008.0 ms: acts, and b was elected'],
    ],
    [
      'I2: two act, and no slip explains it',
      [...history, ...actsOf('a', 1, 2002)],
      [
        'I2 a under 1 at 2002.0 ms: acts after 2 did',
        'I6 a under 1 at 2002.0 ms: a sink that has accepted 2 refuses it, and it was not frozen',
      ],
    ],
    [
      'I3: an act after the word that the term has ended',
      [...history, told('a', 'suspended', 1007, 1), ...actsOf('a', 1, 1008)],
      ['I3 a under 1 at 1008.0 ms: acts after its term had ended'],
    ],
    [
      'I4: a term without a grant',
      history.filter(({ event, id }) => event !== 'acquired' || id !== 'b'),
      ['I4 b under 2 at 2000.0 ms: elected, and was not granted the name'],
    ],
    [
      'I4: a grant that came after the term had begun',
      history.map((each) => (each.event === 'acquired' && each.id === 'b' ? { ...each, atMs: 2000.5 } : each)),
      ['I4 b under 2 at 2000.0 ms: elected, and was not granted the name'],
    ],
    [
      'I4: who follows does not wait',
      history.map((each) =>
        each.event === 'acquired' && each.id === 'b' ? { ...each, grant: { seenFreeMs: 1501, waitMs: 500 } } : each,
      ),
      ['I4 b under 2 at 2000.0 ms: elected 499.0 ms after it saw the name free, not 500'],
    ],
    [
      'I6: a sink has accepted what was frozen, and refuses what was not',
      [...history.slice(0, -3), told('b', 'slip', 2000.5, 2), ...actsOf('a', 1, 2000.7), ...history.slice(-3)],
      ['I6 a under 1 at 2000.7 ms: a sink that has accepted 2 refuses it, and it was not frozen'],
    ],
  ]
  for (const [what, changed, breaches] of cases) it(what, () => assert.deepEqual(broken(changed), breaches))

  it('counts a stale act once, whatever it breaks', () => {
    assert.equal(judge([...history, told('a', 'suspended', 1007, 1), ...actsOf('a', 1, 1008, 2002)]).stale, 2)
  })

  it('I4: waits for nobody where the predecessor has stopped', () => {
    assert.deepEqual(broken([...elected('a', 1000, 1, 0), ...actsOf('a', 1, 1001)], []), [])
  })

  it('I6: counts frozen acts, and those of them that a sink refuses', () => {
    const slips = [told('a', 'slip', 1008, 1), told('a', 'slip', 2004, 1)]
    assert.deepEqual(judge([...history, ...slips], [fault]), { breaches: [], acts: 5, stale: 0, slips: 2, refused: 1 })
  })

  const bounds: readonly (readonly [what: string, change: Partial<Fault>, breaches: readonly string[]])[] = [
    ['a gap', { boundMs: 994 }, ['I5 SIGKILL: nobody led for 995 ms; 994 ms are allowed']],
    [
      'another, too late',
      { boundMs: 990 },
      [
        'I5 SIGKILL: nobody led for 995 ms; 990 ms are allowed',
        'I5 SIGKILL: another led after 991 ms; 990 ms are allowed',
      ],
    ],
    ['nobody else', { replaces: 'b', fromMs: 2000 }, ['I5 SIGKILL: nobody followed b; 1000 ms are allowed']],
    [
      'nobody at all',
      { fromMs: 2020, undoneMs: 2030, untilMs: 2100, replaces: undefined },
      ['I5 SIGKILL: nobody leads after it; 1000 ms are allowed'],
    ],
    [
      'not one alone, once it is undone',
      { fromMs: 1000, undoneMs: 1000, boundMs: 5, replaces: undefined },
      [
        'I5 SIGKILL: nobody led for 995 ms; 5 ms are allowed',
        'I5 SIGKILL: a led 6 ms after it was undone, before b did; 5 ms are allowed',
      ],
    ],
  ]
  for (const [what, change, breaches] of bounds)
    it(`I5: ${what}`, () => assert.deepEqual(broken(history, [{ ...fault, ...change }]), breaches))

  it('a gap reaches from the last act before a stretch to its end', () => {
    const acts = history.filter(({ event }) => event === 'act')
    assert.equal(longestGapMs(acts, 1010, 2011), 995)
    assert.equal(longestGapMs(acts, 1003, 1005), 4)
    assert.equal(longestGapMs(acts, 2011, 2100), 89)
    assert.equal(longestGapMs([], 0, 10), 10)
  })
})
