import type { SymbolTable } from '@ricci/client'
import type { Dimension } from './dimension.ts'
import { Marks } from './marks.ts'

/** Texts are collected when their table is this full in any way: a sweep marks every cell (2 ms at 720,000). */
const collectionShare = 0.5

/**
 * Gives back ids that were not used since a moment of owned time, unless something holds them, and what only free cells still hold.
 * A row of the index is nobody's state without its entry: kept for as long as a fork, those of hosts long gone would fill the index.
 * @param forks dimensions in the order of the tree
 */
export function collectIds(rows: Dimension, forks: readonly Dimension[], now: number, idleBefore: number): void {
  // from the innermost out, for a fork is only free once nothing below it is used
  for (const dimension of forks.toReversed()) collectIdle(dimension, forks, now, idleBefore)
  collectIdle(rows, [], now, now)
  for (const { columns } of [rows, ...forks]) for (const column of columns) column.tidy?.()
}

/**
 * Frees texts that no cell names any more; true when it did: ids may now mean something else.
 * @param freeing told what stays, just before: for whoever names texts without being state
 */
export function collectTexts(
  table: SymbolTable,
  holders: readonly { mark(marks: Marks): void }[],
  always: readonly number[],
  freeing: (marks: Marks) => void,
): boolean {
  if (table.fullness < collectionShare) return false
  const marks = new Marks(table.highestId + 1, table.highestTagSet + 1, table.highestAttributeSet + 1)
  for (const id of always) marks.symbol(id)
  for (const holder of holders) holder.mark(marks)
  freeing(marks)
  table.sweep(marks)
  return true
}

function collectIdle(dimension: Dimension, all: readonly Dimension[], now: number, idleBefore: number): void {
  if (dimension.keyCount === 0) return
  const used = new Set<number>()
  for (const other of all) {
    if (other.parent !== dimension) continue
    for (let id = 0; id < other.high; id++) if (other.isAlive(id)) used.add(other.parentOf(id))
  }
  for (let id = 0; id < dimension.high; id++) {
    if (!dimension.isAlive(id) || !dimension.idle(id, now, idleBefore) || used.has(id)) continue
    if (dimension.columns.some((column) => column.holds?.(id) === true)) continue
    dimension.free(id)
  }
  dimension.settle()
}
