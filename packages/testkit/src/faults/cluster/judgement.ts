/** What became of a run: the log through a fresh engine, the receivers' lists, the producers' acks and the script, each asked by itself. */
import { together, judgeRecords, type Evidence } from '../evidence.ts'
import { ofAcks, ofBlindReceiver, ofPages, ofReceiver } from '../verdict.ts'
import type { Arena } from './arena.ts'
import { presenceSeconds, presenceService, type LoadReport, type ProducerReport } from './load-protocol.ts'
import { metricOf } from './roaming-producer.ts'
import { silentRule, wordsOf } from './script.ts'
import { readCopies, readLogId, type Copies } from './streams.ts'

/** What was judged, and what is wrong. */
export interface Judgement {
  readonly evidence: Evidence
  readonly counts: Readonly<Record<string, number>>
  readonly wrong: readonly string[]
}

/** A load that was itself kept from running for so long has made hosts silent that its script calls talking. */
const longestPauseMs = (presenceSeconds * 1_000) / 2

/** Partitions that are read while one is judged: a copy's end is known by its silence. */
const partitionsAhead = 8

/** Lets a run come to rest, ends it in order, reads what is left and judges. */
export async function judge(arena: Arena): Promise<Judgement> {
  const { rabbit, vhost, partitions, pager, chat, script, feed } = arena
  const missing = await arena.comeToRest()
  await feed.stopForeign()
  await arena.inboxesEmpty().catch((error: Error) => missing.push(error.message))
  const report = await feed.stop()
  const ends = await arena.endInstances()
  await rabbit.healed()
  // brokers may be well, and the stream of the id be down all the same: then it is what instances keep of it
  const logId = await readLogId(rabbit, vhost).catch(() => arena.instances[0].logId)
  const presence = { service: presenceService, rule: silentRule, ttlMs: presenceSeconds * 1_000 }
  const parts: Evidence[] = []
  const wrong: string[] = []
  const reading: Promise<Copies>[] = []
  for (let partition = 0, next = 0; partition < partitions; partition++) {
    while (next < partitions && next - partition < partitionsAhead) reading.push(readCopies(rabbit, vhost, next++))
    const copies = await reading[partition]
    delete reading[partition]
    wrong.push(...copies.wrong)
    parts.push(judgeRecords(copies.records, { logId, partition, presence }))
  }
  const evidence = together(parts)
  const both = { effects: [...pager.effects, ...chat.effects], requests: [...pager.requests, ...chat.requests] }
  wrong.push(
    ...report.producers.flatMap((producer) => ofProducer(evidence, producer)),
    ...ofForeign(evidence, report.foreign),
    ...ofPages(evidence, both),
    ...ofReceiver(pager, evidence),
    ...ofBlindReceiver(chat),
    ...missing,
    ...script.excess(repairsOf(evidence)),
    ...ends,
    ...arena.instances.flatMap(({ deaths }) => deaths),
  )
  if (evidence.pending.size > 0) wrong.push(`${evidence.pending.size} pages are pending at the end`)
  if (report.longestPauseMs > longestPauseMs)
    wrong.unshift(
      `the load itself stood still for ${Math.round(report.longestPauseMs)} ms: run it again on a machine that is less busy`,
    )
  return { evidence, wrong, counts: { ...countsOf(evidence, report), ...countsOfReceivers(arena) } }
}

/** How often the log has a resolve sent again, by the page's words in the script. */
function repairsOf({ decided }: Evidence): Map<string, number> {
  const repairs = new Map<string, number>()
  for (const { action, rule, host, repair } of decided.values()) {
    const key = wordsOf(action, rule, host)
    if (repair === true) repairs.set(key, (repairs.get(key) ?? 0) + 1)
  }
  return repairs
}

/** What was acknowledged to a producer is in the log, and each of its events took effect once. */
function ofProducer(evidence: Evidence, { name, number, sent, unacked, refusals, sizes }: ProducerReport): string[] {
  const acked = new Set(Array.from({ length: sent }, (_, at) => at + 1))
  for (const sequence of unacked) acked.delete(sequence)
  const bySequence = new Map(sizes.map((size, at) => [at + 1, size]))
  const wrong = ofAcks(evidence, { name, acked, sizes: bySequence, refusals: [...refusals] }, (sequence) =>
    metricOf(number, sequence),
  )
  if (unacked.length > 0) wrong.push(`waited in vain for the acknowledgement of ${unacked.length} messages`)
  return wrong.map((text) => `${name}: ${text}`)
}

/** What was confirmed to a publisher without marks is in the log, at least once. */
export function ofForeign({ applied }: Pick<Evidence, 'applied'>, confirmed: readonly number[]): string[] {
  const lost = confirmed.filter((metric) => !applied.has(metric))
  return lost.map((metric) => `record ${metric} of a foreign publisher was confirmed and is not in the log`)
}

function countsOf(evidence: Evidence, { producers, foreign }: LoadReport): Record<string, number> {
  const sum = (of: (producer: ProducerReport) => number): number => producers.reduce((n, each) => n + of(each), 0)
  const ended = [...evidence.settled.values()]
  return {
    'acknowledged records checked': sum(({ sent, unacked }) => sent - unacked.length),
    'events in them': sum(({ sizes }) => sizes.reduce((n, size) => n + size, 0)),
    'records confirmed to foreign publishers': foreign.length,
    'of those more than once in the log': foreign.filter((metric) => (evidence.applied.get(metric) ?? 0) > 1).length,
    'messages sent again': sum(({ resent }) => resent),
    'changes of a producer to another instance': sum(({ moves }) => moves),
    'messages in the log more than once': evidence.repeated,
    'records in the log': evidence.records,
    claims: evidence.claims,
    'pages decided': evidence.decided.size,
    'pages delivered': ended.filter((result) => result === 'delivered').length,
    'pages overtaken': ended.filter((result) => result === 'overtaken').length,
    'pages pending at the end': evidence.pending.size,
    'checkpoints compared': evidence.checkpoints,
  }
}

function countsOfReceivers({ pager, chat }: Arena): Record<string, number> {
  return {
    'requests at the keyed receiver': pager.requests.length,
    'requests under a key that had taken effect': pager.repeats,
    'requests at the blind receiver': chat.requests.length,
    'possible repeats there': chat.requests.filter(({ possibleRepeat }) => possibleRepeat).length,
    'pages of silent hosts': pager.effects.filter(({ rule, action }) => rule === silentRule && action === 'trigger')
      .length,
  }
}
