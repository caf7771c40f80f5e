import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Overview } from '../server/overview.ts'
import { width } from './output.ts'
import { screenOf } from './status.ts'
import { painter } from './terminal.ts'

const plain = painter('never', { interactive: true, env: {} })

const instance = { version: '1', draining: false, owning: 1, following: 0, behind: 0 }
const overview: Overview = {
  ...{ instance: 'a', wallMs: 1_800_000_000_000, paging: true, reasons: [], warnings: [] },
  instances: [{ ...instance, instance: 'a', upMs: 3_600_000, lagMs: 0, lagBytes: 0, connections: 2, events: 123 }],
  partitions: { count: 1, unowned: [], unknown: [], withoutStandby: [] },
  pages: { pending: 0, delivered: 3, refused: 0, possibleRepeats: 0 },
  receivers: [{ name: 'oncall', deliveredMsAgo: 180_000 }],
  ...{ alarms: [], silent: { count: 0, latest: [] }, dropped: {}, repeats: 0, clocks: [] },
  rules: { inForce: { abcdef0123456789: [0] }, differs: {} },
}

describe('the screen of ricci status', () => {
  it('answers first, and leaves out what there is nothing of', () => {
    assert.equal(
      screenOf(overview, { columns: 80, rows: 24, paint: plain }),
      `paging: yes, as a sees it at 08:00:00 UTC

INSTANCE  OWNS  STANDS BY  BEHIND  LAG    UP
a            1          0       0    0  60 min

partitions  1, owned
pages       0 waiting, 3 delivered, 0 refused
receivers   oncall ok 3 min ago
silent      no host
dropped     nothing
clocks      no host is off by 2 s or more
rules       abcdef012345
`.replace('    UP\n', '      UP\n'),
    )
  })

  it('of a large cluster in a bad night is one screen, the reasons whole', () => {
    const many: Overview = {
      ...overview,
      ...{
        paging: false,
        reasons: [`nobody owns partition 3: ${'because '.repeat(15).trim()}`],
        warnings: ['c does not answer'],
      },
      instances: Array.from({ length: 40 }, (_, n) => ({
        ...{ ...instance, instance: `ricci-${n}.example.com` },
        ...(n === 39 ? { silent: 'gone' } : { upMs: 1, lagMs: 2_000, lagBytes: 3_000, connections: 2, events: 1 }),
      })),
      silent: {
        count: 900,
        latest: Array.from({ length: 20 }, (_, n) => ({ host: `日本-\u001b${n}`, forMs: 60_000 })),
      },
      alarms: Array.from({ length: 9 }, (_, n) => ({
        ...{ instance: 'a', name: `alarm-${n}`, detail: 'x'.repeat(200), count: 2, msAgo: 1_000 },
      })),
    }
    const text = screenOf(many, { columns: 80, rows: 24, paint: plain })
    const lines = text.split('\n')
    assert.equal(lines.pop(), '')
    assert.ok(lines.length < 24, `${lines.length} lines:\n${text}`)
    for (const line of lines) assert.ok(width(line) <= 80, line)
    assert.match(text, /^paging: NO, /)
    assert.equal(text.match(/because/g)!.length, 15)
    assert.match(
      lines.find((line) => line.startsWith('ricci-'))!,
      /^ricci-39.*does not answer$/,
      'who is in want comes first',
    )
    assert.match(text, /^and \d+ more$/m)
    const piped = screenOf(many, { columns: Infinity, rows: Infinity, paint: plain })
    assert.doesNotMatch(piped, /…|and \d+ more|\u001b/)
  })
})
