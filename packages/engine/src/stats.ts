import type { EngineStats, OperatorStats } from './engine.ts'
import type { Skews } from './event/skews.ts'
import type { Refusals } from './limit-alarms.ts'
import type { EngineState } from './snapshot.ts'
import type { Dimension } from './state/dimension.ts'
import { operatorNamed } from './streams/operator.ts'

/** Sizes and counts of an engine, for people and metrics. */
export function statsOf(state: EngineState, timersFired: number, skews: Skews): EngineStats {
  const { index, table, rules, producers, flows } = state
  const sum = (of: (dimension: Dimension) => number) =>
    (rules.tree?.dimensions ?? []).reduce((total, dimension) => total + of(dimension), 0)
  return {
    indexSize: index.size,
    symbols: table.size,
    forks: sum((dimension) => dimension.live),
    refusedForks: sum((dimension) => dimension.refused) + index.rows.refused,
    refusedTexts: table.refused,
    producers: producers.size,
    repeats: producers.repeats,
    timersFired,
    ruleErrors: rules.nodes.reduce((total, node) => total + node.errors, 0),
    skews: skews.worst(table),
    silent: index.silentHosts(),
    bytes: table.bytes + index.rows.bytes + flows.bytes + sum((dimension) => dimension.bytes),
  }
}

/** What each operator in force takes and holds, in the order of the tree. */
export function operatorStatsOf({ rules }: EngineState): OperatorStats[] {
  return rules.nodes.slice(1).map((node) => {
    const { path, taken, dimension, inner, columns, stream } = node
    const own = Object.values(columns)
    const opens = typeof operatorNamed(stream.operator).opens === 'function'
    const bytes = own.reduce((sum, column) => sum + column.bytes, opens ? inner.idBytes : 0)
    return { operator: path, taken, keys: opens ? inner.live : own.length > 0 ? dimension.live : 0, bytes }
  })
}

/** What limits have refused so far: of events that arrived, of texts, forks, rows of the index, producers, buffers and flows. */
export function refusalsOf(
  { table, rules, index, producers, flows }: EngineState,
  events: number,
  buffers: number,
): Refusals {
  const forks = (rules.tree?.dimensions ?? []).reduce((sum, dimension) => sum + dimension.refused, 0)
  return [events, table.refused, forks, index.rows.refused, producers.evicted, buffers, flows.refused]
}
