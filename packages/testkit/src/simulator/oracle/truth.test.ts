import { encodeMsg } from '@ricci/client'
import { encodeRecord, type LogRecord, type PendingPage } from '@ricci/engine'
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { rulesRecords } from '../rules.ts'
import { OwnedTime } from './owned-time.ts'
import { judgeTruth } from './truth.ts'

/** What happens besides: claims, each after so many seconds of owned time, and a jump of the calendar with the tick that ends one. */
interface Besides {
  readonly claims?: readonly number[]
  readonly jump?: { readonly second: number; readonly ms: number }
}

const mark = { producer: 'h', incarnation: 1, sequence: 1, sentAtMs: 1_000 }
const events = [{ host: 'h', service: 'alive', state: 'ok', time: 1, ttl: 10 }]
const msg = encodeMsg({ events, mark })
const sent = { ...mark, partition: 0, events, bytes: msg, checksum: crc32(msg) }

/** The verdicts on a host that spoke once, right after the first claim, on a log of a tick a second. */
function judged(seconds: number, isDown: boolean, { claims = [], jump }: Besides): string[] {
  const log: LogRecord[] = []
  let wallMs = 1_000
  const claim = (epoch: number): void => {
    log.push({ kind: 'claim', epoch, instance: 'i1', semantics: 1, leaseToken: '', life: 'x' })
    log.push({ kind: 'tick', number: log.length, epoch, elapsedMs: 0, wallMs })
  }
  claim(1)
  log.push(rulesRecords[0], { kind: 'events', receivedAtMs: 1_000, msg })
  for (let second = 1; second <= seconds; second++) {
    wallMs += 1_000 + (second === jump?.second ? jump.ms : 0)
    const epoch = 1 + claims.filter((at) => at < second).length
    if (claims.includes(second - 1)) claim(epoch)
    log.push({ kind: 'tick', number: log.length, epoch, elapsedMs: 1_000, wallMs })
  }
  const records = log.map((record, offset) => ({ offset, bytes: encodeRecord(record), checksum: 0 }))
  const page = { rule: 'host-down', host: 'h', action: 'trigger', decidedAtMs: wallMs } as PendingPage
  const decisions = isDown ? [{ page, offset: log.length - 1 }] : []
  return judgeTruth(0, records, new Map([[sent.checksum, sent]]), [], decisions, () => undefined).map(
    ({ kind }) => kind,
  )
}

describe('the judgement on a host with a TTL of 10 s', () => {
  for (const [what, besides, deadline] of [
    ['a claim puts its deadline off to 15 s later', {}, 15],
    ['another one, too', { claims: [9] }, 24],
    ['claims do not add up', { claims: [9, 12] }, 27],
    ['in all it is put off by 60 s', { claims: [9, 20, 30, 40, 50, 60] }, 70],
    ['who owns after it has passed changes nothing', { claims: [18] }, 15],
    ['a calendar that moves on by less than 5 s does not, either', { jump: { second: 9, ms: 4_900 } }, 15],
    ['a gap puts it off', { jump: { second: 9, ms: 5_100 } }, 24],
  ] as const) {
    it(what, () => {
      // within a tick and the 5 s that are allowed
      assert.deepEqual(judged(deadline + 7, false, besides), [])
      assert.deepEqual(judged(deadline + 8, false, besides), ['silence missed'])
      assert.deepEqual(judged(deadline - 3, true, besides), ['false alarm'])
      assert.deepEqual(judged(deadline - 2, true, besides), [])
    })
  }
})

describe('owned time', () => {
  it('is what ticks say, but nothing for the first that an owner wrote', () => {
    for (const [number, ownedMs] of [
      [8, 400],
      [9, 900],
    ] as const) {
      const time = new OwnedTime()
      const tick = { kind: 'tick', wallMs: 1 } as const
      time.apply({ kind: 'claim', epoch: 1, instance: 'i1', semantics: 1, leaseToken: '', life: 'x' })
      time.apply({ ...tick, epoch: 1, number: 7, elapsedMs: 0 })
      time.apply({ kind: 'claim', epoch: 2, instance: 'i2', semantics: 1, leaseToken: '', life: 'y' })
      time.apply({ ...tick, epoch: 2, number, elapsedMs: 500 })
      time.apply({ ...tick, epoch: 2, number: 10, elapsedMs: 400 })
      assert.equal(time.ownedMs, ownedMs)
    }
  })
})
