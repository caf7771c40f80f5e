/** What the operators of the rules take and hold, of all partitions that run here together. */
import type { OperatorStats } from '@ricci/engine'

/** Operators told of one by one, in the order of the rules: three series each. What further ones take and hold is told as one. */
export const mostOperators = 300
/** Stands for these. No path reads so. */
export const otherOperators = '(others)'

/** Sums by path; the rules are the same in all partitions but while they are switched. @param most told of one by one */
export function operatorFigures(
  partitions: readonly (readonly OperatorStats[])[],
  most = mostOperators,
): readonly OperatorStats[] {
  const sums = new Map<string, { operator: string; taken: number; keys: number; bytes: number }>()
  for (const { operator: path, taken, keys, bytes } of partitions.flat()) {
    const operator = sums.has(path) || sums.size < most ? path : otherOperators
    let sum = sums.get(operator)
    if (sum === undefined) sums.set(operator, (sum = { operator, taken: 0, keys: 0, bytes: 0 }))
    sum.taken += taken
    sum.keys += keys
    sum.bytes += bytes
  }
  return [...sums.values()]
}
