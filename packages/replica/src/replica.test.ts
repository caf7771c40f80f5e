import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { House } from '@ricci/testkit'
import { digestAgeMs, sendsAtOnce } from './limits.ts'
import type { SendResult } from './ports.ts'

const never = new Promise<SendResult>(() => undefined)

describe('a replica alone', () => {
  it('claims, brings its rules, ticks, sends a page and its resolve, and stops without a trace', async () => {
    const house = new House()
    const replica = await house.owner()
    assert.equal(house.log.all('claim').length, 1)
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    house.event('h', 'ok')
    await house.until('the resolve', () => house.oncall.sent.length === 2)
    await house.until('nothing waits', () => replica.stats().pendingPages === 0)
    assert.deepEqual(
      house.oncall.sent.map(({ action, host, dedupKey }) => [action, host, dedupKey === house.oncall.sent[0].dedupKey]),
      [
        ['trigger', 'h', true],
        ['resolve', 'h', true],
      ],
    )
    assert.deepEqual(
      house.log.all('outcome').map((outcome) => outcome.result),
      ['delivered', 'delivered'],
    )
    await house.close()
    assert.equal(house.log.all('rules').length, 1)
    assert.equal(house.snapshots.kept.size, 1, 'a clean stop leaves a snapshot')
    const lastOffset = house.log.records.length - 2
    assert.deepEqual(
      [...house.snapshots.kept.values()].map((s) => s.info.offset),
      [lastOffset],
    )
  })

  it('goes on where it was after a restart, and never brings its rules again', async () => {
    const house = new House()
    await house.owner()
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    await house.stopped(house.replicas[0])
    const again = await house.owner()
    house.event('h', 'ok')
    await house.until('the resolve', () => house.oncall.sent.length === 2)
    assert.equal(house.log.all('rules').length, 1)
    assert.equal(again.stats().epoch, 2)
    await house.close()
  })

  it('sends nothing before its attempt was read, whatever the log confirms', async () => {
    const house = new House()
    await house.owner()
    let attempts = 0
    house.log.fate = ([record]) => (record.kind === 'attempt' && ++attempts <= 2 ? 'lost' : 'written')
    house.event('h', 'down')
    await house.until('a second attempt', () => attempts === 2)
    assert.equal(house.oncall.sent.length, 0)
    await house.until('a page', () => house.oncall.sent.length === 1)
    await house.close()
    assert.deepEqual(house.oncall.lines.length, 1)
  })

  it('writes an outcome until it has read it', async () => {
    const house = new House()
    await house.owner()
    let outcomes = 0
    house.log.fate = ([record]) => (record.kind === 'outcome' && ++outcomes <= 2 ? 'lost' : 'written')
    house.event('h', 'down')
    await house.until('a third outcome', () => outcomes === 3)
    await house.clock.advance(20_000)
    assert.equal(house.oncall.sent.length, 1)
    await house.close()
  })

  it('does not send an attempt that was read too late, says so, and tries again', async () => {
    const house = new House()
    await house.owner()
    let held = false
    house.log.fate = ([record]) => {
      if (record.kind !== 'attempt' || held) return 'written'
      held = true
      return 'held'
    }
    house.event('h', 'down')
    await house.until('the attempt is held', () => held)
    await house.clock.advance(1_990)
    assert.equal(house.oncall.sent.length, 0)
    await house.clock.advance(1_000)
    house.log.release()
    await house.clock.advance(10_000)
    assert.equal(house.oncall.sent.length, 1)
    assert.deepEqual(
      house.log
        .all('outcome')
        .map(({ result }) => result)
        .sort(),
      ['delivered', 'failed'].slice(0, house.log.all('outcome').length),
    )
    await house.close()
  })

  it('reads anew when its reader falls silent', async () => {
    const house = new House()
    const replica = await house.owner()
    const reads = house.log.reads
    house.log.silence()
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    assert.ok(house.log.reads > reads)
    assert.equal(replica.state, 'owning')
    await house.close()
  })

  it('tells the fallback receiver of a page that was refused, and takes it back when the receiver works again', async () => {
    const house = new House()
    await house.owner()
    house.oncall.answer = () => ({ kind: 'refused', detail: '400 no such key' })
    house.event('h', 'down')
    await house.until('the fallback hears of it', () => house.fallback.sent.length === 1)
    assert.match(house.fallback.sent[0].summary, /oncall could not be told .*400 no such key/)
    house.oncall.answer = () => ({ kind: 'delivered' })
    house.event('g', 'down')
    await house.until('it is taken back', () => house.fallback.sent.length === 2)
    assert.equal(house.fallback.sent[1].action, 'resolve')
    await house.close()
  })

  it('tries again what failed, as late as it was asked to', async () => {
    const house = new House()
    await house.owner()
    const times: number[] = []
    house.oncall.answer = () => {
      times.push(house.clock.monotonicMs())
      if (times.length === 1) return { kind: 'failed', detail: '429', retryAfterMs: 7_000 }
      return times.length === 2 ? { kind: 'failed', detail: '500' } : { kind: 'delivered' }
    }
    house.event('h', 'down')
    await house.until('three sends', () => times.length === 3, 60_000)
    assert.ok(times[1] - times[0] >= 7_000)
    assert.ok(times[2] - times[1] < 10_000)
    assert.equal(new Set(house.oncall.sent.map((r) => r.idempotencyKey)).size, 1)
    await house.close()
  })

  it('what waited for over an hour goes as one digest: one request while that is under way, one resolve when all is over', async () => {
    const house = new House()
    house.oncall.answer = () => ({ kind: 'failed', detail: '500' })
    house.kill(await house.owner('a'))
    const hosts = Array.from({ length: sendsAtOnce + 3 }, (_, i) => `h${i}`)
    for (const host of hosts) house.event(host, 'down')
    await house.clock.advance(digestAgeMs + 1_000)
    let answer = (_: SendResult): void => undefined
    house.oncall.answer = ({ members }) =>
      members === undefined ? { kind: 'delivered' } : new Promise((resolve) => (answer = resolve))
    const replica = house.replica('b')
    void replica.start()
    const digests = () => house.oncall.sent.filter(({ summary }) => summary.includes('waited for over an hour'))
    await house.until('a digest', () => digests().length === 1)
    assert.deepEqual([digests()[0].members?.length, digests()[0].memberCount], [3, 3])
    await house.clock.advance(5_000)
    answer({ kind: 'delivered' })
    for (const host of hosts) house.event(host, 'ok')
    await house.until('nothing waits', () => replica.stats().pendingPages === 0)
    assert.deepEqual(
      digests().map(({ action }) => action),
      ['trigger', 'resolve'],
    )
    assert.equal(replica.stats().neverSent, 0)
    await house.close()
  })

  it('what is over before its first attempt is overtaken: neither trigger nor resolve', async () => {
    const house = new House()
    await house.owner()
    house.log.fate = ([record]) => (record.kind === 'attempt' ? 'lost' : 'written')
    house.event('h', 'down')
    await house.clock.advance(1_000)
    house.event('h', 'ok')
    await house.clock.advance(1_000)
    house.log.fate = () => 'written'
    await house.clock.advance(20_000)
    assert.deepEqual(house.oncall.lines, [])
    await house.close()
  })

  it('an owner that loses its lease goes on, until it reads a higher claim', async () => {
    const house = new House()
    const replica = await house.owner()
    house.coordination.takeAway(true)
    await house.clock.advance(30_000)
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    assert.deepEqual([replica.state, house.log.all('claim').length], ['owning', 1])
    house.log.add({ kind: 'claim', epoch: 2, instance: 'another', semantics: 1 })
    await house.until('it steps down', () => replica.state !== 'owning')
    house.event('g', 'down')
    await house.clock.advance(2_000)
    assert.equal(house.oncall.sent.length, 1)
    await house.close()
  })

  it('sends the alarm about the log by another way, with the pages that wait, and takes it back', async () => {
    const house = new House()
    await house.owner()
    house.oncall.answer = () => ({ kind: 'failed', detail: '500' })
    house.event('h', 'down')
    await house.until('a first try', () => house.oncall.sent.length === 1)
    house.log.fate = () => 'refused'
    const refusedMs = house.clock.monotonicMs()
    await house.until('self hears of it', () => house.told('trigger').length === 1)
    const [alarm] = house.told('trigger')
    assert.ok(house.clock.monotonicMs() - refusedMs <= 15_000 + 500, 'after 15 s, and the half second to the next tick')
    assert.equal(alarm.dedupKey, 'log.log-unavailable')
    assert.match(alarm.summary, /the disk is full.*1 decided pages wait/)
    house.log.fate = () => 'written'
    const since = house.self.sent.length
    const takenBack = () => house.self.sent.slice(since).some((r) => r.action === 'resolve' && r.rule === alarm.rule)
    await house.until('it is taken back', takenBack)
    house.oncall.answer = () => ({ kind: 'delivered' })
    await house.close()
  })
})

describe('a pair', () => {
  it('the standby takes over at once, and a trigger in doubt at a keyed receiver is repeated under its keys', async () => {
    const house = new House()
    const owner = await house.owner()
    await house.started(house.replica('b'), 'following')
    house.oncall.answer = () => never
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    house.kill(owner)
    house.oncall.answer = () => ({ kind: 'delivered' })
    const atMs = house.clock.monotonicMs()
    await house.until('it is repeated', () => house.oncall.sent.length === 2)
    assert.ok(house.clock.monotonicMs() - atMs < 1_000)
    const [first, second] = house.oncall.sent
    assert.deepEqual([first.dedupKey, first.idempotencyKey], [second.dedupKey, second.idempotencyKey])
    house.event('h', 'ok')
    await house.until('the resolve', () => house.oncall.sent.length === 3)
    assert.ok(house.clock.monotonicMs() - atMs >= 11_000, 'not before the doubtful request must have ended')
    await house.close()
  })

  it('a blind receiver is asked again after 11 s, and told that it may be a repeat', async () => {
    const house = new House()
    house.receiverClass = 'C'
    const owner = await house.owner()
    await house.started(house.replica('b'), 'following')
    house.oncall.answer = () => never
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    house.kill(owner)
    house.oncall.answer = () => ({ kind: 'delivered' })
    const atMs = house.clock.monotonicMs()
    house.event('g', 'down')
    await house.until('what is not in doubt goes at once', () => house.oncall.sent.length === 2)
    await house.until('it is repeated', () => house.oncall.sent.length === 3)
    assert.ok(house.clock.monotonicMs() - atMs >= 11_000)
    assert.deepEqual(
      house.oncall.sent.map((r) => [r.host, r.possibleRepeat]),
      [
        ['h', false],
        ['g', false],
        ['h', true],
      ],
    )
    await house.close()
  })

  it('one that can be looked up is asked once the doubtful request must have ended, by whoever owns then', async () => {
    const house = new House()
    house.receiverClass = 'B'
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    const { oncall, clock } = house
    oncall.answer = () => ({ kind: 'unknown', detail: 'HTTP 504' })
    house.event('h', 'down')
    await house.until('a request is out', () => oncall.sent.length === 1)
    let sinceMs = clock.monotonicMs()
    oncall.answer = () => never
    await house.until('it is asked', () => oncall.sent.length === 2)
    assert.ok(clock.monotonicMs() - sinceMs >= 11_000, 'its own attempt, too, may be acted on for a while')
    assert.equal(owner.stats().lookUps, 1)
    house.kill(owner)
    sinceMs = clock.monotonicMs()
    oncall.answer = () => ({ kind: 'delivered' })
    house.event('h', 'ok')
    await house.until('it is asked by another', () => oncall.sent.length === 3)
    assert.ok(clock.monotonicMs() - sinceMs >= 11_000)
    await house.until('it is resolved', () => oncall.sent.length === 4)
    assert.deepEqual(
      oncall.sent.map((r) => [r.action, r.possibleRepeat]),
      [
        ['trigger', false],
        ['trigger', true],
        ['trigger', true],
        ['resolve', false],
      ],
    )
    const { lookUps, possibleRepeats } = standby.stats()
    assert.deepEqual([lookUps, possibleRepeats], [1, 0])
    await house.close()
  })

  it('a blind receiver that rather misses is not asked again', async () => {
    const house = new House()
    house.receiverClass = 'C'
    house.blindPolicy = 'miss'
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    house.oncall.answer = () => never
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    house.kill(owner)
    await house.until('it is given up', () => standby.stats().gaveUp === 1)
    assert.equal(house.oncall.sent.length, 1)
    await house.close()
  })

  it('an outcome that comes after the takeover settles its page: no repeat', async () => {
    const house = new House()
    house.receiverClass = 'C'
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    let answer = (_: SendResult): void => undefined
    house.oncall.answer = () => new Promise((resolve) => (answer = resolve))
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    house.coordination.takeAway(false)
    await house.until('the other owns', () => standby.state === 'owning')
    assert.equal(owner.state, 'stepping-down')
    await house.clock.advance(3_000)
    answer({ kind: 'delivered' })
    await house.until('it follows', () => owner.state === 'following')
    await house.clock.advance(20_000)
    assert.equal(house.oncall.sent.length, 1)
    await house.close()
  })

  it('an outcome that comes after the resolve makes the owner resolve once more', async () => {
    const house = new House()
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    house.oncall.answer = () => never
    house.event('h', 'down')
    await house.until('a request is out', () => house.oncall.sent.length === 1)
    house.kill(owner)
    house.oncall.answer = () => ({ kind: 'delivered' })
    await house.until('it is repeated', () => house.oncall.sent.length === 2)
    house.event('h', 'ok')
    await house.until('the resolve', () => house.oncall.sent.length === 3)
    await house.until('nothing waits', () => standby.stats().pendingPages === 0)
    const [doubtful] = house.log.all('attempt')
    house.log.add({ ...doubtful, kind: 'outcome', result: 'delivered' })
    await house.until('one more resolve', () => house.oncall.sent.length === 4)
    assert.deepEqual(
      house.oncall.lines.map((line) => line.split(' ')[0]),
      ['trigger', 'trigger', 'resolve', 'resolve'],
    )
    assert.equal(standby.stats().pagesRepaired, 1)
    await house.close()
  })

  it('a hand-over doubles nothing and loses nothing', async () => {
    const house = new House()
    house.receiverClass = 'C'
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    for (let i = 0; i < 5; i++) house.event(`h${i}`, 'down')
    house.coordination.as('a').handOver(0, 'b')
    await house.until('the other owns', () => standby.state === 'owning')
    await house.clock.advance(30_000)
    assert.deepEqual(house.oncall.sent.map((r) => r.host).sort(), ['h0', 'h1', 'h2', 'h3', 'h4'])
    assert.equal(owner.state, 'following')
    await house.close()
  })

  it('the standby stores a snapshot that the owner’s checkpoint confirms; a third begins from it', async () => {
    const house = new House()
    await house.owner()
    await house.started(house.replica('b'), 'following')
    house.event('h', 'down')
    await house.until('a snapshot', () => house.snapshots.kept.size > 0, 700_000)
    const [{ info }] = house.snapshots.kept.values()
    const [checkpoint] = house.log.all('checkpoint').filter((record) => record.state !== undefined)
    assert.equal(info.offset, checkpoint.offset)
    const third = await house.started(house.replica('c'), 'following')
    assert.match(third.stats().why, new RegExp(info.name))
    await house.close()
  })

  it('a standby whose state differs diverges, restores, and is trusted again after a whole state has matched', async () => {
    const house = new House()
    const owner = await house.owner()
    const standby = await house.started(house.replica('b'), 'following')
    await house.clock.advance(5_000)
    house.wrong = 'b'
    await house.until('it diverges', () => standby.state === 'diverged', 60_000)
    house.wrong = ''
    await house.until('it follows again', () => standby.state === 'following')
    await house.until('its state has matched', () => house.snapshots.kept.size > 0, 700_000)
    house.kill(owner)
    await house.until('it may claim', () => standby.state === 'owning')
    await house.close()
  })
})
