/**
 * Riemann's query language (`query.g4`), as a strict superset: the whole text must be a query, and an index may be asked with
 * a suffix of our own, `sort by FIELD [asc|desc] … limit N`. `not` binds closer than `and`, `and` closer than `or`.
 *
 * ```
 * query     : predicate [ "sort" "by" ( NAME ["asc"|"desc"] )+ ] [ "limit" NUMBER ]
 * predicate : and ( "or" and )*          and : unary ( "and" unary )*         unary : "not" unary | "(" predicate ")" | simple
 * simple    : "tagged" TEXT | value [ ("="|"!=") value | ("<"|">"|"<="|">=") NUMBER | ("=~"|"~=") TEXT ]
 * ```
 * `sort`, `by` and `limit` are words only after a whole predicate, where Riemann ignores what follows; elsewhere they are fields.
 */
import type { ComparisonOperator, Expression, Operand, Query, SortKey } from './ast.ts'
import { QueryError } from './errors.ts'
import { requiredKeys } from './keys.ts'
import { tokens, type Token } from './lexer.ts'
import { compileRegex } from './regex.ts'
import { readNumber, readText } from './text.ts'

/** How deep parentheses and `not` may nest: the parser recurses, and nobody reads a tenth of this. */
export const nestingLimit = 250

/**
 * Parses a query to an index.
 * @throws QueryError with line, caret and what to do
 */
export function parseQuery(text: string): Query {
  const parser = new Parser(text)
  const where = parser.predicate()
  const sort = parser.sort()
  const limit = parser.limit()
  parser.end()
  return {
    text,
    where,
    ...(sort === undefined ? {} : { sort }),
    ...(limit === undefined ? {} : { limit }),
    keys: requiredKeys(where),
  }
}

/**
 * Parses a predicate: a query without `sort` and `limit`, as `where('…')` takes it.
 * @throws QueryError with line, caret and what to do
 */
export function parsePredicate(text: string): Expression {
  const parser = new Parser(text)
  const where = parser.predicate()
  parser.end()
  return where
}

class Parser {
  private readonly tokens: readonly Token[]
  private next = 0
  private depth = 0
  /** A mistake inside a number, string or pattern: told only when the grammar holds, as Riemann does. */
  private inner: QueryError | undefined

  constructor(private readonly text: string) {
    this.tokens = tokens(text)
  }

  predicate(): Expression {
    return this.chain('or', () => this.chain('and', () => this.unary()))
  }

  /** `a and b and c` as one flat node; a nested node of the same kind on the left is the same thing. */
  private chain(word: 'and' | 'or', operand: () => Expression): Expression {
    const terms = [operand()]
    while (this.takeWord(word)) terms.push(operand())
    if (terms.length === 1) return terms[0]
    const [first, ...rest] = terms
    return { kind: word, terms: first.kind === word ? [...first.terms, ...rest] : terms }
  }

  private unary(): Expression {
    const token = this.peek()
    if (token.kind === '(' || (token.kind === 'word' && token.text === 'not')) {
      if (++this.depth > nestingLimit) this.refuse(`nested deeper than ${nestingLimit} levels; simplify it`)
      this.next++
      const inner = token.kind === '(' ? this.predicate() : this.unary()
      if (token.kind === '(') this.expect(')', 'a closing parenthesis')
      this.depth--
      return token.kind === '(' ? inner : { kind: 'not', term: inner }
    }
    return this.simple()
  }

  private simple(): Expression {
    if (this.takeWord('tagged')) {
      return { kind: 'tagged', tag: this.literalText('the tag in double quotes: tagged "web"') }
    }
    const left = this.operand()
    const token = this.peek()
    if (token.kind !== 'operator') return { kind: 'truth', operand: left }
    this.next++
    switch (token.text) {
      case '=~':
        return { kind: 'wildcard', left, pattern: this.literalText('a pattern in double quotes: =~ "web%"') }
      case '~=': {
        const at = this.peek()
        const pattern = this.literalText('a regular expression in double quotes: ~= "^web[0-9]"')
        this.attempt(() => compileRegex(pattern, { text: this.text, position: at.position }))
        return { kind: 'regex', left, pattern }
      }
      default: {
        const operator = token.text as ComparisonOperator
        if (operator !== '=' && operator !== '!=' && this.peek().kind !== 'number') {
          this.refuse(`only a number may stand to the right of ${operator}; write field ${operator} number`)
        }
        return { kind: 'comparison', operator, left, right: this.operand() }
      }
    }
  }

  private operand(): Operand {
    const token = this.peek()
    switch (token.kind) {
      case 'name':
        this.next++
        return { kind: 'field', name: token.text }
      case 'text':
        this.next++
        return { kind: 'text', value: this.attempt(() => readText(token, this.text)) ?? '' }
      case 'number':
        this.next++
        return this.attempt(() => readNumber(token, this.text)) ?? { kind: 'number', value: 0, form: 'integer' }
      case 'word':
        if (token.text in constants) {
          this.next++
          return { kind: 'constant', value: constants[token.text] }
        }
    }
    return this.refuse(`expected a field or a value${token.kind === 'end' ? ', but the query ends' : ''}`)
  }

  private literalText(expected: string): string {
    const token = this.expect('text', expected)
    return this.attempt(() => readText(token, this.text)) ?? ''
  }

  /** The suffix `sort by …`, if it is there. */
  sort(): SortKey[] | undefined {
    if (!this.takeName('sort')) return undefined
    if (!this.takeName('by')) this.refuse('write sort by FIELD, and desc behind it for the greatest first')
    const keys: SortKey[] = []
    while (this.peek().kind === 'name' && (keys.length === 0 || !this.atLimit())) {
      const field = this.peek().text
      this.next++
      const descending = this.takeName('desc')
      if (!descending) this.takeName('asc')
      keys.push({ field, descending })
    }
    if (keys.length === 0) this.refuse('sort by needs the name of a field')
    return keys
  }

  /** The suffix `limit N`, if it is there. */
  limit(): number | undefined {
    if (!this.takeName('limit')) return undefined
    const token = this.expect('number', 'a whole number, as in limit 10')
    const { value, form } = readNumber(token, this.text)
    if (form !== 'integer' || typeof value !== 'number' || value < 1) {
      throw new QueryError('syntax', 'limit takes a whole number from 1', this.text, token.position)
    }
    return value
  }

  /** Nothing may be left; then mistakes inside tokens are told. */
  end(): void {
    const token = this.peek()
    if (token.kind !== 'end') this.refuse(this.leftOver(token))
    if (this.inner !== undefined) throw this.inner
  }

  private leftOver(token: Token): string {
    const before = this.tokens[this.next - 1]
    if (token.kind === ')') return 'this parenthesis closes nothing'
    if (token.kind === 'operator' && before.kind === ')') return 'what stands in parentheses cannot be compared'
    if (/^(and|or|not)$/i.test(token.text)) return `and, or and not are written in small letters`
    if (before.kind === 'number' && before.position + before.text.length === token.position) {
      return `${before.text}${token.text} is no number; numbers look like 1, -0.5 or 1e-3`
    }
    if (token.text === 'sort' || token.text === 'limit') {
      return `${token.text} stands at the end of a query to the index only: PREDICATE sort by FIELD limit N`
    }
    return 'the query ended before this; join conditions with and, or'
  }

  private atLimit(): boolean {
    return this.peek().text === 'limit' && this.tokens[this.next + 1].kind === 'number'
  }

  private peek(): Token {
    return this.tokens[this.next]
  }

  private takeWord(word: string): boolean {
    return this.take('word', word)
  }

  private takeName(name: string): boolean {
    return this.take('name', name)
  }

  private take(kind: Token['kind'], text: string): boolean {
    const token = this.peek()
    if (token.kind !== kind || token.text !== text) return false
    this.next++
    return true
  }

  private expect(kind: Token['kind'], what: string): Token {
    const token = this.peek()
    if (token.kind !== kind) this.refuse(`expected ${what}`)
    this.next++
    return token
  }

  private attempt<T>(read: () => T): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof QueryError)) throw error
      this.inner ??= error
      return undefined
    }
  }

  private refuse(problem: string): never {
    throw new QueryError('syntax', problem, this.text, this.peek().position)
  }
}

const constants: Readonly<Record<string, boolean | null>> = { true: true, false: false, nil: null, null: null }
