import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { OutcomeResult } from '../records.ts'
import { escalationOf } from './escalation.ts'
import { hostLimit } from './incident.ts'
import { Desk } from './testing.ts'

const minuteMs = 60_000
const steps = escalationOf(
  [
    { after: '15m', to: 'lead' },
    { after: '1h', to: 'boss' },
  ],
  ['oncall'],
)

function opened(settings: Record<string, unknown> = {}): Desk {
  const desk = new Desk({ acknowledging: ['oncall', 'lead'], ...settings })
  desk.event('cpu', 'h', true, ['oncall'], steps)
  return desk
}

const incidentOf = (desk: Desk) => desk.decisions.incidents().open[0]

/** What was decided beside the first trigger. */
const since = (desk: Desk) => desk.decided.slice(1)

describe('escalation', () => {
  it('tells one after another when nobody acknowledges, each once, and all of them when it is over', () => {
    const desk = opened()
    desk.tick(15 * minuteMs - 1)
    assert.deepEqual(since(desk), [])
    desk.tick(1)
    assert.deepEqual(since(desk), ['trigger lead cpu h'])
    const page = desk.decisions.pendingPages().at(-1)!
    assert.equal(page.summary, 'not acknowledged for 15 min: it is bad')
    assert.equal(page.dedupKey, incidentOf(desk).dedupKey)
    desk.restore()
    desk.tick(60 * minuteMs)
    desk.tick(600 * minuteMs)
    assert.deepEqual(since(desk), ['trigger lead cpu h', 'trigger boss cpu h'])
    for (const id of desk.pending) desk.send(id, 'delivered')
    desk.event('cpu', 'h', false)
    assert.deepEqual(desk.decided.slice(3), ['resolve oncall cpu h', 'resolve lead cpu h', 'resolve boss cpu h'])
  })

  it('counts no time in which nobody owned, and none in which it is acknowledged or snoozed', () => {
    const desk = opened()
    desk.tick(0, 1_000 * minuteMs)
    assert.deepEqual(since(desk), [], 'time without an owner')
    assert.equal(desk.command('1', 'acknowledge', { rule: 'cpu', key: 'h', forMs: 30 * minuteMs }), 'acknowledged')
    desk.tick(20 * minuteMs)
    assert.deepEqual(since(desk), [])
    assert.equal(
      desk.command('2', 'snooze', { rule: 'cpu', key: 'h', untilMs: desk.calendarMs + 20 * minuteMs }),
      'snoozed',
    )
    desk.tick(10 * minuteMs)
    assert.deepEqual([incidentOf(desk).acknowledged, incidentOf(desk).snoozed?.who], [undefined, 'me'])
    desk.restore()
    desk.tick(10 * minuteMs)
    assert.equal(incidentOf(desk).snoozed, undefined)
    desk.tick(15 * minuteMs - 1)
    assert.deepEqual(since(desk), [], 'it begins anew with the end of both')
    desk.tick(1)
    assert.deepEqual(since(desk), ['trigger lead cpu h'])
  })

  it('does not wait where the receiver cannot be told, itself or in a digest', () => {
    for (const result of ['refused', 'gave-up'] as const) {
      const desk = opened()
      desk.send(desk.pending[0], result)
      assert.deepEqual(since(desk), ['trigger lead cpu h'], result)
      assert.equal(desk.decisions.pendingPages()[0].summary, 'oncall could not be told: it is bad')
      const many = opened({ pagesPerMinute: 1 })
      many.event('cpu', 'g', true, ['oncall'], steps)
      many.send(many.pending[1], result)
      assert.deepEqual(
        many.decisions.incidents().open.map(({ escalated }) => escalated),
        [0, 1],
        'the one that the digest stood for',
      )
    }
    const taken = opened()
    taken.command('1', 'acknowledge')
    taken.send(taken.pending[0], 'refused')
    assert.deepEqual(since(taken), [], 'somebody knows')
  })

  it('of very many goes as digests, and what each rests on is put together for pages of its own only', (context) => {
    const desk = new Desk({ pagesPerMinute: 10 })
    for (let i = 0; i < 500; i++) desk.event('cpu', `h${i}`, true, ['oncall'], steps)
    const toJson = context.mock.method(JSON, 'stringify')
    const before = desk.steps
    desk.tick(15 * minuteMs)
    const described = toJson.mock.calls.filter(({ arguments: [value] }) => 'escalated' in Object(value))
    toJson.mock.restore()
    assert.equal(described.length, 10)
    assert.equal(desk.steps - before, 500, 'who watches the engine sees that it goes on')
    const lead = desk.decisions.pendingPages().filter(({ receiver }) => receiver === 'lead')
    assert.deepEqual([lead.length, lead.at(-1)!.memberCount], [11, 490])
  })

  it('is refused where it says nothing sensible', () => {
    for (const wrong of [
      [],
      'lead',
      [{ to: 'lead' }],
      [{ after: '15', to: 'lead' }],
      [{ after: 0, to: 'lead' }],
      [{ after: '15m' }],
      [{ after: '15m', to: 'oncall' }],
      [null],
      [
        { after: '15m', to: 'a' },
        { after: 900, to: 'b' },
      ],
      Array.from({ length: 11 }, (_, i) => ({ after: i + 1, to: `r${i}` })),
    ]) {
      assert.throws(() => escalationOf(wrong, ['oncall']), { code: 'RULES_INVALID' }, JSON.stringify(wrong))
    }
    assert.deepEqual(escalationOf([{ after: 1.5, to: 'a' }], []), [{ afterMs: 1_500, to: 'a' }])
  })
})

describe('an acknowledgement', () => {
  it('is told to receivers that know such a thing, if and only if their trigger was attempted', () => {
    const desk = opened()
    desk.command('1', 'acknowledge')
    assert.deepEqual(since(desk), [], 'nobody was told of the incident')
    const trigger = desk.pending[0]
    desk.send(trigger, 'delivered')
    assert.deepEqual(since(desk), ['acknowledge oncall cpu h'], 'now somebody is')
    const page = desk.decisions.pendingPages()[0]
    assert.deepEqual(
      [page.trigger, page.dedupKey, page.summary],
      [trigger, incidentOf(desk).dedupKey, 'taken on by me: it is bad'],
    )
    desk.command('2', 'acknowledge')
    assert.equal(since(desk).length, 1, 'one that waits is enough')
    desk.send(page.id, 'delivered')
    desk.command('3', 'acknowledge', { rule: 'cpu', key: 'h', via: 'oncall' })
    assert.equal(since(desk).length, 1, 'who said so knows')
    desk.event('disk', 'h', true, ['chat'])
    desk.send(desk.pending[0], 'delivered')
    desk.command('4', 'acknowledge', { rule: 'disk', key: 'h' })
    assert.deepEqual(since(desk).slice(1), ['trigger chat disk h'])
  })

  it('is overtaken by the end of the incident, which waits for one that is under way', () => {
    const desk = opened()
    desk.send(desk.pending[0], 'delivered')
    desk.command('1', 'acknowledge')
    desk.event('cpu', 'h', false)
    assert.equal(desk.settled.at(-1), 'acknowledge oncall overtaken')
    assert.equal(desk.decisions.pendingPages()[0].after, undefined)
    const other = opened()
    other.send(other.pending[0], 'delivered')
    other.command('1', 'acknowledge')
    const [acknowledgement] = other.pending
    other.attempt([acknowledgement])
    other.event('cpu', 'h', false)
    assert.equal(other.decisions.pendingPages()[1].after, acknowledgement)
  })

  it('holds as long as the setting says, moves with a calendar that is set back, and needs a time to come', () => {
    const desk = opened({ acknowledgedMs: minuteMs })
    desk.command('1', 'acknowledge')
    assert.equal(incidentOf(desk).acknowledged?.untilMs, desk.calendarMs + minuteMs)
    desk.decisions.calendarBack(-minuteMs)
    assert.equal(incidentOf(desk).acknowledged?.untilMs, desk.calendarMs)
    const wrong: Record<string, string | number | boolean>[] = [
      { forMs: 0 },
      { forMs: 'x' },
      { untilMs: desk.calendarMs },
      { untilMs: true },
    ]
    for (const given of wrong) {
      const id = JSON.stringify(given)
      assert.equal(desk.command(id, 'acknowledge', { rule: 'cpu', key: 'h', ...given }), 'malformed', id)
    }
    assert.equal(desk.command('2', 'snooze'), 'malformed')
  })

  it('of an incident that hosts may join ends with a further host', () => {
    const desk = new Desk()
    const bad = (host: string) => desk.event('cpu', 'all', true, ['oncall'], steps, host)
    bad('a')
    bad('b')
    desk.command('1', 'acknowledge', { rule: 'cpu', key: 'all' })
    bad('b')
    assert.ok(incidentOf(desk).acknowledged)
    desk.restore()
    desk.tick(minuteMs)
    bad('c')
    assert.equal(incidentOf(desk).acknowledged, undefined)
    desk.tick(15 * minuteMs)
    assert.deepEqual(since(desk), ['trigger lead cpu all'])
    for (let i = 0; i < hostLimit * 2; i++) bad(`h${i}`)
    assert.equal(incidentOf(desk).hosts?.length, hostLimit)
  })

  it('means the incident it names, not another of its key', () => {
    const desk = opened()
    const { id } = incidentOf(desk)
    desk.event('cpu', 'h', false)
    desk.event('cpu', 'h', true)
    assert.equal(desk.command('1', 'acknowledge', { rule: 'cpu', key: 'h', incident: id }), 'no-incident')
    assert.equal(desk.command('2', 'resolve', { rule: 'cpu', key: 'h', incident: incidentOf(desk).id }), 'resolved')
    assert.equal(desk.command('3', 'resolve'), 'no-incident')
    desk.restore()
    assert.deepEqual(
      ['1', '2', '3', '4'].map((one) => desk.decisions.commandStatus(one)?.did),
      ['no-incident', 'resolved', 'no-incident', undefined],
    )
  })
})

it('a drill is remembered with what became of its page', () => {
  const desk = new Desk()
  desk.command('1', 'drill', { receiver: 'oncall' })
  const page = desk.pending[0]
  assert.deepEqual(desk.decisions.commandStatus('1'), { did: 'drilled', offset: desk.offset, page, attempts: 0 })
  const attempt = desk.attempt([page])!
  desk.restore()
  assert.equal(desk.decisions.commandStatus('1')?.attempts, 1)
  desk.outcome(attempt, 'delivered')
  desk.restore()
  assert.deepEqual(
    [desk.decisions.commandStatus('1')?.result, desk.decisions.commandStatus('1')?.attempts],
    ['delivered', undefined],
  )
})

/** What may happen to incidents; all but `tick` and `restore` are records. */
const happenings = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('event' as const), key: fc.constantFrom('a', 'b', 'c'), bad: fc.boolean() }),
    fc.record({ kind: fc.constant('tick' as const), ms: fc.integer({ min: 0, max: 40 * minuteMs }) }),
    fc.record({
      kind: fc.constant('command' as const),
      name: fc.constantFrom('acknowledge', 'snooze', 'resolve', 'redrive'),
      key: fc.constantFrom('a', 'b', 'c'),
      forMs: fc.integer({ min: 1, max: 50 * minuteMs }),
    }),
    fc.record({
      kind: fc.constant('send' as const),
      which: fc.nat({ max: 5 }),
      result: fc.constantFrom<OutcomeResult>('delivered', 'refused', 'gave-up', 'failed', 'unknown'),
    }),
  ),
  { minLength: 5, maxLength: 60 },
)

it('a restore anywhere changes nothing; nobody is told twice of an incident, and all who were are told of its end', () => {
  let escalated = 0
  fc.assert(
    fc.property(happenings, fc.array(fc.nat({ max: 60 }), { maxLength: 4 }), (all, cuts) => {
      const run = (restores: readonly number[]): Desk => {
        const desk = new Desk({ acknowledging: ['oncall', 'lead'], pagesPerMinute: 4 })
        all.forEach((one, i) => {
          if (restores.includes(i)) desk.restore()
          if (one.kind === 'event') desk.event('cpu', one.key, one.bad, ['oncall'], steps)
          else if (one.kind === 'tick') desk.tick(one.ms)
          else if (one.kind === 'command')
            desk.command(`${i}`, one.name, { rule: 'cpu', key: one.key, forMs: one.forMs })
          else if (desk.pending[one.which] !== undefined) desk.send(desk.pending[one.which], one.result)
        })
        return desk
      }
      const desk = run([])
      const cut = run(cuts)
      assert.deepEqual([cut.decided, cut.settled], [desk.decided, desk.settled])
      assert.equal(JSON.stringify(cut.decisions.snapshot()), JSON.stringify(desk.decisions.snapshot()))
      const { open, closed } = desk.decisions.incidents()
      for (const incident of [...open, ...closed]) {
        const told = incident.deliveries.map(({ receiver }) => receiver)
        assert.deepEqual(told, ['oncall', 'lead', 'boss'].slice(0, 1 + incident.escalated))
        escalated += incident.escalated
      }
    }),
    { numRuns: 300 },
  )
  assert.ok(escalated > 0, 'a run that exercised nothing fails')
})
