// The oracle itself: each wrong that a kill could do is done once to evidence that is right, and must be found.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { PendingPage } from '@ricci/engine'
import type { Evidence } from './evidence.ts'
import { Fleet, jobRule, noteRule, silentRule } from './fleet.ts'
import type { Effect, PageRequest } from './pager.ts'
import { ofAcks, ofBlindReceiver, ofDatagrams, ofPages, ofReceiver } from './verdict.ts'

const effect = (id: string, action: string, host: string, dedupKey = `key-${host}`, rule = jobRule): Effect => ({
  id,
  action,
  dedupKey,
  rule,
  host,
})
const request = (of: Effect, effectsBefore = 0): PageRequest => ({
  ...of,
  possibleRepeat: false,
  arrivedMs: 0,
  effectsBefore,
  status: 200,
})
const trigger = effect('t', 'trigger', 'a')
const resolve = effect('r', 'resolve', 'a')
const page = ({ id, action, host }: Effect): PendingPage => ({ id, action, host, rule: jobRule }) as PendingPage

const evidence = (more: Partial<Evidence> = {}): Evidence => ({
  records: 0,
  switches: 0,
  repeated: 0,
  claims: 0,
  ownerships: [],
  held: new Map([['p', new Set([1, 2])]]),
  applied: new Map([
    [1, 10],
    [2, 10],
  ]),
  decided: new Map([trigger, resolve].map((each) => [each.id, page(each)])),
  settled: new Map([
    ['t', 'delivered'],
    ['r', 'delivered'],
  ]),
  pending: new Set(),
  attempts: new Map([
    ['t', 2],
    ['r', 1],
  ]),
  checkpoints: 0,
  states: 0,
  differing: [],
  falseWatchdogs: [],
  ...more,
})
const producer = (acked: number[], sizes = 3) => ({
  name: 'p',
  acked: new Set(acked),
  refusals: [],
  sizes: new Map(Array.from({ length: sizes }, (_, i) => [i + 1, 10] as const)),
})
const pager = (effects: Effect[], requests: PageRequest[]) => ({ effects, requests, strange: [] })

describe('the oracle of the kills', () => {
  it('acks: what was acknowledged is in the log and was applied once; what was not may be missing', () => {
    assert.deepEqual(ofAcks(evidence(), producer([1, 2])), [])
    assert.match(ofAcks(evidence(), producer([1, 3]))[0], /message 3 was acknowledged and is not in the log/)
    const twice = new Map([
      [1, 20],
      [2, 10],
    ])
    assert.match(ofAcks(evidence({ applied: twice }), producer([1]))[0], /message 1 has 10 events, and 20 reached/)
    assert.match(ofAcks(evidence({ applied: new Map([[1, 10]]) }), producer([1]))[0], /message 2 .* 0 reached/)
  })

  it('pages: none is lost, none went out without its record, none is told otherwise than it was', () => {
    const asked = pager([trigger, resolve], [request(trigger), request(trigger), request(resolve, 1)])
    const wrong = (more: Partial<Evidence>, to = asked): string => ofPages(evidence(more), to).join('\n')
    assert.equal(wrong({}), '')
    const half = new Map([['t', 'delivered']])
    assert.match(wrong({ settled: half }), /resolve job-failed a \(r\) was decided and is lost/)
    assert.equal(wrong({ settled: half, pending: new Set(['r']) }), '')
    assert.match(wrong({}, pager([trigger], [request(trigger)])), /\(r\) counts as delivered, and nobody got it/)
    assert.match(wrong({ settled: new Map([...half, ['r', 'overtaken']]) }), /counts as overtaken, and somebody got it/)
    assert.match(wrong({ settled: new Map([...half, ['r', 'gave-up']]) }), /ended as gave-up/)
    assert.match(wrong({ attempts: new Map([['r', 1]]) }), /t was sent 2 times with 0 attempt records/)
    assert.match(wrong({ decided: new Map([['t', page(trigger)]]) }), /asked for r, which nobody decided/)
  })

  it('receiver: no key takes effect twice, a repeat under the same Idempotency-Key is none', () => {
    const again = effect('other', 'resolve', 'a')
    const wrong = (effects: Effect[], requests: PageRequest[] = [], decided = new Map<string, PendingPage>()): string =>
      ofReceiver(pager(effects, requests), { decided }).join('\n')
    assert.equal(wrong([trigger, resolve], [request(trigger), request(trigger, 1), request(resolve, 1)]), '')
    assert.match(wrong([trigger, effect('other', 'trigger', 'a')]), /key-a was triggered as t and as other/)
    assert.match(wrong([trigger, resolve, again]), /key-a was resolved twice/)
    const repairs = new Map<string, PendingPage>([['other', { ...page(again), repair: true }]])
    assert.equal(wrong([trigger, resolve, again], [], repairs), '', 'the log says why')
    assert.match(wrong([resolve]), /resolved and never triggered/)
    assert.match(wrong([resolve, trigger]), /took effect after the resolve/)
    assert.match(wrong([trigger, resolve], [request(trigger, 2)]), /was acted on, after its resolve had taken effect/)
  })

  it('datagrams: one that took effect twice is found', () => {
    assert.deepEqual(ofDatagrams({ applied: new Map([[-1, 1]]) }), [])
    assert.match(ofDatagrams({ applied: new Map([[-1, 2]]) })[0], /datagram 1 reached the rules 2 times/)
  })

  it('blind receiver: who is told again is told so, and every note is told', () => {
    const note = effect('n', 'notify', 'note-0', '', noteRule)
    const again = { ...request(note), possibleRepeat: true }
    assert.deepEqual(ofBlindReceiver(pager([], [request(note), again])), [])
    assert.match(ofBlindReceiver(pager([], [request(note), request(note)]))[0], /not marked as a possible repeat/)
    const fleet = new Fleet(1, 0)
    fleet.note()
    assert.match(fleet.untold([])[0], /was not told: note-0/)
    assert.deepEqual(fleet.untold([note]), [])
  })

  it('truth: whoever fell silent is told of, whoever did not is not', () => {
    const fleet = new Fleet(1, 1)
    const silent = effect('s', 'trigger', 'silent-0', 'k', silentRule)
    assert.deepEqual(fleet.missing([]), [])
    assert.match(fleet.excess([silent])[0], /is not so: trigger host-silent silent-0: 1 times/)
    assert.match(fleet.excess([{ ...silent, host: 'nobody' }])[0], /a stranger: nobody/)
    fleet.silence()
    assert.match(fleet.missing([])[0], /was not told: trigger host-silent silent-0/)
    assert.deepEqual([...fleet.missing([silent]), ...fleet.excess([silent])], [])
    assert.match(fleet.excess([silent, { ...silent, id: 'again' }])[0], /2 times/)
    const blink = fleet.fail('blinks').host
    fleet.recover(blink)
    const told = effect('b', 'trigger', blink)
    assert.deepEqual([...fleet.missing([silent]), ...fleet.excess([silent])], [], 'what blinks need not be told')
    assert.match(fleet.missing([silent, told])[0], /was not told: resolve job-failed/)
  })
})
