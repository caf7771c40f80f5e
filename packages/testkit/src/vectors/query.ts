/** Cases of the query language: a query and an event give a verdict, or an error of a certain kind. */
import { EventCursor, eventToCursor, SymbolTable } from '@ricci/client'
import { compileExpression, parsePredicate, QueryError, type Expression, type Operand } from '@ricci/engine'
import { difference, failed, passed, type Case, type Outcome } from './case.ts'
import { eventOf, plain, same, show, type RawEvent } from './values.ts'

export interface QueryCase extends Case {
  readonly query: string
  readonly event: RawEvent
  readonly result: boolean | string
  readonly tree?: unknown
  readonly ricciTree?: unknown
  readonly trailing?: boolean
}

const faults = {
  syntax: 'syntax error',
  number: 'bad number',
  text: 'bad string',
  regex: 'bad regex',
  'regex-unsupported': 'refused regex',
} as const

export function runQuery(c: QueryCase): Outcome {
  const expected = 'ricci' in c ? c.ricci : c.result
  const { verdict, tree, message } = ask(c.query, c.event)
  const differences: string[] = []
  if (verdict !== expected) {
    differences.push(difference(`${c.query}`, String(expected), `${verdict}${message === '' ? '' : ` (${message})`}`))
  }
  const expectedTree = c.ricciTree ?? (c.trailing === true ? undefined : c.tree)
  if (expectedTree !== undefined && tree !== undefined && !same(plain(expectedTree), plain(tree))) {
    differences.push(difference(`tree of ${c.query}`, show(plain(expectedTree)), show(plain(tree))))
  }
  if (differences.length === 0) return passed
  return verdict === faults['regex-unsupported']
    ? { status: 'failed', differences, by: verdict }
    : failed(...differences)
}

function ask(query: string, event: RawEvent): { verdict: boolean | string; tree?: unknown; message: string } {
  try {
    const expression = parsePredicate(query)
    const table = new SymbolTable()
    const cursor = new EventCursor()
    // The query is compiled before the event's texts are known: its verdicts must not depend on that.
    const test = compileExpression(expression, table)
    eventToCursor(eventOf(event), table, cursor)
    return { verdict: test(cursor), tree: treeOf(expression), message: '' }
  } catch (error) {
    if (!(error instanceof QueryError)) throw error
    return { verdict: faults[error.fault], message: error.problem }
  }
}

/** An expression in the notation of the vectors, which is Riemann's own tree. */
function treeOf(expression: Expression): unknown {
  switch (expression.kind) {
    case 'and':
    case 'or':
      return expression.terms.map(treeOf).reduce((left, right) => [expression.kind, left, right])
    case 'not':
      return ['not', treeOf(expression.term)]
    case 'comparison': {
      const operator = expression.operator === '!=' ? 'not=' : expression.operator
      return [operator, operandOf(expression.left), operandOf(expression.right)]
    }
    case 'wildcard':
      return ['like', expression.pattern, operandOf(expression.left)]
    case 'regex':
      return ['regex', { re: expression.pattern }, operandOf(expression.left)]
    case 'tagged':
      return ['tagged', expression.tag]
    case 'truth':
      return operandOf(expression.operand)
  }
}

function operandOf(operand: Operand): unknown {
  return operand.kind === 'field' ? { field: operand.name } : operand.value
}
