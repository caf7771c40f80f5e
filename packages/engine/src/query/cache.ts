import type { EventCursor } from '@ricci/client'
import type { Query } from './ast.ts'
import { compileQuery } from './compile.ts'
import { costOf } from './cost.ts'
import type { EventTest } from './fields.ts'
import { parseQuery } from './parser.ts'
import type { QueryTable } from './verdicts.ts'

/** Compiled queries kept: dashboards ask some dozens over and over, and as many as may watch do so with one of their own. */
export const queryCacheLimit = 1_024
/** Characters of all queries kept, and the newest one: at some ten a condition, this bounds the verdicts kept to some 100 MB. */
const charactersKept = 65_536
/** Ids that a query's conditions judge once: more than a fleet of ten thousand hosts has. */
const judgedOnce = 16_384

/** A query, parsed, and its test on a cursor. */
export interface CompiledQuery {
  readonly query: Query
  readonly matches: EventTest
  /** What it costs to put it to an event, in those of a simple query: a budget of rows is counted in them. */
  readonly cost: (event: EventCursor) => number
}

/** The queries asked lately, parsed and compiled for one symbol table; the one not asked for longest leaves. */
export class QueryCache {
  private readonly entries = new Map<string, CompiledQuery>()
  private readonly table: QueryTable
  private characters = 0

  constructor(
    table: QueryTable,
    private readonly limit = queryCacheLimit,
  ) {
    this.table = {
      text: (id) => table.text(id),
      tagsOf: (set) => table.tagsOf(set),
      attributesOf: (set) => table.attributesOf(set),
      get generation() {
        return table.generation
      },
      judgedOnce,
    }
  }

  get size(): number {
    return this.entries.size
  }

  /** @throws QueryError with line, caret and what to do; what cannot be compiled is not kept */
  get(text: string): CompiledQuery {
    let entry = this.entries.get(text)
    if (entry === undefined) {
      const query = parseQuery(text)
      entry = { query, matches: compileQuery(query, this.table), cost: costOf(query.where) }
      this.characters += text.length
    } else {
      this.entries.delete(text)
    }
    this.entries.set(text, entry)
    for (const oldest of this.entries.keys()) {
      if (oldest === text || (this.entries.size <= this.limit && this.characters <= charactersKept)) break
      this.entries.delete(oldest)
      this.characters -= oldest.length
    }
    return entry
  }
}
