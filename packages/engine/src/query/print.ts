import type { Expression, Operand, Query } from './ast.ts'
import { printNumber, printText } from './text.ts'

/** An expression as a query: parsed again it is the same expression. */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'and':
    case 'or':
      return expression.terms
        .map((term) => (binds(term, expression.kind) ? printExpression(term) : `(${printExpression(term)})`))
        .join(` ${expression.kind} `)
    case 'not':
      return isChain(expression.term)
        ? `not (${printExpression(expression.term)})`
        : `not ${printExpression(expression.term)}`
    case 'comparison':
      return `${printOperand(expression.left)} ${expression.operator} ${printOperand(expression.right)}`
    case 'wildcard':
      return `${printOperand(expression.left)} =~ ${printText(expression.pattern)}`
    case 'regex':
      return `${printOperand(expression.left)} ~= ${printText(expression.pattern)}`
    case 'tagged':
      return `tagged ${printText(expression.tag)}`
    case 'truth':
      return printOperand(expression.operand)
  }
}

/** A query with its suffix. */
export function printQuery(query: Pick<Query, 'where' | 'sort' | 'limit'>): string {
  const keys = query.sort?.map((key) => (key.descending ? `${key.field} desc` : `${key.field} asc`)) ?? []
  const sort = keys.length === 0 ? '' : ` sort by ${keys.join(' ')}`
  return printExpression(query.where) + sort + (query.limit === undefined ? '' : ` limit ${query.limit}`)
}

function printOperand(operand: Operand): string {
  switch (operand.kind) {
    case 'field':
      return operand.name
    case 'text':
      return printText(operand.value)
    case 'number':
      return printNumber(operand)
    case 'constant':
      return String(operand.value ?? 'nil')
  }
}

const isChain = (term: Expression): boolean => term.kind === 'and' || term.kind === 'or'

/** Whether a term needs no parentheses within a chain: `and` binds closer than `or`. */
function binds(term: Expression, chain: 'and' | 'or'): boolean {
  return !isChain(term) || (term.kind === 'and' && chain === 'or')
}
