import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ReplicaError } from '@ricci/replica'
import { VirtualClock } from '@ricci/testkit'
import { RetentionWatch, type Beginning } from './retention-watch.ts'

const both = (first: number, other = first): Beginning[] => [
  { broker: 'a', first },
  { broker: 'b', first: other },
]

/** What is told of a log whose brokers say this, one time after another, with snapshots that need it from `need` on. */
async function told(
  said: readonly (readonly Beginning[])[],
  need: number | undefined,
  end: number,
): Promise<readonly string[]> {
  const clock = new VirtualClock()
  const alarms: string[] = []
  let asked = 0
  const watch = new RetentionWatch({
    clock,
    partitions: () => [3],
    beginnings: () => Promise.resolve(said[Math.min(asked++, said.length - 1)]),
    end: () => end,
    needed: () => Promise.resolve(need),
    onAlarm: (detail) => alarms.push(detail),
  })
  watch.start()
  await clock.advance(600_000)
  await watch.stop()
  assert.equal(clock.pendingTimers, 0)
  return alarms
}

for (const [name, said, need, end, says] of [
  ['nothing was ever taken', [both(0)], undefined, 5_000, undefined],
  ['nothing was ever taken, and snapshots are few', [both(0)], 10, 90_000, undefined],
  ['far enough away', [both(1_000)], 2_000, 5_000, undefined],
  ['less than another interval away', [both(1_001)], 2_000, 5_000, /partition 3: .*offset 1001, only 999 before/],
  ['below what is needed', [both(2_001)], 2_000, 5_000, /begins at offset 2001, .* needs it from 2000 on/],
  ['no snapshot, and the beginning is gone', [both(7)], undefined, 5_000, /begins at offset 7/],
  ['one broker lost its beginning', [both(0, 500)], 1_000, 1_100, /do not agree .*0 at a, 500 at b/],
  ['one broker lost what is needed', [both(0, 1_500)], 1_000, 1_100, /offset 1500/],
  ['one broker was only later', [both(0, 500), both(500)], 1_000, 1_100, undefined],
] as const) {
  it(`the log's beginning: ${name}`, async () => {
    const alarms = await told(said, need, end)
    if (says === undefined) return assert.deepEqual(alarms, [])
    assert.equal(alarms.length, 1, 'told once')
    assert.match(alarms[0], says)
  })
}

it('looks on where brokers are away, and tells anew what was well in between', async () => {
  const clock = new VirtualClock()
  const alarms: string[] = []
  let said: Beginning[] | undefined = both(10)
  const watch = new RetentionWatch({
    clock,
    partitions: () => [0],
    beginnings: async () => {
      if (said === undefined) throw new ReplicaError('LOG_UNAVAILABLE', 'away', true)
      return said
    },
    end: () => 100,
    needed: () => Promise.resolve(5),
    onAlarm: (detail) => alarms.push(detail),
  })
  watch.start()
  for (const next of [both(10), undefined, both(0), undefined, both(10)]) {
    said = next
    await clock.advance(60_000)
  }
  assert.equal(alarms.length, 2)
  await watch.stop()
})
