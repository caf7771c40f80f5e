/** The oracle of the kills: four independent looks at what happened. Each gives sentences; none means that all is well. */
import type { Evidence } from './evidence.ts'
import type { Fleet } from './fleet.ts'
import type { Pager } from './pager.ts'
import type { Producer } from './producer.ts'

/** Everything that is wrong. */
export function verdicts(evidence: Evidence, pager: Pager, chat: Pager, producer: Producer, fleet: Fleet): string[] {
  const both = { effects: [...pager.effects, ...chat.effects], requests: [...pager.requests, ...chat.requests] }
  return [
    ...ofAcks(evidence, producer),
    ...ofDatagrams(evidence),
    ...ofPages(evidence, both),
    ...ofReceiver(pager, evidence),
    ...ofBlindReceiver(chat),
    ...fleet.untold(chat.effects),
    ...fleet.missing(pager.effects),
    ...fleet.excess(pager.effects),
  ]
}

/** What was acknowledged is in the log, whole, and took effect once. */
export function ofAcks(
  { held, applied }: Evidence,
  producer: Pick<Producer, 'name' | 'acked' | 'sizes' | 'refusals'>,
  metricOf: (sequence: number) => number = (sequence) => sequence,
): string[] {
  const wrong = producer.refusals.map((text) => `refused: ${text}`)
  const inLog = held.get(producer.name) ?? new Set()
  for (const sequence of producer.acked) {
    if (!inLog.has(sequence)) wrong.push(`message ${sequence} was acknowledged and is not in the log`)
  }
  for (const [sequence, events] of producer.sizes) {
    const times = applied.get(metricOf(sequence)) ?? 0
    if (times !== (inLog.has(sequence) ? events : 0)) {
      wrong.push(`message ${sequence} has ${events} events, and ${times} reached the rules`)
    }
  }
  return wrong
}

/** What came by UDP may be lost, and takes effect no more than once. */
export function ofDatagrams({ applied }: Pick<Evidence, 'applied'>): string[] {
  const doubled = [...applied].filter(([metric, times]) => metric < 0 && times > 1)
  return doubled.map(([metric, times]) => `datagram ${-metric} reached the rules ${times} times`)
}

/** What was decided was delivered, was over before anybody was told, or is still pending; nothing was sent without its record. */
export function ofPages(
  { decided, settled, pending, attempts, differing, falseWatchdogs }: Evidence,
  pager: Pick<Pager, 'effects' | 'requests'>,
): string[] {
  const wrong = [...differing, ...falseWatchdogs]
  const effects = new Set(pager.effects.map(({ id }) => id))
  for (const [id, { action, rule, host }] of decided) {
    const result = settled.get(id)
    const page = `${action} ${rule} ${host} (${id})`
    if (result === undefined && !pending.has(id)) wrong.push(`${page} was decided and is lost`)
    else if (result === 'delivered' && !effects.has(id)) wrong.push(`${page} counts as delivered, and nobody got it`)
    else if (result === 'overtaken' && effects.has(id)) wrong.push(`${page} counts as overtaken, and somebody got it`)
    else if (result !== undefined && result !== 'delivered' && result !== 'overtaken')
      wrong.push(`${page} ended as ${result}`)
  }
  const asked = new Map<string, number>()
  for (const { id } of pager.requests) asked.set(id, (asked.get(id) ?? 0) + 1)
  for (const [id, times] of asked) {
    if (!decided.has(id)) wrong.push(`the receiver was asked for ${id}, which nobody decided`)
    const records = attempts.get(id) ?? 0
    if (times > records) wrong.push(`${id} was sent ${times} times with ${records} attempt records`)
  }
  return wrong
}

/**
 * No key took effect twice: a second request under the same Idempotency-Key is no repeat, all else is. But for a resolve that repairs, of which the log says
 * that an older owner told of its trigger only after the resolve.
 */
export function ofReceiver(
  { effects, requests, strange }: Pick<Pager, 'effects' | 'requests' | 'strange'>,
  { decided }: Pick<Evidence, 'decided'>,
): string[] {
  const wrong = strange.map((text) => `no page: ${text}`)
  const triggered = new Map<string, string>()
  const resolved = new Map<string, number>()
  effects.forEach(({ id, action, dedupKey, host }, at) => {
    if (action === 'trigger') {
      if (resolved.has(dedupKey)) wrong.push(`${host}: a trigger took effect after the resolve of ${dedupKey}`)
      if (triggered.has(dedupKey))
        wrong.push(`${host}: ${dedupKey} was triggered as ${triggered.get(dedupKey)} and as ${id}`)
      triggered.set(dedupKey, id)
    } else {
      if (!triggered.has(dedupKey)) wrong.push(`${host}: ${dedupKey} was resolved and never triggered`)
      if (resolved.has(dedupKey) && decided.get(id)?.repair !== true)
        wrong.push(`${host}: ${dedupKey} was resolved twice`)
      resolved.set(dedupKey, at)
    }
  })
  // even under its old key: a receiver that forgets keys with the incident would open it again, for ever
  for (const { action, dedupKey, host, effectsBefore } of requests) {
    if (action === 'trigger' && effectsBefore > (resolved.get(dedupKey) ?? Infinity)) {
      wrong.push(`${host}: the trigger of ${dedupKey} arrived, or was acted on, after its resolve had taken effect`)
    }
  }
  return wrong
}

/** A blind receiver is told again only where nobody could know of the first time, and is told so. */
export function ofBlindReceiver({ requests, strange }: Pick<Pager, 'requests' | 'strange'>): string[] {
  const wrong = strange.map((text) => `no page: ${text}`)
  const asked = new Set<string>()
  for (const { id, host, possibleRepeat } of requests) {
    if (asked.has(id) && !possibleRepeat)
      wrong.push(`${host}: ${id} was told again and not marked as a possible repeat`)
    asked.add(id)
  }
  return wrong
}
