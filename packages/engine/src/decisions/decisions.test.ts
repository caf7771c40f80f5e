import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { AttemptRecord, OutcomeResult } from '../records.ts'
import { boundedKey, boundedProvenance, provenanceLimit } from './incident.ts'
import { description, Desk } from './testing.ts'

describe('decisions', () => {
  it('an incident opens at the first bad event of its key and resolves at the first that is not', () => {
    const desk = new Desk()
    desk.event('cpu', 'h', false)
    desk.event('cpu', 'h', true, ['oncall', 'chat'])
    desk.event('cpu', 'h', true, ['oncall', 'chat'])
    desk.event('cpu', 'g', true)
    const [first] = desk.decisions.pendingPages()
    for (const page of desk.pending) desk.send(page, 'delivered')
    desk.event('cpu', 'h', false)
    desk.event('cpu', 'h', false)
    assert.deepEqual(desk.decided, [
      'trigger oncall cpu h',
      'trigger chat cpu h',
      'trigger oncall cpu g',
      'resolve oncall cpu h',
      'resolve chat cpu h',
    ])
    const resolves = desk.decisions.pendingPages()
    assert.ok(resolves.every((page) => page.dedupKey === first.dedupKey))
    assert.deepEqual(
      resolves.map((page) => page.summary),
      ['it is good', 'it is good'],
      'of the event that resolved it, not of the one that opened it',
    )
    assert.match(first.id, /^log\.0\.3\.1\.00000007$/)
    assert.deepEqual(
      desk.decisions.incidents().closed.map((incident) => incident.key),
      ['h'],
    )
  })

  it('a resolve that no event brought says what did', () => {
    const desk = new Desk()
    desk.event('cpu', 'h', true)
    desk.event('disk', 'h', true)
    for (const page of desk.pending) desk.send(page, 'delivered')
    desk.command('1', 'resolve', { rule: 'disk', key: 'h' })
    desk.rules('disk')
    assert.deepEqual(
      desk.decisions.pendingPages().map(({ action, summary }) => [action, summary]),
      [
        ['resolve', `${description.summary} (resolved by me: so)`],
        ['resolve', `${description.summary} (its rule was deleted)`],
      ],
    )
  })

  it('a trigger that was never attempted is overtaken, one that was attempted is resolved whatever became of it', () => {
    const fates: readonly (readonly [OutcomeResult | 'none' | 'open', string[]])[] = [
      ['none', ['trigger oncall cpu h']],
      ['open', ['trigger oncall cpu h', 'resolve oncall cpu h']],
      ['failed', ['trigger oncall cpu h', 'resolve oncall cpu h']],
      ['refused', ['trigger oncall cpu h', 'resolve oncall cpu h']],
      ['delivered', ['trigger oncall cpu h', 'resolve oncall cpu h']],
    ]
    for (const [fate, decided] of fates) {
      const desk = new Desk()
      desk.event('cpu', 'h', true)
      const attempt = fate === 'none' ? undefined : desk.attempt(desk.pending)
      if (attempt !== undefined && fate !== 'open' && fate !== 'none') desk.outcome(attempt, fate)
      desk.event('cpu', 'h', false)
      assert.deepEqual(desk.decided, decided, fate)
    }
  })

  it('a receiver may ask for both', () => {
    const desk = new Desk({ bothWhenOvertaken: ['oncall'] })
    desk.event('cpu', 'h', true)
    desk.event('cpu', 'h', false)
    assert.deepEqual(desk.decided, ['trigger oncall cpu h', 'resolve oncall cpu h'])
    assert.equal(desk.pending.length, 2)
  })

  it('attempts count for the highest epoch only, outcomes for any; both count once', () => {
    const desk = new Desk()
    desk.event('cpu', 'h', true)
    const [page] = desk.pending
    const old = desk.attempt([page])!
    assert.equal(desk.claim(3), true)
    assert.equal(desk.claim(3), false)
    assert.equal(desk.claim(2), false)
    assert.equal(desk.attempt([page], 1), undefined)
    assert.equal(desk.decisions.attempt({ ...old }), false)
    assert.equal(desk.decisions.pendingPages()[0].attempts.length, 1)
    desk.outcome(old, 'failed')
    assert.equal(desk.decisions.pendingPages()[0].attempts[0].result, 'failed')
    desk.outcome(old, 'delivered')
    assert.deepEqual(desk.settled, ['trigger oncall delivered'])
    desk.outcome(old, 'delivered')
    assert.equal(desk.settled.length, 1)
  })

  it('tells which settled page may have left a request under way: one with an attempt that was not answered', () => {
    const desk = new Desk()
    for (const key of ['answered', 'cut off', 'unknown']) desk.event('cpu', key, true)
    const [answered, cutOff, unknown] = desk.pending
    desk.send(answered, 'failed')
    desk.send(answered, 'delivered')
    desk.attempt([cutOff])
    desk.claim(2)
    desk.send(cutOff, 'delivered', 2)
    desk.send(unknown, 'unknown', 2)
    desk.send(unknown, 'delivered', 2)
    const { settled } = desk.decisions.takePageChanges()
    assert.deepEqual(
      settled.map(({ inDoubt }) => inDoubt),
      [false, true, true],
    )
  })

  it('the outcome of an older epoch after the resolve makes one more resolve, once', () => {
    const desk = new Desk()
    desk.event('cpu', 'h', true)
    const [page] = desk.pending
    const doubtful = desk.attempt([page])!
    desk.claim(2)
    desk.send(page, 'delivered', 2)
    desk.event('cpu', 'h', false)
    desk.send(desk.pending[0], 'delivered', 2)
    desk.restore()
    desk.outcome(doubtful, 'delivered')
    desk.outcome(doubtful, 'delivered')
    assert.equal(desk.decisions.pendingPages().filter((p) => p.repair === true && p.action === 'resolve').length, 1)
  })

  it('before the resolve was attempted the same outcome repairs nothing', () => {
    const desk = new Desk()
    desk.event('cpu', 'h', true)
    const [page] = desk.pending
    const doubtful = desk.attempt([page])!
    desk.claim(2)
    desk.send(page, 'delivered', 2)
    desk.outcome(doubtful, 'delivered')
    desk.event('cpu', 'h', false)
    assert.deepEqual(desk.decided, ['trigger oncall cpu h', 'resolve oncall cpu h'])
  })

  it('what a receiver refuses opens an incident at the fallback, which ends when the receiver works', () => {
    const desk = new Desk({ fallbackReceiver: 'boss' })
    desk.event('cpu', 'h', true)
    desk.event('cpu', 'g', true)
    desk.send(desk.pending[0], 'refused')
    assert.equal(desk.decided.at(-1), 'trigger boss delivery-failed oncall')
    const boss = desk.decisions.pendingPages().find((page) => page.receiver === 'boss')!
    desk.send(boss.id, 'delivered')
    desk.send(desk.pending[0], 'delivered')
    assert.equal(desk.decided.at(-1), 'resolve boss delivery-failed oncall')
  })

  it('an outcome that is there a second time says nothing of a receiver that has failed since', () => {
    const desk = new Desk({ fallbackReceiver: 'boss' })
    desk.event('cpu', 'h', true)
    const taken = desk.attempt([desk.pending[0]])!
    desk.outcome(taken, 'delivered')
    desk.event('cpu', 'g', true)
    desk.send(desk.pending[0], 'refused')
    const boss = desk.decisions.pendingPages().find((page) => page.receiver === 'boss')!
    desk.send(boss.id, 'delivered')
    desk.outcome(taken, 'delivered')
    assert.equal(desk.decided.at(-1), 'trigger boss delivery-failed oncall')
  })

  it('beyond its limit a minute a rule’s pages go as one digest, resolved when all it stands for have', () => {
    const desk = new Desk({ pagesPerMinute: 2 })
    for (const key of ['a', 'b', 'c', 'd']) desk.event('cpu', key, true)
    desk.event('disk', 'a', true)
    assert.deepEqual(desk.decided, [
      'trigger oncall cpu a',
      'trigger oncall cpu b',
      'trigger oncall cpu',
      'trigger oncall disk a',
    ])
    const digest = desk.decisions.pendingPages().find((page) => page.members !== undefined)!
    assert.equal(digest.memberCount, 2)
    assert.equal(digest.retryAtMs, 1_020_000, 'not before its minute has ended')
    desk.send(digest.id, 'delivered')
    desk.event('cpu', 'c', false)
    assert.equal(desk.decided.length, 4)
    desk.restore()
    desk.event('cpu', 'd', false)
    assert.deepEqual(desk.decided.at(-1), 'resolve oncall cpu')
    desk.calendarMs += 60_000
    desk.event('cpu', 'e', true)
    assert.equal(desk.decided.at(-1), 'trigger oncall cpu e')
  })

  it('what does not fit a receiver’s queue goes as a digest', () => {
    const desk = new Desk({ pendingPerReceiver: 3 })
    for (let i = 0; i < 6; i++) desk.notify()
    const pages = desk.decisions.pendingPages()
    assert.deepEqual(
      pages.map((page) => page.memberCount),
      [undefined, undefined, undefined, 3],
    )
    // What was attempted may have been told: what comes now is not in it.
    desk.outcome(desk.attempt([pages[3].id])!, 'unknown')
    for (let i = 0; i < 2; i++) desk.notify()
    assert.deepEqual(
      desk.decisions.pendingPages().map((page) => page.memberCount),
      [undefined, undefined, undefined, 3, 2],
    )
  })

  it('what waited becomes one page by one attempt, and is resolved when all its members have', () => {
    const desk = new Desk()
    for (const key of ['a', 'b', 'c']) desk.event('cpu', key, true)
    const attempt = desk.attempt(desk.pending, 1, 'waited')!
    const [digest, ...rest] = desk.decisions.pendingPages()
    assert.deepEqual([digest.memberCount, rest.length, digest.attempts.length], [3, 0, 1])
    assert.equal(desk.decisions.attempt(attempt), false)
    desk.outcome({ ...attempt, pages: [digest.id] }, 'delivered')
    for (const key of ['a', 'b', 'c']) {
      assert.equal(desk.decided.length, 4)
      desk.event('cpu', key, false)
    }
    assert.equal(desk.decided.at(-1), 'resolve oncall digest')
    assert.equal(desk.decisions.pendingPages()[0].dedupKey, digest.dedupKey)
  })

  it('incidents of a rule that is declared nowhere any more resolve', () => {
    const desk = new Desk()
    desk.event('cpu', 'h', true)
    desk.event('disk', 'h', true)
    for (const page of desk.pending) desk.send(page, 'delivered')
    desk.rules('disk')
    assert.equal(desk.decided.at(-1), 'resolve oncall cpu h')
    assert.match(desk.decisions.incidents().closed[0].closed!.reason, /deleted/)
    assert.deepEqual(
      desk.decisions.incidents().open.map((incident) => incident.rule),
      ['disk'],
    )
  })

  it('no digest stands for a page that may have taken effect: its own key is resolved', () => {
    for (const [result, isMember] of [
      ['failed', true],
      ['unknown', false],
      [undefined, false],
    ] as const) {
      const desk = new Desk()
      for (const key of ['a', 'b', 'c']) desk.event('cpu', key, true)
      const [tried, ...late] = desk.pending
      const attempt = desk.attempt([tried])!
      if (result !== undefined) desk.outcome(attempt, result)
      const attempted = desk.attempt([tried, ...late], 1, 'waited')!
      const digest = desk.decisions.pendingPages().find((page) => page.members !== undefined)!
      assert.deepEqual(digest.members, isMember ? [tried, ...late] : late, `${result}`)
      assert.deepEqual(desk.pending.includes(tried), !isMember)
      desk.outcome({ ...attempted, pages: [digest.id] }, 'delivered')
      const decided = desk.decided.length
      desk.event('cpu', 'a', false)
      assert.deepEqual(desk.decided.slice(decided), isMember ? [] : ['resolve oncall cpu a'])
    }
  })

  it('a digest of pages that all may have taken effect is none: the attempt is not in force', () => {
    const desk = new Desk()
    for (const key of ['a', 'b']) desk.event('cpu', key, true)
    for (const id of desk.pending) desk.send(id, 'unknown')
    assert.equal(desk.attempt(desk.pending, 1, 'waited'), undefined)
    assert.equal(desk.pending.length, 2)
  })

  it('what was redriven is resolved, attempted anew or not, where its first trigger may have taken effect', () => {
    for (const [results, isOpen] of [
      [['refused'], false],
      [['failed', 'refused'], false],
      [['unknown', 'refused'], true],
      [['gave-up'], true],
    ] as const) {
      const desk = new Desk()
      desk.event('cpu', 'h', true)
      for (const result of results) desk.send(desk.pending[0], result)
      desk.restore()
      assert.equal(desk.command('1', 'redrive', { rule: 'cpu', key: 'h' }), 'redriven')
      desk.restore()
      const [redriven] = desk.decisions.pendingPages()
      desk.event('cpu', 'other', true)
      const digest = desk.attempt(desk.pending, 1, 'waited')!
      assert.deepEqual(desk.pending.includes(redriven.id), isOpen, 'no digest stands for it')
      desk.event('cpu', 'h', false)
      assert.equal(desk.decided.includes('resolve oncall cpu h'), isOpen, `${results}`)
      assert.ok(digest)
    }
  })

  it('a command that comes twice acts once', () => {
    const desk = new Desk()
    assert.equal(desk.command('1', 'drill', { receiver: 'oncall' }), 'drilled')
    desk.restore()
    assert.equal(desk.command('1', 'drill', { receiver: 'oncall' }), undefined)
    desk.event('cpu', 'h', true)
    assert.equal(desk.command('2', 'acknowledge', { rule: 'cpu', key: 'h' }), 'acknowledged')
    assert.equal(desk.decisions.incidents().open[0].acknowledged?.who, 'me')
    desk.send(desk.pending[1], 'refused')
    assert.equal(desk.command('3', 'redrive', { rule: 'cpu', key: 'h' }), 'redriven')
    assert.equal(desk.command('4', 'resolve', { rule: 'cpu', key: 'h' }), 'resolved')
    assert.deepEqual(desk.decided, ['notify oncall drill', 'trigger oncall cpu h', 'trigger oncall cpu h'])
    assert.equal(desk.settled.at(-1), 'trigger oncall overtaken')
  })

  it('a redrive reaches a trigger that a digest stood for, whichever way it came into it', () => {
    for (const [how, settings] of [
      ['beyond the limit', { pagesPerMinute: 1 }],
      ['waited', {}],
    ] as const) {
      for (const result of ['refused', 'gave-up', 'delivered'] as const) {
        const desk = new Desk(settings)
        for (const key of ['a', 'b', 'c']) desk.event('cpu', key, true)
        if (how === 'waited') {
          const [, ...late] = desk.pending
          const attempt = desk.attempt(late, 1, 'waited')!
          const digest = desk.decisions.pendingPages().find((page) => page.memberCount === 2)!
          desk.outcome({ ...attempt, pages: [digest.id] }, result)
        } else desk.send(desk.pending[1], result)
        desk.send(desk.pending[0], 'delivered')
        assert.deepEqual(desk.pending, [])
        desk.restore()
        const decided = desk.decided.length
        const isRedriven = result !== 'delivered'
        const did = desk.command('1', 'redrive', { rule: 'cpu', key: 'b' })
        assert.equal(did, isRedriven ? 'redriven' : 'nothing-to-redrive', `${how}, ${result}`)
        assert.deepEqual(desk.decided.slice(decided), isRedriven ? ['trigger oncall cpu b'] : [])
        assert.equal(desk.command('2', 'redrive', { rule: 'cpu', key: 'b' }), 'nothing-to-redrive', 'it is under way')
        assert.equal(desk.command('3', 'redrive', { rule: 'cpu', key: 'a' }), 'nothing-to-redrive', 'it was delivered')
        if (!isRedriven) continue
        const [page] = desk.decisions.pendingPages()
        const [, incident] = desk.decisions.incidents().open
        assert.deepEqual([page.dedupKey, page.incident], [incident.dedupKey, incident.id])
        desk.send(page.id, 'delivered')
        desk.event('cpu', 'b', false)
        assert.deepEqual(desk.decided.slice(decided + 1), ['resolve oncall cpu b'], 'its own, not the digest’s')
        desk.event('cpu', 'c', false)
        assert.match(desk.decided.at(-1)!, /^resolve oncall (cpu|digest)$/, 'the digest’s last has resolved')
      }
    }
  })

  it('the last that is redriven out of a digest ends the digest: what was attempted is resolved', () => {
    const desk = new Desk({ pagesPerMinute: 1 })
    for (const key of ['a', 'b']) desk.event('cpu', key, true)
    const digest = desk.decisions.pendingPages()[1]
    desk.send(digest.id, 'refused')
    assert.equal(desk.command('1', 'redrive', { rule: 'cpu', key: 'b' }), 'redriven')
    const resolve = desk.decisions.pendingPages().find((page) => page.action === 'resolve')!
    assert.deepEqual([resolve.trigger, resolve.dedupKey], [digest.id, digest.dedupKey])
    assert.equal([...desk.decisions.snapshot().book.digests].length, 0)
  })

  it('many commands are remembered; of more than that the oldest is forgotten first', () => {
    const desk = new Desk()
    const drill = (n: number) => desk.command(`${n}`, 'drill', { receiver: 'oncall' })
    for (let n = 0; n < 10_000; n++) assert.equal(drill(n), 'drilled')
    assert.equal(drill(0), undefined)
    assert.equal(drill(9_999), undefined)
    assert.equal(drill(10_000), 'drilled')
    desk.restore()
    assert.equal(drill(1), undefined)
    assert.equal(drill(0), 'drilled')
  })

  it('keys are of at most 1,024 characters, and differ where the whole ones do', () => {
    assert.equal(boundedKey('x'.repeat(1_024)), 'x'.repeat(1_024))
    const [one, other] = ['1', '2'].map((end) => boundedKey('x'.repeat(5_000) + end))
    assert.deepEqual([one.length, other.length], [1_024, 1_024])
    assert.notEqual(one, other)
    assert.equal(boundedKey(one), one)
  })

  it('provenance is asked for where a page keeps it, not for those of a digest', () => {
    const desk = new Desk({ pagesPerMinute: 10 })
    let asked = 0
    for (let i = 0; i < 500; i++) desk.notify('oncall', () => asked++)
    assert.equal(asked, 10)
    assert.equal(desk.decisions.pendingPages().at(-1)!.memberCount, 490)
  })

  it('provenance is plain data of at most 8 KiB, whatever it was', () => {
    assert.deepEqual(boundedProvenance({ a: 1n, b: NaN, c: undefined }), { a: '1', b: 'NaN' })
    fc.assert(
      fc.property(fc.anything({ withBigInt: true }), fc.string({ maxLength: 9_000, unit: 'binary' }), (any, text) => {
        const kept = JSON.stringify(boundedProvenance({ any, text }))
        assert.ok(new TextEncoder().encode(kept).length <= provenanceLimit)
      }),
      { numRuns: 100 },
    )
  })
})

type Step =
  | { readonly do: 'event'; readonly key: number; readonly bad: boolean }
  | { readonly do: 'attempt'; readonly pick: number; readonly stale: boolean }
  | { readonly do: 'outcome'; readonly pick: number; readonly result: OutcomeResult }
  | { readonly do: 'claim' | 'restore' | 'digest' | 'minute' }

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('event' as const), key: fc.nat(4), bad: fc.boolean() }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('attempt' as const), pick: fc.nat(20), stale: fc.boolean() }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('outcome' as const),
        pick: fc.nat(20),
        result: fc.constantFrom<OutcomeResult>('delivered', 'failed', 'unknown', 'refused', 'gave-up'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('claim', 'restore', 'digest', 'minute') }) },
  ),
  { maxLength: 120 },
) as fc.Arbitrary<Step[]>

describe('decisions, over generated histories', () => {
  it('every page is settled or pending, every key resolves iff its trigger was attempted, a restore changes nothing', () => {
    fc.assert(
      fc.property(steps, (history) => {
        const plain = run(history, false)
        const restored = run(history, true)
        assert.equal(restored.decisions.hash, plain.decisions.hash)
        // as text: what a snapshot holds and what is hashed, the order of fields included
        assert.equal(JSON.stringify(restored.decisions.snapshot()), JSON.stringify(plain.decisions.snapshot()))
        assert.deepEqual(restored.decided, plain.decided)
        assert.equal(plain.decided.length, plain.settled.length + plain.pending.length)
        assert.equal(new Set(plain.pending).size, plain.pending.length)
        for (const page of plain.decisions.pendingPages()) {
          if (page.action === 'resolve' && page.members === undefined)
            assert.ok(plain.tried.has(page.trigger!), page.id)
        }
      }),
      { numRuns: 300 },
    )
  })
})

class TriedDesk extends Desk {
  readonly tried = new Set<string>()
}

function run(history: readonly Step[], restoring: boolean): TriedDesk {
  const desk = new TriedDesk({ pagesPerMinute: 6 })
  let epoch = 1
  const attempts: AttemptRecord[] = []
  const tried = (record: AttemptRecord | undefined): void => {
    if (record === undefined) return
    attempts.push(record)
    for (const id of record.pages) desk.tried.add(id)
    for (const page of desk.decisions.pendingPages()) if (page.attempts.length > 0) desk.tried.add(page.id)
  }
  for (const step of history) {
    if (step.do === 'event') desk.event('cpu', `k${step.key}`, step.bad, ['oncall', 'chat'])
    else if (step.do === 'claim') desk.claim(++epoch)
    else if (step.do === 'minute') desk.calendarMs += 60_000
    else if (step.do === 'restore' && restoring) desk.restore()
    else if (step.do === 'digest') {
      const waiting = desk.decisions.pendingPages().filter((p) => p.receiver === 'oncall' && p.attempts.length === 0)
      if (waiting.length > 1)
        tried(
          desk.attempt(
            waiting.map((p) => p.id),
            epoch,
            'waited',
          ),
        )
    } else if (step.do === 'attempt') {
      const { pending } = desk
      const stale = step.stale && epoch > 1
      const record =
        pending.length === 0 ? undefined : desk.attempt([pending[step.pick % pending.length]], epoch - (stale ? 1 : 0))
      if (stale) assert.equal(record, undefined)
      tried(record)
    } else if (step.do === 'outcome' && attempts.length > 0) {
      desk.outcome(attempts[step.pick % attempts.length], step.result)
    }
  }
  return desk
}
