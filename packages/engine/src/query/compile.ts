/**
 * Makes a test over the engine's cursor out of an expression, by closures: generated code was measured to win nothing worth
 * having. What a condition says about a text is kept per symbol (or set of tags, or set of attributes), so each condition
 * looks at each text once, whenever that text appears; descriptions never repeat and are decoded each time.
 */
import { Kind } from '@ricci/client'
import type { ComparisonOperator, Expression, Operand, Query } from './ast.ts'
import { fieldReader, fieldTest, isNumeric, presence, type EventTest, type Value } from './fields.ts'
import { parsePredicate } from './parser.ts'
import { compileRegex } from './regex.ts'
import { Verdicts, type QueryTable } from './verdicts.ts'
import { compileWildcard } from './wildcard.ts'

/**
 * Makes the test that a query puts to each event.
 * @param query a parsed query, whose `sort` and `limit` do not matter here
 * @param table where the ids in the cursor come from; texts that are interned later match as well
 * @returns a test that neither keeps nor changes the event
 */
export function compileQuery(query: Query, table: QueryTable): EventTest {
  return compileExpression(query.where, table)
}

/**
 * What `where('…')` runs.
 * @throws QueryError with line, caret and what to do
 */
export function compilePredicate(text: string, table: QueryTable): EventTest {
  return compileExpression(parsePredicate(text), table)
}

/** The same for a part of a query. */
export function compileExpression(expression: Expression, table: QueryTable): EventTest {
  switch (expression.kind) {
    case 'and':
    case 'or': {
      const tests = expression.terms.map((term) => compileExpression(term, table))
      return chain(expression.kind, tests)
    }
    case 'not': {
      const test = compileExpression(expression.term, table)
      return (event) => !test(event)
    }
    case 'comparison':
      return comparison(expression.operator, expression.left, expression.right, table)
    case 'wildcard': {
      const matches = compileWildcard(expression.pattern)
      return operandTest(expression.left, (value) => typeof value === 'string' && matches(value), table)
    }
    case 'regex': {
      const regex = compileRegex(expression.pattern)
      return operandTest(expression.left, (value) => typeof value === 'string' && regex.test(value), table)
    }
    case 'tagged':
      return tagged(expression.tag, table)
    case 'truth':
      if (expression.operand.kind === 'field') return presence(expression.operand.name, table)
      return operandTest(expression.operand, (value) => value !== null && value !== false, table)
  }
}

function chain(kind: 'and' | 'or', tests: readonly EventTest[]): EventTest {
  const [a, b] = tests
  if (tests.length === 2) return kind === 'and' ? (event) => a(event) && b(event) : (event) => a(event) || b(event)
  const stop = kind === 'or'
  return (event) => {
    for (const test of tests) if (test(event) === stop) return stop
    return !stop
  }
}

/** A test of one operand: of a field for each event, of a literal here and now. */
function operandTest(operand: Operand, judge: (value: Value) => boolean, table: QueryTable): EventTest {
  if (operand.kind === 'field') return fieldTest(operand.name, judge, table)
  const verdict = judge(operand.value)
  return () => verdict
}

function tagged(tag: string, table: QueryTable): EventTest {
  const ofSet = new Verdicts(table, (set) => set !== 0 && table.tagsOf(set).some((id) => table.text(id) === tag))
  return (event) => ofSet.of(event.tags)
}

function comparison(operator: ComparisonOperator, left: Operand, right: Operand, table: QueryTable): EventTest {
  const compare = comparisons[operator]
  if (left.kind === 'field' && right.kind === 'field') {
    const readLeft = fieldReader(left.name, table)
    const readRight = fieldReader(right.name, table)
    // Two lists of tags are compared by the id of their set; both are the event's own.
    return (event) => compare(readLeft(event), readRight(event))
  }
  if (left.kind !== 'field') return operandTest(right, (value) => compare(literal(left), value), table)
  const value = literal(right)
  if (isNumeric(left.name) && typeof value === 'number') return numeric(operator, left.name, value)
  return fieldTest(left.name, (other) => compare(other, value), table)
}

function literal(operand: Operand): Value {
  return operand.kind === 'field' ? null : operand.value
}

const comparisons: Readonly<Record<ComparisonOperator, (a: Value, b: Value) => boolean>> = {
  '=': equal,
  '!=': (a, b) => !equal(a, b),
  '<': (a, b) => isNumber(a) && isNumber(b) && a < b,
  '>': (a, b) => isNumber(a) && isNumber(b) && a > b,
  '<=': (a, b) => isNumber(a) && isNumber(b) && a <= b,
  '>=': (a, b) => isNumber(a) && isNumber(b) && a >= b,
}

const isNumber = (value: Value): value is number | bigint => typeof value === 'number' || typeof value === 'bigint'

/** Numbers by value, whatever their kind: JavaScript compares integers of any size with doubles exactly. */
function equal(a: Value, b: Value): boolean {
  return isNumber(a) && isNumber(b) ? a == b : a === b
}

/** The comparisons that rules are full of, without a value in between. */
function numeric(operator: ComparisonOperator, field: 'metric' | 'time' | 'ttl', value: number): EventTest {
  if (field !== 'metric') {
    const kind = `${field}Kind` as const
    const compare = comparisons[operator]
    return (event) => compare(event[kind] === Kind.none ? null : event[field], value)
  }
  const big = comparisons[operator]
  const plain = (test: EventTest, ofAbsent: boolean): EventTest => {
    return (event) => {
      if (event.metricKind === Kind.none) return ofAbsent
      return event.metricKind === Kind.big ? big(event.metricBig, value) : test(event)
    }
  }
  switch (operator) {
    case '=':
      return plain((event) => event.metric === value, false)
    case '!=':
      return plain((event) => event.metric !== value, true)
    case '<':
      return plain((event) => event.metric < value, false)
    case '>':
      return plain((event) => event.metric > value, false)
    case '<=':
      return plain((event) => event.metric <= value, false)
    case '>=':
      return plain((event) => event.metric >= value, false)
  }
}
