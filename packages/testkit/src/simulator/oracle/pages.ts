import type { Arrival, SimReceiver } from '../receivers.ts'
import { digestAgeMs, fallbackReceiver } from '../rules.ts'
import { judgeAttempts, type AttemptEvidence } from './attempts.ts'
import { type Ledger, partitionOf } from './ledger.ts'
import type { Decision } from './truth.ts'
import type { Verdict } from './verdict.ts'

/** A sender that has had an answer and peace for this long must have made it known to whoever comes after it. */
const settleMs = 20_000

/** Opens at the fallback receiver for one that could not be told, until that takes a page again. */
const failedRule = 'delivery-failed'
/** Receivers' rules of the product itself: not decided from events, so no spell stands behind them. */
const ownRules = new Set([failedRule, 'rule-quarantined'])

export interface PageEvidence {
  readonly decisions: readonly Decision[]
  /** Result by page id, as the fresh engine settled it. */
  readonly settled: ReadonlyMap<string, string>
  readonly receivers: ReadonlyMap<string, SimReceiver>
  /** Times at which processes or the log were touched. */
  readonly disturbances: readonly number[]
  /** By partition. */
  readonly ledgers: readonly Ledger[]
  /** From when on wall clocks, and with them the calendar, may be anything. */
  readonly clocksWrongMs: number
  /** How far any two clocks may be apart before that. */
  readonly clockSpreadMs: number
  readonly suspensions: AttemptEvidence['suspensions']
}

/** Every decided page was delivered, none took effect more often than its receiver's class allows, nothing else was sent. */
export function judgePages(evidence: PageEvidence): Verdict[] {
  const verdicts: Verdict[] = []
  const say = (kind: Verdict['kind'], text: string): void => void verdicts.push({ kind, text })
  const arrivals = new Map<string, Arrival[]>()
  const named = new Map<string, Arrival[]>()
  for (const receiver of evidence.receivers.values()) {
    if (receiver.name === 'self') continue
    for (const arrival of receiver.arrivals) {
      const { idempotencyKey } = arrival.request
      named.set(idempotencyKey, [...(named.get(idempotencyKey) ?? []), arrival])
      for (const id of new Set([idempotencyKey, ...(arrival.request.members ?? [])])) {
        arrivals.set(id, [...(arrivals.get(id) ?? []), arrival])
      }
    }
  }
  const decided = new Set<string>()
  const decidedAt = new Map(evidence.decisions.map(({ page }) => [page.id, page.decidedAtMs]))
  for (const { page } of evidence.decisions) {
    decided.add(page.id)
    for (const member of page.members ?? []) decided.add(member)
    const result = evidence.settled.get(page.id)
    const effects = (arrivals.get(page.id) ?? []).filter((arrival) => arrival.effect !== 'none')
    const what = `${page.action} of ${page.rule} ${page.key} (${page.id}) at ${page.receiver}`
    if (result === undefined) say('page lost', `${what} was never settled`)
    else if (result === 'delivered' && effects.length === 0)
      say('page lost', `${what} counts as delivered and never took effect`)
    else if (result === 'gave-up') say('page lost', `${what} was given up`)
    else if (result === 'refused' && !(arrivals.get(page.id) ?? []).some((arrival) => arrival.effect === 'none')) {
      say('page lost', `${what} counts as refused, its receiver never refused it`)
    } else if (result === 'digested' && page.action !== 'resolve' && !arrivals.has(page.id)) {
      say('page lost', `${what} counts as told in a digest, and no digest that was sent names it`)
    } else if (result === 'overtaken' && page.action !== 'trigger') say('page lost', `${what} counts as overtaken`)
    const opened = effects.filter(({ effect, tooLate }) => effect === 'opened' && tooLate !== true)
    if (page.action !== 'resolve' && opened.length > 1) {
      say(
        'page doubled',
        `${what} opened ${opened.length} incidents, at ${opened.map((a) => Math.round(a.atMs)).join(' and ')} ms`,
      )
    }
    for (const { request } of effects) {
      const left = (page.members ?? []).filter((member) => request.members?.includes(member) !== true)
      if (left.length > 0) say('page lost', `${what} is a digest that was delivered without ${left.join(' and ')}`)
    }
    judgeTold(what, effects, evidence, say)
    const made = evidence.ledgers[partitionOf(page.id)].attempts(page.id, page.action === 'resolve').at(0)
    if (made?.isDigest !== true || made.atMs > evidence.clocksWrongMs) continue
    const young = (page.members ?? []).filter((id) => page.decidedAtMs - decidedAt.get(id)! < digestAgeMs)
    if (young.length > 0) say('sent too soon', `${what} is a digest of ${young.join(' and ')}, which waited for less`)
  }
  for (const [id, [first]] of arrivals) {
    if (decided.has(id)) continue
    say(
      'page never decided',
      `${first.request.action} ${id} came to ${first.receiver} from ${first.from}, the log does not decide it`,
    )
  }
  const classOf = (name: string) => evidence.receivers.get(name)!.receiverClass
  judgeAttempts({ ...evidence, arrivals: named, classOf }, say)
  for (const receiver of evidence.receivers.values()) {
    judgeOpen(receiver, evidence, say)
    judgeFallback(receiver.name, evidence, say)
  }
  return verdicts
}

type Say = (kind: Verdict['kind'], text: string) => void

/** One that can be looked up is told once. */
function judgeTold(
  what: string,
  effects: readonly Arrival[],
  { receivers, disturbances }: PageEvidence,
  say: Say,
): void {
  const told = effects.filter(({ effect }) => effect === 'told')
  if (told.length < 2 || receivers.get(told[0].receiver)!.receiverClass === 'C') {
    return judgeBlind(what, told, disturbances, say)
  }
  const times = told.map(({ atMs, from }) => `at ${Math.round(atMs)} ms by ${from}`).join(' and ')
  say('page doubled', `${what} was told ${times}, where it could be looked up`)
}

/** A blind receiver may be told again only where nobody could know of the first time, and must be told that it may be again. */
function judgeBlind(what: string, effects: readonly Arrival[], disturbances: readonly number[], say: Say): void {
  // In the order of their sending: a gateway's upstream may act after the repeat of what it was asked.
  const told = effects.toSorted((a, b) => a.begunAtMs - b.begunAtMs)
  for (let i = 1; i < told.length; i++) {
    const [before, again] = [told[i - 1], told[i]]
    const times = `at ${Math.round(before.atMs)} ms by ${before.from} and at ${Math.round(again.atMs)} ms by ${again.from}`
    if (!again.request.possibleRepeat)
      say('page doubled', `${what} was told ${times}, the second not marked as a possible repeat`)
    const answeredMs = before.answeredAtMs
    if (answeredMs === undefined || before.answer !== 'delivered' || again.atMs - answeredMs < settleMs) continue
    const peace = !disturbances.some((at) => at > answeredMs - 1_000 && at < answeredMs + settleMs)
    if (peace)
      say(
        'page doubled',
        `${what} was told ${times}, although the first was answered at ${Math.round(answeredMs)} ms in peace`,
      )
  }
}

/** At the end everything is well: what is still open at a keyed receiver nobody will ever close. */
function judgeOpen(receiver: SimReceiver, evidence: PageEvidence, say: Say): void {
  if (receiver.name === 'self' || receiver.receiverClass !== 'A') return
  const own = new Set(evidence.decisions.filter(({ page }) => ownRules.has(page.rule)).map(({ page }) => page.id))
  for (const [key, arrival] of receiver.open) {
    const { rule, members = [] } = arrival.request
    if ((ownRules.has(rule) && !worksAgain(key, evidence)) || members.some((member) => own.has(member))) continue
    const refused = evidence.decisions.some(
      ({ page }) => page.dedupKey === key && page.action === 'resolve' && evidence.settled.get(page.id) === 'refused',
    )
    // Pages without a life of their own stay open at a keyed receiver by their nature.
    if (refused || arrival.request.action === 'notify') continue
    if (arrival.tooLate === true && !isToldAfterwards(arrival, evidence.ledgers)) continue
    say(
      'incident left open',
      `${receiver.name} still shows ${arrival.request.rule} of ${arrival.request.host} (${key}), all is well`,
    )
  }
}

/** Who could not be told: the fallback receiver is, itself or in a digest. */
function judgeFallback(name: string, { decisions, settled }: PageEvidence, say: Say): void {
  if (name === fallbackReceiver) return
  const failed = decisions.find(({ page }) => {
    const result = settled.get(page.id)
    return page.receiver === name && (result === 'refused' || result === 'gave-up')
  })
  const isTold = decisions.some(({ page: { rule, key, members, receiver } }) => {
    return rule === failedRule
      ? key === name || members !== undefined
      : receiver === fallbackReceiver && rule === 'overflow'
  })
  if (failed === undefined || isTold) return
  say(
    'page lost',
    `${name} could not be told of ${failed.page.rule} ${failed.page.key}, and ${fallbackReceiver} never hears of it`,
  )
}

/** Whether a receiver has taken a page since its failure opened an incident at the fallback receiver. */
function worksAgain(key: string, { decisions, settled, ledgers }: PageEvidence): boolean {
  const told = decisions.find(
    ({ page }) => page.rule === failedRule && page.action === 'trigger' && page.dedupKey === key,
  )
  return decisions.some(({ page }) => {
    if (told === undefined || page.receiver !== told.page.key || settled.get(page.id) !== 'delivered') return false
    const attempts = ledgers[partitionOf(page.id)].attempts(page.id, page.action === 'resolve')
    const taken = attempts
      .filter(({ outcome }) => outcome?.result === 'delivered')
      .map(({ outcome }) => outcome!.offset)
    return taken.length > 0 && partitionOf(page.id) === partitionOf(told.page.id) && Math.min(...taken) > told.offset
  })
}

/** Whether its sender has said, after a request took effect too late, what became of it: from then on somebody could know. */
function isToldAfterwards({ request, begunAtMs, atMs, from }: Arrival, ledgers: readonly Ledger[]): boolean {
  const { idempotencyKey } = request
  const attempts = ledgers[partitionOf(idempotencyKey)].attempts(idempotencyKey, false)
  const attempt = attempts.findLast((a) => from.startsWith(`${a.instance}#`) && a.atMs <= begunAtMs)
  return attempt?.outcome !== undefined && attempt.outcome.atMs >= atMs
}
