import type { Expression } from './ast.ts'

/**
 * What the host and service of every matching event must be, as far as `host = "…"` and `service = "…"` stand in the
 * expression where all must hold. An index looks such events up instead of scanning; the expression still decides.
 */
export function requiredKeys(where: Expression): { readonly host?: string; readonly service?: string } {
  const keys: { host?: string; service?: string } = {}
  const visit = (expression: Expression): void => {
    if (expression.kind === 'and') expression.terms.forEach(visit)
    if (expression.kind !== 'comparison' || expression.operator !== '=') return
    const { left, right } = expression
    const [field, other] = left.kind === 'field' ? [left, right] : [right, left]
    if (field.kind !== 'field' || other.kind !== 'text') return
    if (field.name === 'host') keys.host ??= other.value
    if (field.name === 'service') keys.service ??= other.value
  }
  visit(where)
  return keys
}
