import type { Skew } from '@ricci/engine'
import type { FlowStats } from '@ricci/replica'
import { describeSwitch } from '../rules/switch-report.ts'
import type { PartitionStatus, ServerStatus } from '../server/status.ts'
import { bytes, duration, table } from './output.ts'

function switchedAt(switched: ServerStatus['rules']['switched']): string {
  return switched === undefined ? '' : `, since record ${switched.offset}: ${describeSwitch(switched)}`
}

/** What of folder and configuration takes effect with a reload only. */
function differing({ differs, folder, onDisk }: ServerStatus['rules']): string[] {
  const settings = differs.filter((name) => name !== 'rules')
  return [
    ...(differs.includes('rules') ? [`the folder ${folder} holds others: ${onDisk?.slice(0, 12)}`] : []),
    ...(settings.length > 0 ? [`the configuration has other settings: ${settings.join(', ')}`] : []),
  ]
}

/** Clocks that are further away than messages travel: a TTL or a window of event time may not mean what its author thought. */
function clocks(skews: readonly Skew[]): [string, string][] {
  const wrong = skews.filter(({ aheadMs }) => Math.abs(aheadMs) >= shownSkewMs)
  const told = wrong.map(
    ({ host, aheadMs }) => `${host} ${aheadMs > 0 ? 'ahead' : 'behind'} by ${duration(Math.abs(aheadMs))}`,
  )
  return told.length === 0 ? [] : [['clocks', told.join(', ')]]
}

/** What producers sent again and was taken once. */
function repeats(count: number): [string, string][] {
  return count === 0 ? [] : [['repeats', `${count} messages dropped by their marks since the log began`]]
}

/** One row for each sink: what waits for it, in all partitions here. */
function flowRows(flows: readonly FlowStats[]): [string, string][] {
  return [...new Set(flows.map(({ sink }) => sink))].map((sink) => {
    const own = flows.filter((flow) => flow.sink === sink)
    const sum = (of: (flow: FlowStats) => number): number => own.reduce((all, flow) => all + of(flow), 0)
    const lagMs = Math.max(...own.map((flow) => flow.lagMs))
    const parts = [`${sum(({ events }) => events)} events wait${lagMs > 0 ? ` for ${duration(lagMs)}` : ''}`]
    parts.push(`${sum(({ delivered }) => delivered)} sent from here`)
    const [refused, dropped] = [sum((flow) => flow.refused), sum((flow) => flow.dropped)]
    if (refused > 0) parts.push(`${refused} refused`)
    if (dropped > 0) parts.push(`${dropped} dropped`)
    const failing = own.find(({ failures }) => failures > 0)
    if (failing !== undefined) parts.push(`failing: ${failing.detail}`)
    return [`flow ${sink}`, parts.join(', ')]
  })
}

/** A slow network and a busy machine together rarely make more. */
const shownSkewMs = 2_000

/** One server in detail, as it says itself. */
export function hereTable(status: ServerStatus): string {
  const { log, partitions, rules, intake, degraded } = status
  const sum = (of: (partition: PartitionStatus) => number): number =>
    partitions.reduce((all, each) => all + of(each), 0)
  const rows: [string, string][] = [
    ['instance', `${status.instance}, ricci ${status.version}, up ${duration(status.upMs)}`],
    ['ready', degraded.length === 0 ? String(status.ready) : `${status.ready}, degraded`],
    ...degraded.map(({ part, detail }): [string, string] => [`  ${part}`, detail]),
    ...(log.partitions === 1 ? partitions.flatMap((only) => replicaRows(only, log)) : partitionRows(partitions, log)),
    ['engine', `${applied(status)}behind by ${bytes(intake.lagBytes)}, ${duration(intake.lagMs)}`],
    ...clocks(partitions.flatMap(({ engine }) => engine.skews)),
    ...repeats(sum(({ engine }) => engine.repeats)),
    ['rules', rules.inForce === undefined ? 'none yet' : `${rules.inForce.slice(0, 12)}${switchedAt(rules.switched)}`],
    ...differing(rules).map((text): [string, string] => ['', text]),
    [
      'pages',
      `${sum(({ replica }) => replica.pendingPages)} pending, ${sum(({ replica }) => replica.delivered)} delivered, ${sum(({ replica }) => replica.refused)} refused`,
    ],
    ...flowRows(partitions.flatMap(({ replica }) => replica.flows)),
    [
      'intake',
      `${intake.connections} connections, ${intake.messages} messages, ${intake.events} events since the start`,
    ],
  ]
  return table(['', ''], rows).trimStart()
}

function applied({ log, partitions: [only] }: ServerStatus): string {
  return log.partitions > 1 || only === undefined ? '' : `applied up to ${only.engine.appliedOffset}; `
}

/** The one partition of a log that has no more. */
function replicaRows({ replica, log: range }: PartitionStatus, { id, place }: ServerStatus['log']): [string, string][] {
  const records = range === undefined ? 'does not say what it holds' : `records ${range.first} to ${range.end - 1}`
  return [
    ['replica', `${replica.state}, epoch ${replica.epoch}`],
    ['log', `${id}: ${records} in ${place}`],
  ]
}

/** How many stand how; `ricci cluster partitions` lists them. */
function partitionRows(partitions: readonly PartitionStatus[], log: ServerStatus['log']): [string, string][] {
  const counts = new Map<string, number>()
  for (const { replica, standing = replica.state } of partitions) counts.set(standing, (counts.get(standing) ?? 0) + 1)
  const states = [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
  return [
    ['replicas', `of ${partitions.length} of ${log.partitions} partitions${states === '' ? '' : `: ${states}`}`],
    ['log', `${log.id} in ${log.place}`],
  ]
}
