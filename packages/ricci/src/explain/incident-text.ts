/** An explained incident as a page of text: what led to it, what was sent, who said what, how it ended. */
import type { Event } from '@ricci/client'
import type { Step } from '@ricci/engine'
import { printable } from '../cli/output.ts'
import type { AttemptTold, ClaimTold, IncidentTold, PageTold } from './history.ts'
import { shortId } from '../incidents/incident-filter.ts'
import { clock, count, eventLine, exactly, moment, seconds, stateLine } from './words.ts'

/** What the engine keeps with a decision; all of it is for people, and older ones have less. */
interface Provenance {
  readonly event?: Event
  readonly events?: readonly Event[]
  readonly count?: number
  readonly late?: boolean
  readonly steps?: readonly Step[]
  readonly [other: string]: unknown
}

/** The page; times are UTC. */
export function incidentText({ incident, pages, claims, commands, read, partition }: IncidentTold): string {
  const { id, rule, key, severity, openedAtMs, openedOffset, closed, acknowledged, snoozed } = incident
  const near = openedAtMs
  const lines = [
    printable(incident.summary),
    '',
    `incident   ${shortId(id)}, ${printable(rule)} ${printable(key)}, ${severity}`,
    `opened     ${moment(openedAtMs)}, by record ${openedOffset} of partition ${partition}`,
    closed === undefined
      ? 'closed     not yet'
      : `closed     ${clock(closed.atMs, near)}, after ${seconds((closed.atMs - openedAtMs) / 1000)}, by record ${closed.offset}: ${printable(closed.reason)}`,
  ]
  if (acknowledged !== undefined)
    lines.push(`taken on   by ${printable(acknowledged.who)} at ${clock(acknowledged.atMs, near)}`)
  if (snoozed !== undefined) lines.push(`snoozed    by ${printable(snoozed.who)} until ${clock(snoozed.untilMs, near)}`)
  lines.push('', 'What led to it', ...ledTo(incident.provenance as Provenance | null, near))
  lines.push('', 'What was sent')
  if (pages.length === 0) lines.push('  nothing: no page of it is known')
  for (const page of pages) lines.push(...sent(page, claims, near))
  if (commands.length > 0) {
    lines.push('', 'What people said')
    for (const { name, who, from, why, atMs } of commands) {
      lines.push(printable(`  ${clock(atMs, near)}  ${name} by ${who} (${from})${why === '' ? '' : `: ${why}`}`))
    }
  }
  if (closed !== undefined) lines.push('', 'What ended it', ...ledTo(closed.provenance as Provenance | null, near))
  if (!read.whole) {
    lines.push('', `The log begins at record ${read.from} by now: what was done before is not known any more.`)
  }
  return `${lines.join('\n')}\n`
}

function ledTo(provenance: Provenance | null, near: number): string[] {
  if (provenance === null || typeof provenance !== 'object') return ['  nothing that was kept']
  const { event, events, count: many, late, steps, path: _, ...rest } = provenance
  const lines = (events ?? (event === undefined ? [] : [event])).map(
    (one) => `  event  ${eventLine(one, near)}${late === true ? ', late' : ''}`,
  )
  if (events !== undefined && many !== undefined && many > events.length) lines.push(`  … of ${many} events`)
  steps?.forEach((step, i) => lines.push(`  ${String(i + 1).padStart(2)}  ${stepLine(step, near)}`))
  for (const [name, value] of Object.entries(rest)) {
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    lines.push(printable(`  ${name}: ${text.slice(0, 500)}`))
  }
  return lines.length === 0 ? ['  nothing that was kept'] : lines
}

function stepLine({ at, says, key, state }: Step, near: number): string {
  const label = /^[a-zA-Z]+\[\d+\]$/.test(at) ? '' : `${at}: `
  const told = state === undefined ? '' : stateLine(state, near)
  const facts = [...(key === undefined ? [] : [`of ${key}`]), ...(told === '' ? [] : [told])]
  return printable(`${label}${says}${facts.length === 0 ? '' : `  [${facts.join('; ')}]`}`)
}

function sent(page: PageTold, claims: readonly ClaimTold[], near: number): string[] {
  const { id, action, receiver, result, attempts } = page
  const lines = [printable(`  ${action} to ${receiver}: ${settledWords(page)}  (page ${shortId(id)})`)]
  let before = -1
  for (const attempt of attempts) {
    // who took over in between is why there is another
    for (const { epoch, instance, offset, atMs } of claims) {
      if (before < 0 || offset < before || offset > attempt.offset) continue
      lines.push(printable(`    ${exactly(atMs, near)}  ${instance} took over (epoch ${epoch}, record ${offset})`))
    }
    before = attempt.offset
    lines.push(...attemptLines(attempt, near))
  }
  if (attempts.length === 0 && result === 'overtaken') lines.push('    never sent: it was over before its turn came')
  return lines
}

function settledWords({ result, attempts }: PageTold): string {
  const open = attempts.some(({ outcome }) => outcome === undefined)
  switch (result) {
    case 'delivered': {
      const doubtful = attempts.filter(({ outcome }) => outcome === undefined || outcome.result === 'unknown').length
      return doubtful === 0
        ? 'delivered'
        : `delivered, and ${count(doubtful, 'attempt')} before may have arrived as well`
    }
    case 'refused':
      return 'refused for good'
    case 'gave-up':
      return 'given up'
    case 'overtaken':
      return 'overtaken'
    case 'digested':
      return 'told in a digest'
    case undefined:
      return attempts.length === 0 ? 'waits' : open ? 'under way, or in doubt' : 'waits for another try'
    default:
      return result
  }
}

function attemptLines(
  { epoch, n, atMs, offset, instance, repeats, digest, outcome }: AttemptTold,
  near: number,
): string[] {
  const by = instance === undefined ? '' : ` by ${instance}`
  const marked = repeats === undefined ? '' : `, marked as a possible repeat of ${repeats}`
  const many = digest === undefined ? '' : `, as a digest of ${count(digest, 'page')}`
  const first = `    ${exactly(atMs, near)}  attempt ${epoch}.${n}${by}${many}${marked} (record ${offset})`
  const answer =
    outcome === undefined
      ? '                  no outcome in the log: it may have arrived'
      : `    ${exactly(outcome.atMs, near)}  ${outcome.result}${outcome.detail === undefined ? '' : `: ${outcome.detail}`}`
  return [printable(first), printable(answer)]
}
