/** An explained silence as text: the answer in a sentence first, then what it rests on. */
import { printable } from '../cli/output.ts'
import { didYouMean } from '../config/nearest.ts'
import { shortId } from '../incidents/incident-filter.ts'
import type { DecidedPage, GateCount, Silence } from './silence.ts'
import { clock, count, eventLine, exactly, gateWords, moment } from './words.ts'

/** Gates that are shown besides the first. */
const mostGates = 10
/** Names of rules that are shown. */
const mostNames = 10

/** The text; times are UTC. */
export function silenceText(silence: Silence): string {
  const { host, rule, service, fromMs, untilMs, events, repeated, late, expired, gates, alarms, errors } = silence
  const near = untilMs
  const of = service === undefined ? host : `${host} ${service}`
  const lines = [
    printable(`Why ${rule} did not page about ${of}, from ${moment(fromMs)} to ${clock(untilMs, fromMs)}`),
    '',
    ...answer(silence).map((line) => printable(line)),
  ]
  // of a rule that there is not nothing was traced
  if (silence.reason !== 'rule-unknown') {
    lines.push(
      '',
      `${count(events, 'event')} of ${printable(of)} came to the rules${extras({ repeated, late, expired })}.`,
    )
  }
  // the first gate has been told of
  if (gates.length > (silence.reason === 'gate' ? 1 : 0)) {
    lines.push('', 'Where they stopped, the furthest first')
    for (const one of gates.slice(0, mostGates)) lines.push(...gateLines(one, near))
    if (gates.length > mostGates) lines.push(`  … and ${count(gates.length - mostGates, 'other place')}`)
  }
  if (silence.decided.length > 0) {
    lines.push('', 'Pages that were decided')
    for (const page of silence.decided) lines.push(printable(decidedLine(page, near)))
  }
  if (errors.length > 0) lines.push('', 'What the rules threw', ...errors.map((text) => printable(`  ${text}`)))
  if (alarms.length > 0) {
    lines.push('', 'What the engine had to tell')
    for (const { name, detail } of alarms) lines.push(printable(`  ${name}: ${detail}`))
  }
  lines.push('', foundIn(silence))
  return `${lines.join('\n')}\n`
}

function answer(silence: Silence): string[] {
  const { host, rule, reason, seen, judged, gates, open, decided, repeated, lastSeen, untilMs: near } = silence
  switch (reason) {
    case 'rule-unknown': {
      const names = silence.rules ?? []
      if (names.length === 0) {
        return [`There is no rule ${rule}: the rules in force declare no incident and no notification.`]
      }
      const shown = names.length > mostNames ? `${names.slice(0, mostNames).join(', ')}, …` : names.join(', ')
      return [`There is no rule ${rule} in the rules in force${didYouMean(rule, names)}`, `They declare ${shown}.`]
    }
    case 'no-event': {
      const last =
        lastSeen === undefined
          ? 'the index knows nothing of it'
          : `it was last heard of at ${clock(lastSeen.atMs, near)}${lastSeen.service === undefined ? '' : ` (${lastSeen.service})`}`
      const elsewhere = `If its events name a cluster, they lie with that one's: ricci cluster explain --key CLUSTER says in which partition; name it by --partition.`
      return [`No event of ${host} came: ${last}.`, ...(silence.byName === true ? [elsewhere] : [])]
    }
    case 'duplicate':
      return [
        `${count(repeated, 'message')} with events of ${host} came a second time and was dropped by its producer's mark; nothing new came.`,
      ]
    case 'left-out':
      return [`Events of ${host} came and did not reach the rules: the engine left them out, see below.`]
    case 'paged': {
      const [first] = decided.filter(({ action }) => action !== 'resolve')
      const ask = first.incident === undefined ? '' : ` \`ricci explain ${shortId(first.incident)}\` tells the rest.`
      const result = first.result === undefined ? 'and waits to be delivered' : `and was ${first.result}`
      return [`It did page: a page to ${first.receiver} was decided at ${clock(first.atMs, near)}, ${result}.${ask}`]
    }
    case 'undelivered': {
      const [first] = decided.filter(({ action }) => action !== 'resolve')
      const detail = first.detail === undefined ? '' : `: ${first.detail}`
      const words: Readonly<Record<string, string>> = {
        overtaken: 'was never sent, for all was well again before its turn came (overtaken)',
        refused: `was refused by the receiver${detail}`,
        'gave-up': `was given up${detail}`,
      }
      return [
        `A page to ${first.receiver} was decided at ${clock(first.atMs, near)}, and ${words[first.result ?? ''] ?? `came to nothing (${String(first.result)})`}.`,
      ]
    }
    case 'open': {
      const id = judged?.open ?? open?.id
      const since = open === undefined ? '' : ` since ${clock(open.openedAtMs, near)}`
      return [
        `Its incident is open already${since}, and an open one pages once${id === undefined ? '' : `: \`ricci explain ${shortId(id)}\``}.`,
      ]
    }
    case 'contradicted':
      return [
        'What came was late, and a newer event of the same host and service says otherwise: a page that rests on a late event alone must still be true.',
        ...(seen?.event === undefined ? [] : [`  event  ${eventLine(seen.event, near)}`]),
      ]
    case 'gate': {
      const [first] = gates
      return [
        `The first gate that said no: ${first.gate.says}`,
        `  ${gateWords(first.last, first.ended)}.`,
        ...(first.last.event === undefined ? [] : [`  event  ${eventLine(first.last.event, near)}`]),
      ]
    }
    case 'not-bad':
      return [
        'Nothing that came was bad as the rule has it.',
        ...(seen?.event === undefined ? [] : [`  last   ${eventLine(seen.event, near)}`]),
      ]
  }
}

function extras({ repeated, late, expired }: Pick<Silence, 'repeated' | 'late' | 'expired'>): string {
  const parts = [
    ...(late > 0 ? [`${late} late`] : []),
    ...(expired > 0 ? [`${expired} expired`] : []),
    ...(repeated > 0 ? [`${count(repeated, 'message')} dropped as sent before`] : []),
  ]
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

function gateLines({ gate, times, bad, last, ended }: GateCount, near: number): string[] {
  const key = gate.key === undefined ? '' : ` [of ${gate.key}]`
  const first = `  ${gate.path}: ${gate.says}${key}`
  const second = `      ${count(times, 'time')}, ${bad} bad; the last at ${clock(last.atMs, near)}: ${gateWords(last, ended)}`
  return [printable(first), printable(second)]
}

function decidedLine({ id, action, receiver, atMs, result, detail, members }: DecidedPage, near: number): string {
  const many = members === undefined ? '' : `, a digest of ${count(members, 'page')}`
  return `  ${exactly(atMs, near)}  ${action} to ${receiver}${many}: ${result ?? 'waits'}${detail === undefined ? '' : ` (${detail})`}  (page ${shortId(id)})`
}

function foundIn({ partition, from, until, snapshot }: Silence): string {
  const begin = snapshot === undefined ? 'the first record of the log' : `a snapshot at record ${snapshot}`
  return `Found by replaying partition ${partition} from ${begin}: ${count(until - from, 'record')}, up to ${until}.`
}
