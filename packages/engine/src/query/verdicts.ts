/** What a query reads besides the cursor: the engine's symbol table. */
export interface QueryTable {
  text(id: number): string
  tagsOf(set: number): Int32Array
  attributesOf(set: number): Int32Array
  /** Counts the sweeps that freed ids: an id may then mean another text. */
  readonly generation?: number
  /** Conditions keep their verdict on ids below this, at a byte each; on all ids without it. */
  readonly judgedOnce?: number
}

/** Verdicts kept at first; a condition on `state` never needs more. */
const firstCapacity = 64

const unknown = 0
const yes = 1
const no = 2

/**
 * What a condition says about each symbol (or set of tags or attributes), asked once per id: 5 ns where a regular expression costs
 * 100 to 600. A cache, never state. Rules have as many as they have conditions; queries, whose conditions anybody may give by the
 * thousand, keep verdicts on the first ids alone ({@link QueryTable.judgedOnce}).
 */
export class Verdicts {
  private known = new Int8Array(firstCapacity)
  private generation: number | undefined
  private readonly most: number

  constructor(
    private readonly table: QueryTable,
    private readonly judge: (id: number) => boolean,
  ) {
    this.generation = table.generation
    this.most = table.judgedOnce ?? Infinity
  }

  of(id: number): boolean {
    if (id >= this.most) return this.judge(id)
    const verdict = id < this.known.length ? this.known[id] : unknown
    return verdict !== unknown && this.table.generation === this.generation ? verdict === yes : this.ask(id)
  }

  private ask(id: number): boolean {
    if (this.table.generation !== this.generation) {
      this.generation = this.table.generation
      this.known.fill(unknown)
    }
    if (id >= this.known.length) {
      const larger = new Int8Array(Math.max(2 * this.known.length, id + 1))
      larger.set(this.known)
      this.known = larger
    }
    const verdict = this.judge(id)
    this.known[id] = verdict ? yes : no
    return verdict
  }
}
