import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { EventCursor, eventToCursor, SymbolTable } from '@ricci/client'
import fc from 'fast-check'
import type { Expression, Operand, SortKey } from './ast.ts'
import { compileExpression } from './compile.ts'
import { QueryError, type QueryFault } from './errors.ts'
import { queryLengthLimit } from './lexer.ts'
import { nestingLimit, parsePredicate, parseQuery } from './parser.ts'
import { printExpression, printQuery } from './print.ts'

/** What Riemann's own recordings say is tested by the vectors; here is what is ours. */

describe('mistakes are shown where they are', () => {
  const mistakes: [query: string, fault: QueryFault, excerpt: string[], problem: RegExp][] = [
    ['metric > "1"', 'syntax', ['  1 | metric > "1"', '    |          ^'], /only a number may stand to the right of >/],
    [
      'state = "ok", metric > 5',
      'syntax',
      ['  1 | state = "ok", metric > 5', '    |               ^'],
      /join conditions with and, or/,
    ],
    [
      'host = "a" AND service = "b"',
      'syntax',
      ['  1 | host = "a" AND service = "b"', '    |            ^'],
      /small letters/,
    ],
    ["host = 'web1'", 'syntax', ["  1 | host = 'web1'", '    |        ^'], /double quotes/],
    ['true\nand\n  1 < metric', 'syntax', ['  3 |   1 < metric', '    |       ^'], /only a number/],
    ['(host = "a"', 'syntax', ['  1 | (host = "a"', '    |            ^'], /closing parenthesis/],
    ['metric = 1e+5', 'syntax', ['  1 | metric = 1e+5', '    |           ^'], /1e\+5 is no number/],
    ['(host) = "web1"', 'syntax', ['  1 | (host) = "web1"', '    |        ^'], /in parentheses cannot be compared/],
    ['host = "web1', 'syntax', ['  1 | host = "web1', '    |        ^'], /no closing quote/],
    ['service ~= "\\d"', 'text', ['  1 | service ~= "\\d"', '    |             ^'], /write \\\\d/],
    ['metric = 1L', 'number', ['  1 | metric = 1L', '    |          ^'], /write 1/],
    ['service ~= "("', 'regex', ['  1 | service ~= "("', '    |            ^'], /missing closing/],
    [
      'a and service ~= "a(?=b)"',
      'regex-unsupported',
      ['  1 | a and service ~= "a(?=b)"', '    |                  ^'],
      /character 2: look-ahead/,
    ],
    ['limit 5', 'syntax', ['  1 | limit 5', '    |       ^'], /join conditions/],
    ['true limit 0', 'syntax', ['  1 | true limit 0', '    |            ^'], /whole number from 1/],
    ['true sort metric', 'syntax', ['  1 | true sort metric', '    |           ^'], /sort by FIELD/],
  ]
  for (const [query, fault, excerpt, problem] of mistakes) {
    test(query, () => {
      const error = refusal(query)
      assert.equal(error.fault, fault)
      assert.match(error.problem, problem)
      assert.deepEqual(error.message.split('\n').slice(-2), excerpt)
      assert.equal(error.code, fault.startsWith('regex') ? 'QUERY_REGEX' : 'QUERY_SYNTAX')
    })
  }

  test('a long line is cut around the place', () => {
    const error = refusal(`${'host = "x" or '.repeat(100)}'`)
    const [line, caret] = error.message.split('\n').slice(-2)
    assert.ok(line.length < 140)
    assert.equal(line[caret.indexOf('^')], "'")
  })
})

describe('limits', () => {
  test('nesting', () => {
    const nested = (levels: number): string => '('.repeat(levels) + 'true' + ')'.repeat(levels)
    assert.deepEqual(parsePredicate(nested(nestingLimit)), {
      kind: 'truth',
      operand: { kind: 'constant', value: true },
    })
    assert.match(refusal(nested(nestingLimit + 1)).problem, /nested deeper/)
    assert.match(refusal('not '.repeat(60_000 / 4) + 'true').problem, /nested deeper/)
  })

  test('length, and a long chain is flat', () => {
    const chain = Array.from({ length: 5_000 }, () => 'host = 1').join(' or ')
    const parsed = parsePredicate(chain.slice(0, queryLengthLimit - 8).replace(/ or[^1]*$/, ''))
    assert.ok(parsed.kind === 'or' && parsed.terms.length > 4_000)
    assert.match(refusal(' '.repeat(queryLengthLimit) + 'true').problem, /longer than/)
  })
})

describe('the suffix for queries to the index', () => {
  test('sort and limit', () => {
    const { sort, limit } = parseQuery('metric > 1 sort by metric desc host asc dc limit 10')
    assert.deepEqual(sort, [
      { field: 'metric', descending: true },
      { field: 'host', descending: false },
      { field: 'dc', descending: false },
    ])
    assert.equal(limit, 10)
    assert.equal(parseQuery('true limit 3').limit, 3)
    assert.deepEqual(parseQuery('true sort by limit limit 3').sort, [{ field: 'limit', descending: false }])
  })

  test('its words are fields everywhere else', () => {
    for (const query of ['limit', 'sort = 1', 'by and desc', 'limit = 5 or sort > 1', 'not limit limit 2'])
      parseQuery(query)
    assert.deepEqual(parseQuery('sort sort by desc desc').sort, [{ field: 'desc', descending: true }])
  })

  test('predicates in rules take none', () => {
    assert.throws(() => parsePredicate('true limit 5'), /limit stands at the end of a query to the index only/)
  })
})

describe('keys for the planner', () => {
  const keys: [string, { host?: string; service?: string }][] = [
    ['host = "a"', { host: 'a' }],
    ['"a" = host and metric > 1 and service = "s"', { host: 'a', service: 's' }],
    ['(host = "a" and tagged "x") and service = "s"', { host: 'a', service: 's' }],
    ['host = "a" or service = "s"', {}],
    ['not host = "a"', {}],
    ['host != "a" and host =~ "a" and service = nil', {}],
  ]
  for (const [query, expected] of keys) test(query, () => assert.deepEqual(parseQuery(query).keys, expected))
})

const nameArbitrary = fc.oneof(
  fc.constantFrom(
    'host',
    'metric',
    'tags',
    'a-b',
    'foo:bar',
    'x!',
    '+1',
    '.5',
    '-',
    'sort',
    'limit',
    'by',
    'ünï',
    '日本',
  ),
  fc
    .stringMatching(/^[a-zA-Z_.*+$|&;?-][a-zA-Z0-9_.]{0,8}$/)
    .filter((name) => !/^(and|or|not|tagged|true|false|nil|null)$|^-?(NaN|Infinity|\d)/.test(name)),
)
const numberArbitrary: fc.Arbitrary<Operand> = fc.oneof(
  fc.integer().map((value): Operand => ({ kind: 'number', value, form: 'integer' })),
  fc
    .bigInt({ min: 2n ** 53n + 1n, max: 2n ** 63n - 1n })
    .map((value): Operand => ({ kind: 'number', value, form: 'integer' })),
  fc
    .bigInt({ min: 2n ** 53n + 1n, max: 2n ** 90n })
    .map((value): Operand => ({ kind: 'number', value: -value, form: 'arbitrary' })),
  fc.double().map((value): Operand => ({ kind: 'number', value, form: 'double' })),
)
const textArbitrary = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('"', '\\', '\n', '\t', 'a', '%') }),
)
const operandArbitrary: fc.Arbitrary<Operand> = fc.oneof(
  nameArbitrary.map((name): Operand => ({ kind: 'field', name })),
  textArbitrary.map((value): Operand => ({ kind: 'text', value })),
  numberArbitrary,
  fc.constantFrom(true, false, null).map((value): Operand => ({ kind: 'constant', value })),
)
const simpleArbitrary: fc.Arbitrary<Expression> = fc.oneof(
  operandArbitrary.map((operand): Expression => ({ kind: 'truth', operand })),
  fc
    .tuple(operandArbitrary, fc.constantFrom('=' as const, '!=' as const), operandArbitrary)
    .map(([left, operator, right]): Expression => ({ kind: 'comparison', operator, left, right })),
  fc
    .tuple(operandArbitrary, fc.constantFrom('<' as const, '>' as const, '<=' as const, '>=' as const), numberArbitrary)
    .map(([left, operator, right]): Expression => ({ kind: 'comparison', operator, left, right })),
  fc.tuple(operandArbitrary, textArbitrary).map(([left, pattern]): Expression => ({ kind: 'wildcard', left, pattern })),
  fc
    .tuple(operandArbitrary, fc.constantFrom('^a', 'a"\\\\b', '(?i)x|y', '[0-9]+$'))
    .map(([left, pattern]): Expression => ({ kind: 'regex', left, pattern })),
  textArbitrary.map((tag): Expression => ({ kind: 'tagged', tag })),
)
const { expression: expressionArbitrary } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 5 },
    simpleArbitrary,
    tie('expression').map((term): Expression => ({ kind: 'not', term })),
    fc
      .tuple(
        fc.constantFrom('and' as const, 'or' as const),
        fc.array(tie('expression'), { minLength: 2, maxLength: 4 }),
      )
      .map(([kind, [first, ...rest]]): Expression => ({
        kind,
        // As the parser has it: a chain never begins with a chain of its own kind.
        terms: first.kind === kind ? [...first.terms, ...rest] : [first, ...rest],
      })),
  ),
}))
const sortArbitrary: fc.Arbitrary<SortKey[]> = fc.array(
  fc.record(
    { field: nameArbitrary.filter((name) => name !== 'limit'), descending: fc.boolean() },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 3 },
)

describe('properties', () => {
  test('an expression printed and parsed again is the same', () => {
    fc.assert(
      fc.property(expressionArbitrary, (expression) => {
        assert.deepEqual(parsePredicate(printExpression(expression)), expression)
      }),
      { numRuns: 1_000 },
    )
  })

  test('so is a query with its suffix', () => {
    fc.assert(
      fc.property(
        expressionArbitrary,
        fc.option(sortArbitrary, { nil: undefined }),
        fc.option(fc.integer({ min: 1, max: 1e6 }), { nil: undefined }),
        (where, sort, limit) => {
          const parsed = parseQuery(printQuery({ where, sort, limit }))
          assert.deepEqual([parsed.where, parsed.sort, parsed.limit], [where, sort, limit])
        },
      ),
      { numRuns: 300 },
    )
  })

  const table = new SymbolTable()
  const event = new EventCursor()
  eventToCursor(
    { host: 'a', service: 'b\nc', metric: 1n << 60n, tags: ['x'], description: 'ö', attributes: { dc: 'f' } },
    table,
    event,
  )
  const judge = (text: string): void => {
    try {
      const verdict = compileExpression(parseQuery(text).where, table)(event)
      assert.equal(typeof verdict, 'boolean')
    } catch (error) {
      assert.ok(error instanceof QueryError, String(error))
      assert.ok(error.position <= text.length)
    }
  }

  test('any text is a query or a typed error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 80 }), fc.string({ maxLength: 200 })), judge),
      { numRuns: 3_000 },
    )
  })

  test('so is any soup of words', () => {
    const words = fc.constantFrom(
      'and',
      'or',
      'not',
      '(',
      ')',
      'host',
      'metric',
      '=',
      '!=',
      '<',
      '>=',
      '=~',
      '~=',
      '"a"',
      '"(x"',
      '"a{2"',
      '"%\\n"',
      '1',
      '-1.5',
      '1N',
      '1L',
      'nil',
      'true',
      'tagged',
      'sort',
      'by',
      'limit',
      'desc',
      '\\',
      ',',
      '"',
      '9'.repeat(30),
      '[',
      '\u00a0',
    )
    const soup = fc.array(fc.tuple(words, fc.constantFrom(' ', '', '\n')), { maxLength: 40 })
    fc.assert(
      fc.property(soup, (parts) => judge(parts.flat().join(''))),
      { numRuns: 5_000 },
    )
  })
})

function refusal(query: string): QueryError {
  try {
    parseQuery(query)
  } catch (error) {
    assert.ok(error instanceof QueryError)
    return error
  }
  throw new assert.AssertionError({ message: `${query} was taken` })
}
