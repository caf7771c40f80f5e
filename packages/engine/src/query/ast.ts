/** What a query says, as data. Words are Riemann's (`riemann.query`), chains of `and` and of `or` are flat. */

/** A literal or a field: what stands beside an operator. */
export type Operand =
  | { readonly kind: 'field'; readonly name: string }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number | bigint; readonly form: NumberForm }
  | { readonly kind: 'constant'; readonly value: boolean | null }

/** How a number was written. It changes nothing about its value; integers that doubles cannot hold are bigints. */
export type NumberForm = 'integer' | 'double' | 'arbitrary'

/** The query language's comparisons. */
export type ComparisonOperator = '=' | '!=' | '<' | '>' | '<=' | '>='

/** What a query asks of one event, parsed. */
export type Expression =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Expression[] }
  | { readonly kind: 'not'; readonly term: Expression }
  | {
      readonly kind: 'comparison'
      readonly operator: ComparisonOperator
      readonly left: Operand
      readonly right: Operand
    }
  /** `=~`: the whole text, `%` stands for anything within a line. */
  | { readonly kind: 'wildcard'; readonly left: Operand; readonly pattern: string }
  /** `~=`: a regular expression found anywhere in the text. */
  | { readonly kind: 'regex'; readonly left: Operand; readonly pattern: string }
  | { readonly kind: 'tagged'; readonly tag: string }
  /** An operand by itself: true unless absent, nil or false. */
  | { readonly kind: 'truth'; readonly operand: Operand }

/** One of the fields by which an answer is sorted. */
export interface SortKey {
  readonly field: string
  readonly descending: boolean
}

/** A query as it is asked of an index. */
export interface Query {
  readonly text: string
  readonly where: Expression
  /** Absent: the answer's order means nothing, as in Riemann. */
  readonly sort?: readonly SortKey[]
  readonly limit?: number
  /** What any matching event's host and service must be: the planner looks these up instead of scanning. */
  readonly keys: { readonly host?: string; readonly service?: string }
}
