import type { PendingPage } from '@ricci/engine'
import type { StoredRecord } from '@ricci/replica'
import { crc32 } from 'node:zlib'
import type { SentMsg } from '../producer.ts'
import { stuckRule } from '../rules.ts'
import type { ExerciseKind } from '../world.ts'
import { decoded } from './decoded.ts'
import { judgeLimits, judgeSkips, ThrottleTruth } from './limits.ts'
import { EscalationTruth } from './escalations.ts'
import { longestTickMs, OwnedTime } from './owned-time.ts'
import { Told } from './told.ts'
import type { Verdict } from './verdict.ts'

/** A decision, as the fresh engine told it. */
export interface Decision {
  readonly page: Readonly<PendingPage>
  readonly offset: number
}

/** An event that the log had no room for, or brokers no way to: whoever sent it was there. */
export interface Refusal {
  /** Where the log ended then. */
  readonly offset: number
  readonly atMs: number
  readonly msg: SentMsg
}

const graceMs = 15_000
const longestGraceMs = 60_000
/** DESIGN section 13: silent for longer than TTL + grace + this, a host must have paged. */
const patienceMs = 5_000

interface HostTruth {
  /** Owned time of the last presence; undefined before the first. */
  seenMs?: number
  seenOffset: number
  ttlMs: number
  /** Its last presence was older than its TTL when it came: nothing is demanded until the next. */
  doubtful: boolean
  check: 'ok' | 'bad'
  /** Services of a burst that are bad. */
  readonly bursts: Set<string>
  readonly noise: ThrottleTruth
}

/**
 * What should have been decided, worked out from the log's order, the marks and what the producers say they sent: no engine, no
 * decoder of events, no rule. Compared with what a fresh engine decided; the other half of the oracle then compares that with
 * what receivers were told.
 */
export function judgeTruth(
  partition: number,
  records: readonly StoredRecord[],
  messages: ReadonlyMap<number, SentMsg>,
  refusals: readonly Refusal[],
  decisions: readonly Decision[],
  exercise: (kind: ExerciseKind, times: number) => void,
): Verdict[] {
  const verdicts: Verdict[] = []
  const told = new Told(decisions)
  const downDecisions = decisions.filter(({ page }) => page.rule === 'host-down' && page.action === 'trigger')
  const time = new OwnedTime()
  const seen = new Map<string, { incarnation: number; sequences: Set<number> }>()
  const hosts = new Map<string, HostTruth>()
  const escalations = new EscalationTruth(told, (text) => {
    verdicts.push({ kind: 'spell missed', text: `p${partition}: ${text}` })
  })
  let ruled = false

  for (const { offset, bytes } of records) {
    const record = decoded(bytes)
    const msg = record.kind === 'events' ? messages.get(crc32(record.msg)) : undefined
    const fresh = msg !== undefined && isNew(seen, msg)
    time.apply(record, msg !== undefined && !fresh)
    if (record.kind === 'rules') ruled = true
    escalations.record(record, offset, time)
    if (record.kind === 'tick') {
      for (const [name, host] of hosts) {
        if (host.doubtful || host.seenMs === undefined) continue
        if (time.ownedMs <= latestMs(host, time) + patienceMs) continue
        host.doubtful = true
        if (!told.isDown(name, host.seenOffset, offset)) {
          verdicts.push({
            kind: 'silence missed',
            text: `p${partition}: ${name}, last heard at offset ${host.seenOffset}, was not reported down by offset ${offset}`,
          })
        }
      }
    }
    if (!fresh || !ruled) continue
    for (const event of msg.events) {
      const name = event.host!
      let host = hosts.get(name)
      if (host === undefined) hosts.set(name, (host = newHost()))
      const ageMs = Math.max(0, msg.sentAtMs - event.time! * 1_000)
      const ttlMs = event.ttl! * 1_000
      if (event.service === 'alive') {
        Object.assign(host, { seenMs: time.ownedMs - ageMs, seenOffset: offset, ttlMs, doubtful: ageMs >= ttlMs - 10 })
      } else if (event.service === 'check' && ageMs < ttlMs - 10) {
        const state = event.state === 'ok' ? 'ok' : 'bad'
        if (state === 'bad' && host.check === 'ok' && !told.take('check', name, offset, 'trigger')) {
          verdicts.push({
            kind: 'spell missed',
            text: `p${partition}: the check of ${name} turned bad at offset ${offset}, nobody is paged`,
          })
        }
        host.check = state
      } else if (event.service === 'deploy' && ageMs < ttlMs - 10) {
        if (!told.take('deploy', name, offset, 'notify')) {
          verdicts.push({
            kind: 'spell missed',
            text: `p${partition}: ${name} deployed at offset ${offset}, nobody is told`,
          })
        }
      } else if (event.service === 'noise' && ageMs < ttlMs - 10) {
        const paged = told.take('noise', name, offset, 'notify')
        const wrong = host.noise.event(time.calendarMs, time.setBack, paged)
        if (wrong !== undefined) {
          verdicts.push({
            kind: 'limit exceeded',
            text: `p${partition}: the noise of ${name} at offset ${offset} ${wrong}`,
          })
        }
      } else if (event.service === stuckRule && ageMs < ttlMs - 10) {
        escalations.event(name, event.state !== 'ok', offset, time)
      } else if (event.service!.startsWith('burst') && ageMs < ttlMs - 10) {
        const bad = event.state !== 'ok'
        if (bad && !host.bursts.has(event.service!) && !told.take('burst', name, offset, 'trigger')) {
          verdicts.push({
            kind: 'spell missed',
            text: `p${partition}: ${event.service} of ${name} turned bad at offset ${offset}, nobody is paged`,
          })
        }
        if (bad) host.bursts.add(event.service!)
        else host.bursts.delete(event.service!)
      }
    }
  }
  const invented = [...told.left(['check', 'burst', stuckRule], 'trigger'), ...told.left(['deploy', 'noise'], 'notify')]
  for (const what of invented) {
    verdicts.push({ kind: 'spell invented', text: `p${partition}: ${what}, and there was no such event` })
  }
  exercise('page in a digest', told.members)
  exercise('escalation', escalations.taken)
  for (const { noise } of hosts.values()) exercise('event throttled', noise.dropped)
  return [
    ...verdicts,
    ...judgeAlarms(partition, records, messages, refusals, downDecisions),
    ...judgeLimits(partition, decisions),
    ...judgeSkips(partition, records, messages, decisions),
  ]
}

function newHost(): HostTruth {
  return { seenOffset: -1, ttlMs: 0, doubtful: true, check: 'ok', bursts: new Set(), noise: new ThrottleTruth() }
}

/** The latest owned time at which a silent host's deadline may lie: the tick that reaches it may be the one that makes a gap. */
function latestMs({ seenMs, ttlMs }: HostTruth, { graces }: OwnedTime): number {
  return longestTickMs + deadlineOf(seenMs! + ttlMs, graces, longestTickMs)
}

/** A word of a host: when it spoke, in seconds of the world, and what owned time that is. */
interface Heard {
  readonly spokenAt: number
  readonly atMs: number
  readonly offset: number
}

/**
 * Hosts reported down that had been there within their TTL less one tick, or within the grace of a claim or gap: acknowledged, or refused for want
 * of room. What nobody could say is held against nobody.
 */
function judgeAlarms(
  partition: number,
  records: readonly StoredRecord[],
  messages: ReadonlyMap<number, SentMsg>,
  refusals: readonly Refusal[],
  downDecisions: readonly Decision[],
): Verdict[] {
  const verdicts: Verdict[] = []
  const pending = new Map<number, Decision[]>()
  for (const decision of downDecisions)
    pending.set(decision.offset, [...(pending.get(decision.offset) ?? []), decision])
  const time = new OwnedTime()
  const seen = new Map<string, { incarnation: number; sequences: Set<number> }>()
  const presence = new Map<string, Heard & { readonly ageMs: number; readonly ttlMs: number }>()
  const turnedAway = new Map<string, Heard & { readonly untilMs: number }>()
  let refused = 0
  for (const { offset, bytes } of records) {
    const record = decoded(bytes)
    for (; refused < refusals.length && refusals[refused].offset <= offset; refused++) {
      const { atMs, msg } = refusals[refused]
      for (const event of msg.events) {
        if (event.service !== 'alive') continue
        const sinceMs = time.ownedMs - Math.max(0, atMs - event.time! * 1_000)
        const before = turnedAway.get(event.host!)
        if (before !== undefined && before.atMs > sinceMs) continue
        const untilMs = sinceMs + event.ttl! * 1_000
        turnedAway.set(event.host!, { spokenAt: event.time!, atMs: sinceMs, untilMs, offset })
      }
    }
    const expiredOnArrival = new Set<string>()
    const msg = record.kind === 'events' ? messages.get(crc32(record.msg)) : undefined
    const fresh = msg !== undefined && isNew(seen, msg)
    time.apply(record, msg !== undefined && !fresh)
    if (fresh) {
      for (const event of msg.events) {
        if (event.service !== 'alive') continue
        if (msg.sentAtMs - event.time! * 1_000 >= event.ttl! * 1_000 - 10) expiredOnArrival.add(event.host!)
      }
    }
    for (const { page } of pending.get(offset) ?? []) {
      if (expiredOnArrival.has(page.host)) continue
      const last = presence.get(page.host)
      const away = turnedAway.get(page.host)
      // What was too old when it came, out of a producer's buffer, says by itself that the host is gone.
      const saysSo = last !== undefined && last.ageMs >= last.ttlMs - 10
      // Nor does what was turned away speak for a host that has said something since.
      const isLatest = away !== undefined && (last === undefined || last.spokenAt <= away.spokenAt)
      if (isLatest && !saysSo && time.ownedMs < away.untilMs - longestTickMs) {
        verdicts.push({
          kind: 'false alarm',
          text:
            `p${partition}: ${page.host} is reported down at offset ${offset}, owned time ${Math.round(time.ownedMs)} ms; ` +
            `the log did not take its word at offset ${away.offset} (${Math.round(away.atMs)} ms)`,
        })
      }
      if (last === undefined) continue
      const earliestMs = deadlineOf(last.atMs + last.ttlMs, time.graces, 0)
      if (time.ownedMs >= earliestMs - longestTickMs) continue
      verdicts.push({
        kind: 'false alarm',
        text:
          `p${partition}: ${page.host} is reported down at offset ${offset}, owned time ${Math.round(time.ownedMs)} ms; ` +
          `it was heard at offset ${last.offset} (${Math.round(last.atMs)} ms) and may not be before ${Math.round(earliestMs)} ms`,
      })
    }
    if (!fresh) continue
    for (const event of msg.events) {
      if (event.service !== 'alive') continue
      const ageMs = Math.max(0, msg.sentAtMs - event.time! * 1_000)
      const ttlMs = event.ttl! * 1_000
      presence.set(event.host!, { spokenAt: event.time!, atMs: time.ownedMs - ageMs, ageMs, ttlMs, offset })
    }
  }
  return verdicts
}

/** A deadline with the grace that is granted before it is reached, or so shortly after: each keeps it 15 s away, all 60 s. */
function deadlineOf(originalMs: number, graces: readonly number[], afterMs: number): number {
  let deadlineMs = originalMs
  for (const atMs of graces) {
    if (atMs > deadlineMs + afterMs) continue
    deadlineMs = Math.min(Math.max(deadlineMs, atMs + graceMs), originalMs + longestGraceMs)
  }
  return deadlineMs
}

/** Whether a Msg is there for the first time; what belongs to an earlier life of its producer is not. */
function isNew(seen: Map<string, { incarnation: number; sequences: Set<number> }>, msg: SentMsg): boolean {
  let known = seen.get(msg.producer)
  if (known === undefined || known.incarnation < msg.incarnation) {
    seen.set(msg.producer, (known = { incarnation: msg.incarnation, sequences: new Set() }))
  }
  if (known.incarnation > msg.incarnation || known.sequences.has(msg.sequence)) return false
  known.sequences.add(msg.sequence)
  return true
}
