/** Incidents as people read them: a table while they are few, counts by rule first when they are many. */
import type { Incident, PendingPage } from '@ricci/engine'
import { shortId } from '../incidents/incident-filter.ts'
import type { Answer, ListedIncident } from './incident-list.ts'
import { duration, printable, table } from './output.ts'

/** Rows of a table that people look at; of more the rest is counted. */
const shownRows = 40
/** Rules whose counts are shown. */
const shownRules = 20
/** Rows kept where all are asked for: as many as may be open. */
const allRows = 200_000

interface Count {
  open: number
  attended: number
  oldestMs: number
}

/** Takes answers as they come, and keeps no more than is shown. */
export class ListTables {
  private readonly rows: string[][] = []
  private readonly pages: string[][] = []
  private readonly rules = new Map<string, Count>()
  private incidents = 0
  private waiting = 0

  constructor(private readonly what: { readonly closed: boolean; readonly all: boolean }) {}

  get isEmpty(): boolean {
    return this.incidents === 0
  }

  take({ incidents, pages }: Answer): void {
    const { closed, all } = this.what
    const most = all ? allRows : shownRows
    for (const incident of closed ? incidents.closed : incidents.open) {
      this.incidents++
      this.count(incident)
      if (this.rows.length < most) this.rows.push(incidentRow(incident))
    }
    for (const page of pages) {
      this.waiting++
      if (this.pages.length < most) this.pages.push(pageRow(page))
    }
  }

  text(): string {
    const parts: string[] = []
    if (this.incidents > this.rows.length) parts.push(this.counts())
    if (this.rows.length > 0) {
      const head = ['ID', 'INCIDENT', 'HOST', 'SERVICE', 'SEVERITY', 'SINCE', 'STATE', 'SUMMARY']
      parts.push(table(head, this.rows) + andMore(this.incidents - this.rows.length))
    }
    if (this.pages.length > 0) {
      const head = ['PAGE WAITING', 'ACTION', 'TO', 'AGE', 'TRIES', 'SUMMARY']
      parts.push(table(head, this.pages) + andMore(this.waiting - this.pages.length))
    }
    return parts.join('\n')
  }

  private count({ rule, acknowledged, snoozed, openedAtMs }: Incident): void {
    let count = this.rules.get(rule)
    if (count === undefined) this.rules.set(rule, (count = { open: 0, attended: 0, oldestMs: Infinity }))
    count.open++
    if (acknowledged !== undefined || snoozed !== undefined) count.attended++
    count.oldestMs = Math.min(count.oldestMs, openedAtMs)
  }

  private counts(): string {
    const sorted = [...this.rules].sort(([, a], [, b]) => b.open - a.open)
    const rows = sorted
      .slice(0, shownRules)
      .map(([rule, { open, attended, oldestMs }]) => [rule, grouped(open), grouped(attended), age(oldestMs)])
    const head = ['INCIDENT', this.what.closed ? 'CLOSED' : 'OPEN', 'LOOKED AFTER', 'OLDEST']
    const others = sorted.length - rows.length
    const rest = others > 0 ? `and those of ${grouped(others)} more names\n` : ''
    return `${table(head, rows)}${rest}`
  }
}

function andMore(count: number): string {
  return count === 0 ? '' : `and ${grouped(count)} more; --all prints them, --rule, --host and words pick some\n`
}

function grouped(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, ',')
}

function incidentRow(incident: ListedIncident): string[] {
  const { id, rule, key, host, service, severity, openedAtMs, summary, membersBad: bad } = incident
  const isOfGroup = bad !== undefined && incident.closed === undefined
  const about = isOfGroup ? `${grouped(bad)} bad in ${key}, first ${summary}` : summary
  return [shortId(id), rule, host, service, severity, age(openedAtMs), stateOf(incident), about]
}

/** In a few words: who looks after it, or who was told besides. */
function stateOf({ acknowledged, snoozed, escalated, escalate, closed, deliveries }: Incident): string {
  if (closed !== undefined) return `closed ${age(closed.atMs)} ago`
  if (acknowledged !== undefined) return `acknowledged by ${acknowledged.who} until ${timeText(acknowledged.untilMs)}`
  if (snoozed !== undefined) return `snoozed until ${timeText(snoozed.untilMs)}`
  if (escalated > 0 && escalate !== undefined) return `open, escalated to ${escalate[escalated - 1].to}`
  const untold = deliveries?.filter(({ result }) => result === 'refused' || result === 'gave-up') ?? []
  return untold.length > 0 ? `open, ${untold.map(({ receiver }) => receiver).join(', ')} not told` : 'open'
}

function pageRow({ rule, action, receiver, decidedAtMs, attempts, summary }: PendingPage): string[] {
  return [rule, action, receiver, age(decidedAtMs), String(attempts.length), summary]
}

/** All that is known of one. @param pages that wait to be told, among them its own */
export function incidentText(incident: Incident, pages: readonly PendingPage[]): string {
  const { id, rule, key, dedupKey, host, service, severity, summary, openedAtMs, deliveries, closed } = incident
  const rows: [string, string][] = [
    ['id', `${shortId(id)} (${id})`],
    ['incident', rule],
    ['key', key],
    ...(dedupKey === id ? [] : ([['key at receivers', dedupKey]] as [string, string][])),
    ['host', host],
    ['service', service],
    ['severity', severity],
    ['summary', summary],
    ['opened', `${timeText(openedAtMs)}, ${age(openedAtMs)} ago`],
    ['state', closed === undefined ? stateOf(incident) : `closed ${timeText(closed.atMs)}: ${closed.reason}`],
  ]
  for (const name of ['acknowledged', 'snoozed'] as const) {
    const promised = incident[name]
    if (promised === undefined) continue
    const { who, from, why, atMs, untilMs } = promised
    const said = why === '' ? '' : `: ${why}`
    rows.push([name, `by ${who} (${from}) at ${timeText(atMs)}, until ${timeText(untilMs)}${said}`])
  }
  for (const [i, { afterMs, to }] of (incident.escalate ?? []).entries()) {
    rows.push(['escalates', `to ${to} after ${duration(afterMs)}${i < incident.escalated ? ': done' : ''}`])
  }
  if (incident.hosts !== undefined) rows.push(['hosts', incident.hosts.join(', ')])
  if (incident.members !== undefined) {
    const named = (wanted: boolean): string =>
      incident.members!.flatMap(({ key: member, bad }) => (bad === wanted ? [member] : [])).join(', ')
    const lost = incident.membersLost === true ? ', and more than are remembered' : ''
    rows.push(['bad', named(true) + lost], ['well again', named(false)])
  }
  const shown = rows.filter(([, text]) => text !== '')
  const width = Math.max(...shown.map(([name]) => name.length))
  const facts = shown.map(([name, text]) => `${name.padEnd(width)}  ${printable(text)}\n`).join('')
  const told = deliveries.map(({ receiver, trigger, result }) => {
    const page = pages.find((one) => one.id === trigger)
    const tries = page === undefined ? '' : String(page.attempts.length)
    return [receiver, result ?? (page === undefined ? 'in a digest' : 'waiting'), tries, shortId(trigger)]
  })
  const others = pages.filter((page) => page.incident === id && page.action !== 'trigger').map(pageRow)
  return [
    facts,
    ...(told.length === 0 ? [] : [table(['TOLD', 'RESULT', 'TRIES', 'PAGE'], told)]),
    ...(others.length === 0 ? [] : [table(['PAGE WAITING', 'ACTION', 'TO', 'AGE', 'TRIES', 'SUMMARY'], others)]),
    `It rests on:\n${JSON.stringify(incident.provenance, null, 2)
      .split('\n')
      .map((line) => `  ${printable(line)}\n`)
      .join('')}`,
  ].join('\n')
}

function age(sinceMs: number): string {
  return duration(Math.max(0, Date.now() - sinceMs))
}

/** Of this machine's own day and place; the date where it is not today. */
export function timeText(ms: number): string {
  const time = new Date(ms)
  const two = (count: number): string => String(count).padStart(2, '0')
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}`
  if (time.toDateString() === new Date().toDateString()) return clock
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${clock}`
}
