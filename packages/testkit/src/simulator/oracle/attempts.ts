import type { ReceiverClass } from '@ricci/replica'
import type { Arrival } from '../receivers.ts'
import { type Ledger, type LoggedAttempt, partitionOf } from './ledger.ts'
import type { Decision } from './truth.ts'
import type { Verdict } from './verdict.ts'

/** So long after its claim an owner waits for outcomes of its predecessors (DESIGN section 9), less what clocks drift. */
const doubtMs = 11_000 * 0.99
/** A send begins within this time of its attempt: DESIGN section 7. */
const sendBeginMs = 2_000
/** A page that failed waits for a second, spread by half either way, and twice as long after each further failure, up to a minute. */
const retryMs = { first: 1_000, longest: 60_000, least: 0.5 }
/** Requests that one owner has under way at one receiver. */
const sendsAtOnce = 4
/** An append may take so long: what a machine did meanwhile lay between its decision to try and its request. */
const longestAppendMs = 15_000
/** An answer within this time of its request was there before its sender gave up. */
const promptMs = 5_000

export interface AttemptEvidence {
  readonly decisions: readonly Decision[]
  /** Result by page id, as the fresh engine settled it. */
  readonly settled: ReadonlyMap<string, string>
  /** By partition. */
  readonly ledgers: readonly Ledger[]
  /** By page id: what came to its receiver under it, in the order of its coming. */
  readonly arrivals: ReadonlyMap<string, readonly Arrival[]>
  readonly classOf: (receiver: string) => ReceiverClass
  /** From when on wall clocks, and with them the calendar, may be anything. */
  readonly clocksWrongMs: number
  /** How far any two clocks may be apart before that. */
  readonly clockSpreadMs: number
  /** Machines whose monotonic clock stood still: with a wall clock that was set back, nothing tells them how late it is. */
  readonly suspensions: readonly { readonly instance: string; readonly fromMs: number; readonly toMs: number }[]
}

/** A request that was answered, by whom it was sent and in which epoch. */
interface Answered {
  readonly key: string
  readonly fromMs: number
  readonly toMs: number
}

type Say = (kind: Verdict['kind'], text: string) => void

/**
 * What was sent against what the log allowed: each request has an attempt of its own that was in force, who comes after another believes
 * what the log says of that one's attempts and waits for what it may still say, marks what may be a repeat and nothing else, writes
 * down what it was answered, and comes back no sooner than the receiver asked for, nor at once, nor with many at a time.
 */
export function judgeAttempts(evidence: AttemptEvidence, say: Say): void {
  const answered: Answered[] = []
  for (const { page } of evidence.decisions) {
    const what = `${page.action} of ${page.rule} ${page.key} (${page.id}) at ${page.receiver}`
    const attempts = attemptsOf(evidence, page.id, page.action === 'resolve')
    const arrivals = evidence.arrivals.get(page.id) ?? []
    const isTrigger = page.action === 'trigger' && evidence.classOf(page.receiver) === 'A'
    if (!isTrigger) judgeDoubt(what, attempts, attempts, ({ claimedMs }) => claimedMs, 'its claim', say)
    if (evidence.classOf(page.receiver) === 'B') judgeLookUps(what, attempts, say)
    const { trigger } = page
    if (page.action === 'resolve' && trigger !== undefined) {
      // a request that began so long ago has ended, whoever owned meanwhile
      const tried = attemptsOf(evidence, trigger, false)
      if (evidence.classOf(page.receiver) !== 'C')
        judgeDoubt(what, attempts, tried, (_, { atMs }) => atMs, 'its trigger was tried', say)
      if (evidence.settled.get(trigger) === 'digested' && arrivals.length > 0)
        say('page doubled', `${what} was sent, though a digest stands for its trigger and for it`)
    }
    for (const [attempt, arrival] of judgeRequests(what, attempts, arrivals, evidence, say)) {
      const { receiver, begunAtMs, answeredAtMs, from } = arrival
      if (answeredAtMs === undefined) continue
      const key = `${from} in epoch ${attempt.epoch} of p${partitionOf(page.id)} at ${receiver}`
      answered.push({ key, fromMs: begunAtMs, toMs: answeredAtMs })
    }
  }
  judgeCrowd(answered, say)
}

/**
 * Whoever comes after a predecessor whose attempt has no outcome waits for it, before it tries again (or takes back what that one tried).
 * @param since from when on it waits, in ms, and what that is
 */
function judgeDoubt(
  what: string,
  tries: readonly LoggedAttempt[],
  before: readonly LoggedAttempt[],
  since: (attempt: LoggedAttempt, doubtful: LoggedAttempt) => number,
  sinceWhat: string,
  say: Say,
): void {
  for (const attempt of tries) {
    const isTooSoon = (older: LoggedAttempt): boolean =>
      older.epoch < attempt.epoch && !isKnown(older, attempt.offset) && attempt.atMs - since(attempt, older) < doubtMs
    const doubtful = before.find(isTooSoon)
    if (doubtful === undefined) continue
    const waitedMs = Math.round(attempt.atMs - since(attempt, doubtful))
    const which = `the attempt ${doubtful.epoch}.${doubtful.n} has no outcome yet`
    const said = `${what}: attempt ${attempt.epoch}.${attempt.n} came ${waitedMs} ms after ${sinceWhat}`
    say('sent too soon', `${said}, ${which}`)
  }
}

/** A look for what an attempt may have left comes when the request of that one has ended: else it says nothing. */
function judgeLookUps(what: string, attempts: readonly LoggedAttempt[], say: Say): void {
  for (const attempt of attempts) {
    // Its record was written after that of a later one: it had been given up by then, and nobody looked.
    if (attempts.some(({ epoch, n, offset }) => epoch === attempt.epoch && n > attempt.n && offset < attempt.offset))
      continue
    const isTooSoon = (older: LoggedAttempt): boolean =>
      isKnown(older, attempt.offset) && older.outcome!.result === 'unknown' && attempt.atMs - older.atMs < doubtMs
    const doubtful = attempts.find((older) => older.offset < attempt.offset && isTooSoon(older))
    if (doubtful === undefined) continue
    const waitedMs = Math.round(attempt.atMs - doubtful.atMs)
    const which = `attempt ${doubtful.epoch}.${doubtful.n}, of which nobody knows`
    say('sent too soon', `${what}: attempt ${attempt.epoch}.${attempt.n} came ${waitedMs} ms after ${which}`)
  }
}

function judgeRequests(
  what: string,
  attempts: readonly LoggedAttempt[],
  arrivals: readonly Arrival[],
  evidence: AttemptEvidence,
  say: Say,
): ReadonlyMap<LoggedAttempt, Arrival> {
  const used = new Map<LoggedAttempt, Arrival>()
  for (const arrival of arrivals) {
    const instance = arrival.from.slice(0, arrival.from.indexOf('#'))
    const attempt = attempts.findLast((a) => a.instance === instance && a.atMs <= arrival.begunAtMs)
    const sent = `${what} was sent at ${Math.round(arrival.begunAtMs)} ms by ${arrival.from}`
    if (attempt === undefined) {
      say('sent without an attempt', `${sent}, the log holds no attempt of it that was in force`)
      continue
    }
    const waitedMs = arrival.begunAtMs - attempt.atMs
    const isLate = waitedMs > sendBeginMs + evidence.clockSpreadMs
    if (isLate && (arrival.begunAtMs < evidence.clocksWrongMs || !wasSuspended(attempt, arrival, evidence))) {
      say('sent too late', `${sent}, ${Math.round(waitedMs)} ms after its attempt ${attempt.epoch}.${attempt.n}`)
    }
    const other = used.get(attempt)
    if (other !== undefined && other.begunAtMs !== arrival.begunAtMs) {
      const both = `its latest attempt in force, ${attempt.epoch}.${attempt.n}, was for the request of`
      say('sent without an attempt', `${sent}; ${both} ${Math.round(other.begunAtMs)} ms`)
    }
    used.set(attempt, arrival)
    if (evidence.classOf(arrival.receiver) !== 'A') judgeMark(sent, arrival, attempt, attempts, say)
  }
  for (const [attempt, arrival] of used) {
    judgeOutcome(what, attempt, arrival, evidence, say)
    // Not those whose record was written long after it was given up: nothing was sent then.
    const sent = attempts.filter((other) => other.offset <= attempt.offset || used.has(other))
    judgePause(what, attempt, arrival, sent, evidence, say)
  }
  return used
}

function wasSuspended({ instance, atMs }: LoggedAttempt, { begunAtMs }: Arrival, evidence: AttemptEvidence): boolean {
  return evidence.suspensions.some(
    (one) => one.instance === instance && one.fromMs <= begunAtMs && one.toMs >= atMs - longestAppendMs,
  )
}

/** What a receiver answered in time is what the log says of the attempt. */
function judgeOutcome(
  what: string,
  { epoch, n, atMs, outcome }: LoggedAttempt,
  { answeredAtMs, answer }: Arrival,
  { clocksWrongMs }: AttemptEvidence,
  say: Say,
): void {
  if (answeredAtMs === undefined || outcome === undefined || outcome.result === 'gave-up') return
  if (answeredAtMs - atMs > promptMs || answeredAtMs > clocksWrongMs || outcome.result === answer) return
  const told = `attempt ${epoch}.${n} was answered at ${Math.round(answeredAtMs)} ms: ${answer}`
  say('outcome untrue', `${what}: ${told}; the log says ${outcome.result}`)
}

/** One owner has a few requests under way at one receiver, not all it has. */
function judgeCrowd(answered: readonly Answered[], say: Say): void {
  for (const { key, fromMs } of answered) {
    const together = answered.filter((other) => other.key === key && other.fromMs <= fromMs && other.toMs > fromMs)
    if (together.length <= sendsAtOnce) continue
    say('limit exceeded', `${key}: ${together.length} requests are under way at ${Math.round(fromMs)} ms`)
  }
}

/** Marked as a possible repeat is what may be one, and nothing else. */
function judgeMark(
  sent: string,
  { request, begunAtMs }: Arrival,
  attempt: LoggedAttempt,
  attempts: readonly LoggedAttempt[],
  say: Say,
): void {
  const before = attempts.filter((other) => other.offset < attempt.offset)
  const doubtful = before.find(({ epoch, outcome }) => {
    if (outcome === undefined || outcome.atMs > begunAtMs) return epoch < attempt.epoch
    return outcome.result === 'unknown' && outcome.offset < attempt.offset
  })
  if (doubtful !== undefined && !request.possibleRepeat) {
    say('page doubled', `${sent} and may be a repeat of ${doubtful.epoch}.${doubtful.n}: it is not marked`)
  }
  // One of its own epoch that was read too late was never sent: in doubt are those of others.
  const open = before.some((other) => {
    return isKnown(other, attempt.offset) ? other.outcome!.result === 'unknown' : other.epoch < attempt.epoch
  })
  if (request.possibleRepeat && !open) say('marked without cause', `${sent}, marked as a possible repeat`)
}

/** Nobody who knows of it comes back sooner than the receiver asked for, or than one that fails is to be left alone. */
function judgePause(
  what: string,
  attempt: LoggedAttempt,
  { begunAtMs, answeredAtMs, answer, retryAfterMs = 0 }: Arrival,
  attempts: readonly LoggedAttempt[],
  { clocksWrongMs, clockSpreadMs }: AttemptEvidence,
  say: Say,
): void {
  const { outcome } = attempt
  if (answeredAtMs === undefined || outcome === undefined || (answer !== 'failed' && answer !== 'unknown')) return
  // Who was stopped meanwhile may have given it up before it saw the answer.
  if (answeredAtMs - begunAtMs > promptMs) return
  const next = attempts.find((other) => other.offset > outcome.offset)
  // By the calendar a clock that is ahead ends all waiting.
  if (next === undefined || next.isDigest || next.atMs > clocksWrongMs) return
  // What a predecessor says after the claim may come too late for an owner that decides just then.
  if (next.epoch !== attempt.epoch && outcome.offset > next.claimOffset) return
  const pausedMs = next.atMs - answeredAtMs
  const failures = attempts.filter(({ epoch, offset }) => epoch === attempt.epoch && offset <= attempt.offset).length
  const backoffMs = Math.min(retryMs.longest, retryMs.first * 2 ** (failures - 1)) * retryMs.least
  const leastMs = Math.max(retryAfterMs, backoffMs)
  if (pausedMs >= leastMs - clockSpreadMs) return
  const asked = `is to be left alone for ${leastMs} ms from ${Math.round(answeredAtMs)} ms on`
  say('sent too soon', `${what}: ${asked}, tried again after ${Math.round(pausedMs)} ms by ${next.instance}`)
}

function isKnown({ outcome }: LoggedAttempt, offset: number): boolean {
  return outcome !== undefined && outcome.offset < offset
}

function attemptsOf({ ledgers }: AttemptEvidence, page: string, isResolve: boolean): readonly LoggedAttempt[] {
  return ledgers[partitionOf(page)].attempts(page, isResolve)
}
