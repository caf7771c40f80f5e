import type { Query } from './ast.ts'
import { compileQuery } from './compile.ts'
import type { EventTest } from './fields.ts'
import { parseQuery } from './parser.ts'
import type { QueryTable } from './verdicts.ts'

/** Compiled queries kept: dashboards ask some dozens over and over, and each may hold a verdict per symbol (1 MB at most). */
export const queryCacheLimit = 64

/** A query, parsed, and its test on a cursor. */
export interface CompiledQuery {
  readonly query: Query
  readonly matches: EventTest
}

/** The queries asked lately, parsed and compiled for one symbol table; the one not asked for longest leaves. */
export class QueryCache {
  private readonly entries = new Map<string, CompiledQuery>()

  constructor(
    private readonly table: QueryTable,
    private readonly limit = queryCacheLimit,
  ) {}

  get size(): number {
    return this.entries.size
  }

  /** @throws QueryError with line, caret and what to do; what cannot be compiled is not kept */
  get(text: string): CompiledQuery {
    let entry = this.entries.get(text)
    if (entry === undefined) {
      const query = parseQuery(text)
      entry = { query, matches: compileQuery(query, this.table) }
    } else {
      this.entries.delete(text)
    }
    this.entries.set(text, entry)
    if (this.entries.size > this.limit) this.entries.delete(this.entries.keys().next().value!)
    return entry
  }
}
