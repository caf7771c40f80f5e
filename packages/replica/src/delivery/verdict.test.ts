import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Attempt, PageAction, PendingPage } from '@ricci/engine'
import { verdictOn, type Circumstances } from './verdict.ts'

const page = (action: PageAction, attempts: readonly Attempt[], trigger?: string): PendingPage => ({
  id: 'p',
  action,
  receiver: 'r',
  rule: 'rule',
  key: 'k',
  dedupKey: 'd',
  decidedAtMs: 0,
  decidedAtOwnedMs: 0,
  severity: 'critical',
  summary: 's',
  host: 'h',
  service: 's',
  provenance: null,
  attempts: [...attempts],
  retryAtMs: 0,
  ...(trigger === undefined ? {} : { trigger }),
})

/** We are epoch 2 and claimed at 100 s; now it is `nowMs`. */
const at = (nowMs: number, more: Partial<Circumstances>): Circumstances => ({
  epoch: 2,
  nowMs,
  claimedAtMs: 100_000,
  class: 'A',
  blindPolicy: 'repeat',
  isPending: () => false,
  quietAtMs: () => 0,
  notBeforeMs: 0,
  ...more,
})

const doubtful: Attempt = { epoch: 1, n: 1, offset: 1 }
const answered = (result: 'failed' | 'unknown', epoch = 2): Attempt => ({ epoch, n: 1, offset: 1, result })
const early = 101_000
const late = 111_000

type Row = readonly [what: string, page: PendingPage, circumstances: Circumstances, verdict: string]
const rows: readonly Row[] = [
  ['new', page('trigger', []), at(early, {}), 'attempt'],
  ['A, trigger in doubt', page('trigger', [doubtful]), at(early, {}), 'attempt'],
  ['A, resolve in doubt', page('resolve', [doubtful]), at(early, {}), 'wait 111000'],
  ['A, notification in doubt', page('notify', [doubtful]), at(early, {}), 'wait 111000'],
  ['A, resolve in doubt, later', page('resolve', [doubtful]), at(late, {}), 'attempt'],
  ['C, in doubt', page('trigger', [doubtful]), at(early, { class: 'C' }), 'wait 111000'],
  ['C, in doubt, later', page('trigger', [doubtful]), at(late, { class: 'C' }), 'attempt repeat'],
  [
    'C that misses, in doubt',
    page('trigger', [doubtful]),
    at(early, { class: 'C', blindPolicy: 'miss' }),
    'wait 111000',
  ],
  ['C that misses, later', page('trigger', [doubtful]), at(late, { class: 'C', blindPolicy: 'miss' }), 'give-up 1.1'],
  [
    'C that misses, unanswered',
    page('trigger', [answered('unknown')]),
    at(late, { class: 'C', blindPolicy: 'miss' }),
    'give-up 2.1',
  ],
  ['C, unanswered', page('trigger', [answered('unknown')]), at(early, { class: 'C' }), 'attempt repeat'],
  ['C, failed for sure', page('trigger', [answered('failed', 1)]), at(early, { class: 'C' }), 'attempt'],
  ['B, in doubt', page('trigger', [doubtful]), at(early, { class: 'B' }), 'wait 111000'],
  ['B, in doubt, later', page('trigger', [doubtful]), at(late, { class: 'B' }), 'attempt repeat'],
  [
    'B, unanswered, may be under way',
    page('trigger', [answered('unknown')]),
    at(early, { class: 'B', quietAtMs: (id) => (id === 'p' ? 109_000 : 0) }),
    'wait 109000',
  ],
  ['B, unanswered', page('trigger', [answered('unknown')]), at(late, { class: 'B' }), 'attempt repeat'],
  ['B, failed for sure', page('trigger', [answered('failed')]), at(early, { class: 'B' }), 'attempt'],
  [
    'B, trigger may be under way',
    page('resolve', [], 't'),
    at(early, { class: 'B', quietAtMs: () => 111_000 }),
    'wait 111000',
  ],
  ['A, unanswered', page('trigger', [answered('unknown')]), at(early, {}), 'attempt'],
  ['failed, too early', page('trigger', [answered('failed')]), at(early, { notBeforeMs: 105_000 }), 'wait 105000'],
  ['our own, read too late', page('trigger', [{ ...doubtful, epoch: 2 }]), at(early, {}), 'disown 2.1'],
  ['trigger not settled', page('resolve', [], 't'), at(late, { isPending: () => true }), 'hold'],
  ['A, trigger may be under way', page('resolve', [], 't'), at(early, { quietAtMs: () => 111_000 }), 'wait 111000'],
  ['A, nothing under way', page('resolve', [], 't'), at(late, { quietAtMs: () => 111_000 }), 'attempt'],
  ['C waits for no quiet', page('resolve', [], 't'), at(early, { class: 'C', quietAtMs: () => 111_000 }), 'attempt'],
]

describe('what is done about a page', () => {
  for (const [what, given, circumstances, expected] of rows) {
    it(`${what}: ${expected}`, () => {
      const verdict = verdictOn(given, circumstances)
      const detail =
        verdict.do === 'attempt'
          ? verdict.possibleRepeat
            ? ' repeat'
            : ''
          : verdict.do === 'wait'
            ? ` ${verdict.untilMs}`
            : verdict.do === 'hold'
              ? ''
              : ` ${verdict.attempt.epoch}.${verdict.attempt.n}`
      assert.equal(`${verdict.do}${detail}`, expected)
    })
  }
})
