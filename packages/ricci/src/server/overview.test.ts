import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MemberStatus } from './cluster-status.ts'
import { overviewOf, type Overview, type OverviewInput } from './overview.ts'
import type { PartitionStatus, ServerStatus } from './status.ts'

const wallMs = 1_800_000_000_000

/** Changes of what is well: of one kind of object, at any depth that is named. */
type Change<T> = { readonly [K in keyof T]?: T[K] extends object ? Change<T[K]> | T[K] : T[K] }

function partition(number: number, owns: boolean, more: Change<PartitionStatus> = {}): PartitionStatus {
  const engine = {
    appliedOffset: 9,
    generation: 1,
    skews: [],
    repeats: 0,
    silent: { count: 0, latest: [] },
    refused: 0,
  }
  const replica = {
    ...{ state: owns ? 'owning' : 'following', why: 'it was told to', epoch: 1, owner: 'a', ownerMissingMs: undefined },
    ...{
      appliedOffset: 9,
      readOffset: 9,
      lastTick: 1,
      rulesHash: 'r1',
      pendingPages: 0,
      ownerships: 1,
      generations: 1,
    },
    ...{ attempts: 0, delivered: 0, refused: 0, failed: 0, unknown: 0, gaveUp: 0, possibleRepeats: 0, lookUps: 0 },
    ...{ neverSent: 0, digests: 0, pagesRepaired: 0 },
  }
  const standing = owns ? 'owning' : 'following'
  return {
    ...{ partition: number, log: { first: 0, end: 10 }, standing, ...more },
    engine: { ...engine, ...more.engine },
    replica: { ...replica, ...more.replica },
  } as PartitionStatus
}

function status(instance: string, partitions: PartitionStatus[], more: Change<ServerStatus> = {}): ServerStatus {
  const intake = { connections: 1, messages: 1, events: 5, queuedBytes: 0, heldAcks: 0, lagBytes: 0, lagMs: 0 }
  return {
    ...{ instance, version: '1', upMs: 1, wallMs, ready: true, degraded: [], listen: {}, partitions },
    ...{ log: { id: 'l', place: '', partitions: 2 }, rules: { folder: '', differs: [] }, alarms: [], dropped: {} },
    ...{ receivers: [{ name: 'oncall' }], ...more },
    intake: { ...intake, ...more.intake },
  } as ServerStatus
}

const member = (instance: string): MemberStatus => ({
  ...{ instance, version: '1', draining: false, owning: 1, following: 1, behind: 0 },
})

/** Two instances and two partitions, each owned by one and stood by by the other. */
function cluster(
  a: Change<ServerStatus> | Error = {},
  b: Change<ServerStatus> | Error = {},
  partitions: { a?: PartitionStatus[]; b?: PartitionStatus[] } = {},
): Overview {
  const of = (name: 'a' | 'b', more: Change<ServerStatus> | Error) =>
    more instanceof Error
      ? more
      : status(name, partitions[name] ?? [partition(0, name === 'a'), partition(1, name === 'b')], more)
  const input: OverviewInput = {
    ...{ instance: 'a', wallMs, partitions: 2, alone: false, members: [member('a'), member('b')] },
    statuses: new Map([
      ['a', of('a', a)],
      ['b', of('b', b)],
    ]),
  }
  return overviewOf(input)
}

const failing = (forMs: number, lastMsAgo = 0) => ({
  receivers: [{ name: 'oncall', failing: { forMs, lastMsAgo, requests: 2, detail: 'HTTP 503' } }],
})
const degraded = (part: string) => ({ degraded: [{ part, detail: 'no room' }] })
const missing = { replica: { state: 'following', owner: 'b', ownerMissingMs: 9_000, why: 'reads on' } } as const

describe('an overview', () => {
  it('of a cluster that is well has no reasons and nothing to warn of', () => {
    const { paging, reasons, warnings, partitions, instances } = cluster()
    assert.deepEqual({ paging, reasons, warnings }, { paging: true, reasons: [], warnings: [] })
    assert.deepEqual(partitions, { count: 2, unowned: [], unknown: [], withoutStandby: [] })
    assert.deepEqual(
      instances.map(({ instance, silent }) => [instance, silent]),
      [
        ['a', undefined],
        ['b', undefined],
      ],
    )
  })

  const gone = new Error('nobody listens there')
  const cases: Record<string, { of: Overview; reasons?: RegExp[]; warnings?: RegExp[] }> = {
    'an instance that does not answer, whose ticks are read': {
      of: cluster({}, gone),
      warnings: [/^b does not answer: nobody listens there$/, /^nobody stands by for 0/],
    },
    'an instance that died, and nobody owns what it did': {
      of: cluster({}, gone, { a: [partition(0, true), partition(1, false, missing)] }),
      reasons: [/^nobody owns partition 1: nothing of it is decided or sent \(a: reads on\)$/],
      warnings: [/^b does not answer/, /^nobody stands by for 0/],
    },
    'partitions that only the silent one reads': {
      of: cluster({}, gone, { a: [partition(0, true)] }),
      reasons: [/^nobody who answers reads partition 1: /],
      warnings: [/^b does not answer/, /^nobody stands by for 0/],
    },
    'partitions that nobody reads': {
      of: cluster({}, {}, { a: [], b: [] }),
      reasons: [/^nobody owns partitions 0, 1: nothing of it is decided or sent$/],
    },
    'a restored replica, which saw an owner long ago': {
      of: cluster({}, gone, { a: [partition(0, true), partition(1, false, { replica: { state: 'restoring' } })] }),
      reasons: [/^nobody owns partition 1/],
      warnings: [/^b does not/, /^nobody stands by/],
    },
    'a log that takes nothing': { of: cluster(degraded('log')), reasons: [/^a: log: no room$/] },
    'a part that is worse than it should be': { of: cluster(degraded('rules')), warnings: [/^a: rules: no room$/] },
    'a receiver that has failed for long': {
      of: cluster(failing(600_000)),
      reasons: [/^receiver oncall has taken nothing for 10 min: HTTP 503$/],
    },
    'one that failed just now': {
      of: cluster(failing(5_000)),
      warnings: [/^receiver oncall did not take a page 5 s ago/],
    },
    'one that was not asked again': { of: cluster(failing(7_200_000, 3_600_000)) },
    'a page that waits': {
      of: cluster(
        {},
        {},
        { a: [partition(0, true, { engine: { oldestPageMs: wallMs - 90_000 } })], b: [partition(1, true)] },
      ),
      warnings: [/^nobody stands by/, /^pages wait, the oldest for 90 s$/],
    },
    'a page that waits for long': {
      of: cluster(
        {},
        {},
        { a: [partition(0, true, { engine: { oldestPageMs: wallMs - 3_600_000 } }), partition(1, true)] },
      ),
      reasons: [/^pages wait, the oldest for 60 min$/],
      warnings: [/^nobody stands by for 1/],
    },
    'an engine that lags': {
      of: cluster({ intake: { lagMs: 6_000 } }),
      warnings: [/^a: the engine is 6 s behind its/],
    },
    'one that lags much': {
      of: cluster({ intake: { lagMs: 90_000 } }),
      reasons: [/^a: the engine is 90 s behind its/],
    },
    'a clock that is away': {
      of: cluster({}, { wallMs: wallMs - 8_000 }),
      warnings: [/^b: its clock is 8 s behind a's$/],
    },
    'rules that differ': {
      of: cluster({}, {}, { b: [partition(0, false), partition(1, true, { replica: { rulesHash: 'r2' } })] }),
      warnings: [/^partitions run different rules/],
    },
    'nobody to page': {
      of: cluster({ receivers: [] }, { receivers: [] }),
      warnings: [/^no receiver is configured/],
    },
  }
  for (const [what, { of, reasons = [], warnings = [] }] of Object.entries(cases)) {
    it(`tells of ${what}`, () => {
      assert.equal(of.paging, reasons.length === 0)
      for (const [told, expected] of [
        [of.reasons, reasons],
        [of.warnings, warnings],
      ] as const) {
        assert.equal(told.length, expected.length, told.join('\n'))
        told.forEach((text, n) => assert.match(text, expected[n]))
      }
    })
  }

  it('adds up what owners count, and takes the worst of the rest', () => {
    const mine = partition(0, true, {
      engine: {
        ...{ skews: [{ host: 'x', aheadMs: -9_000 }], repeats: 3, refused: 2 },
        silent: { count: 1, latest: [{ host: 'gone', sinceMs: wallMs - 60_000 }] },
      },
      replica: { pendingPages: 4, delivered: 7 },
    })
    const theirs = partition(0, false, {
      engine: { repeats: 3, refused: 2 },
      replica: { pendingPages: 4, delivered: 1 },
    })
    const { pages, silent, dropped, repeats, clocks } = cluster(
      { dropped: { malformed: 1 } },
      { dropped: { malformed: 2 } },
      {
        a: [mine],
        b: [theirs, partition(1, true)],
      },
    )
    assert.deepEqual([pages.pending, pages.delivered, repeats], [4, 8, 3])
    assert.deepEqual(dropped, { malformed: 3, 'no-room': 2 })
    assert.deepEqual(silent, { count: 1, latest: [{ host: 'gone', forMs: 60_000 }] })
    assert.deepEqual(clocks, [{ host: 'x', aheadMs: -9_000 }])
  })
})
