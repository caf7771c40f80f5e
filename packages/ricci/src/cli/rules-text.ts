/** What a switch of rules would change, as people read it. */
import type { OperatorStats } from '@ricci/engine'
import type { RulesPreview, Resolves, SettingChange } from '../server/rules-switch.ts'
import { ranges } from '../server/cluster-status.ts'
import { bytes, number, table } from './output.ts'

/** A switch that is not done yet. */
export function previewText({ inForce, onDisk, partitions, settings, rules, resolves }: RulesPreview): string {
  if (partitions.length === 0) return `Nothing would change: ${onDisk.slice(0, 12)} is in force, with these settings.\n`
  const rows: string[][] = []
  const list = (what: string, how: string, names: readonly string[]): void => {
    for (const name of names) rows.push([what, how, name])
  }
  if (rules !== undefined) {
    list('incident', 'new', rules.incidents.fresh)
    list('incident', 'dropped', rules.incidents.dropped)
    list(
      'operator',
      'moved',
      rules.moved.map(({ from, to }) => `${from} to ${to}, with what it holds`),
    )
    list('operator', 'begins anew', rules.fresh)
    list('operator', 'dropped', rules.dropped)
    for (const { path, option, from = 'nothing', to = 'nothing' } of rules.changed) {
      rows.push(['argument', 'changed', `${path}${option === '' ? '' : ` ${option}`}: ${from} → ${to}`])
    }
  }
  for (const { name, inForce: before, onDisk: after } of settings)
    rows.push(['setting', 'changed', `${name}: ${settingText(before)} → ${settingText(after)}`])
  const kept =
    rules === undefined
      ? 'What is in force is not known here: ask an instance that keeps a partition.\n'
      : `Kept: ${count(rules.incidents.kept.length, 'incident')}, and what ${count(rules.kept.length, 'operator')} ${rules.kept.length === 1 ? 'holds' : 'hold'}.\n`
  return [
    `${inForce === undefined || inForce === onDisk ? '' : `${inForce.slice(0, 12)} → `}${onDisk.slice(0, 12)}, in ${partitionsText(partitions)}\n`,
    rows.length > 0 ? table(['WHAT', 'HOW', ''], rows) : '',
    kept,
    ...resolvedText(resolves, 'would resolve'),
  ].join('')
}

/** @param how `resolved` where it is done, `would resolve` where not */
export function resolvedText({ rules, unknown }: Resolves, how: string): string[] {
  const lines = rules.map(({ rule, count: number, keys }) => {
    const names = [...keys, ...(number > keys.length ? [`${number - keys.length} more`] : [])].join('; ')
    return `${count(number, 'open incident')} of ${rule} ${how}, its rule being gone: ${names}\n`
  })
  if (unknown.length > 0) lines.push(`Not known: which incidents are open in ${partitionsText(unknown)}.\n`)
  return lines
}

/** @example "partitions 0-3, 7" */
export function partitionsText(partitions: readonly number[]): string {
  return `partition${partitions.length === 1 ? '' : 's'} ${ranges(partitions)}`
}

/** Rows of operators that people look at. */
const shownOperators = 40

/** What operators take and hold, in the order of the rules; of very many those that hold or take most. */
export function operatorsText(operators: readonly OperatorStats[]): string {
  if (operators.length === 0) return ''
  const most = [...operators].sort((a, b) => b.bytes - a.bytes || b.taken - a.taken).slice(0, shownOperators)
  const shown = operators.filter((one) => most.includes(one))
  const rows = shown.map(({ operator, taken, keys, bytes: held }) => [
    operator,
    number(taken),
    keys === 0 ? '' : number(keys),
    held === 0 ? '' : bytes(held),
  ])
  const more = operators.length - shown.length
  const rest = more === 0 ? '' : `and ${count(more, 'operator')} more, which hold less; -o json has all\n`
  return `\nWhat operators took and hold here:\n${table(['OPERATOR', 'TAKEN', 'KEYS', 'HOLDS'], rows)}${rest}`
}

function settingText(value: SettingChange['inForce']): string {
  return value === undefined ? 'its default' : JSON.stringify(value)
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
