import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeMsg } from '@ricci/client'
import { encodeEventsRecord, encodeRecord } from '@ricci/engine'
import { recordText } from '../cli/log.ts'
import { recordLine } from './log-lines.ts'

const events = Array.from({ length: 7 }, (_, n) => ({ host: `h${n}`, service: 'cpu\u001b' }))
const mark = { producer: 'p', incarnation: 1, sequence: 17, sentAtMs: 5 }
const attempt = {
  kind: 'attempt',
  epoch: 2,
  n: 3,
  receiver: 'oncall',
  pages: ['a', 'b', 'c', 'd'],
  digest: 'waited',
} as const
const outcome = {
  kind: 'outcome',
  epoch: 2,
  n: 3,
  receiver: 'oncall',
  pages: ['a'],
  result: 'failed',
  detail: '503',
} as const
const command = {
  ...({ kind: 'command', id: 'c', name: 'resolve', who: 'ann', from: '::1', why: 'done' } as const),
  arguments: { incident: 'i' },
} as const

const cases: [what: string, bytes: Uint8Array, text: string][] = [
  [
    'events',
    encodeEventsRecord(1_000, encodeMsg({ events, mark })),
    '00:00:01.000  events      7 of h0, h1, h2, h3, h4 and 2 more: cpu , p 1/17',
  ],
  [
    'a tick',
    encodeRecord({ kind: 'tick', number: 9, epoch: 2, elapsedMs: 500.4, wallMs: 2_000, back: true }),
    '00:00:02.000  tick        9, epoch 2, 500 ms, the wall clock went back',
  ],
  [
    'a claim',
    encodeRecord({ kind: 'claim', epoch: 2, instance: 'a', semantics: 4 }),
    '              claim       epoch 2 by a, semantics 4',
  ],
  ['an attempt', encodeRecord(attempt), '              attempt     2/3 to oncall: 4 pages, as a digest'],
  ['an outcome', encodeRecord(outcome), '              outcome     2/3 at oncall: failed (503), a'],
  [
    'a command',
    encodeRecord(command),
    '              command     id c, name resolve, who ann, from ::1, why done, arguments {"incident":"i"}',
  ],
  [
    'rules',
    encodeRecord({ kind: 'rules', hash: 'f'.repeat(64), settings: {}, semantics: 4, bundle: new Uint8Array(12) }),
    '              rules       ffffffffffff, 12 bytes, semantics 4',
  ],
  ['a hole', new Uint8Array(0), '              hole        an offset that the log used for itself'],
]

describe('a record for people', () => {
  for (const [what, bytes, text] of cases) {
    it(`says what there is to say of ${what}`, () => {
      assert.equal(recordText(recordLine({ offset: 7, bytes, checksum: 0 })), `       7  ${text}`)
    })
  }

  it('says why it cannot be read, of another release or damaged', () => {
    for (const bytes of [Uint8Array.of(99, 1, 0), Uint8Array.of(3, 1, 0), encodeEventsRecord(1, Uint8Array.of(0xff))]) {
      const line = recordLine({ offset: 7, bytes, checksum: 0 })
      assert.equal(line.kind, 'unreadable')
      assert.match(recordText(line), /^ {7}7 {16}unreadable {2}error /)
    }
  })
})
