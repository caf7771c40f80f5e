/**
 * What happened in a run, in order: one line per thing worth knowing, with the virtual time and who did it.
 * The hash of all lines tells whether two runs were the same; the lines themselves are kept only when somebody will read them.
 */
export class Trace {
  readonly #lines: string[] | undefined
  #hash = 0x811c9dc5
  #count = 0

  constructor(
    private readonly nowMs: () => number,
    options: { readonly keep: boolean },
  ) {
    this.#lines = options.keep ? [] : undefined
  }

  add(who: string, what: string): void {
    const now = this.nowMs()
    let hash = Math.imul(this.#hash ^ Math.round(now * 1_000), 0x01000193)
    for (let i = 0; i < what.length; i++) hash = Math.imul(hash ^ what.charCodeAt(i), 0x01000193)
    for (let i = 0; i < who.length; i++) hash = Math.imul(hash ^ who.charCodeAt(i), 0x01000193)
    this.#hash = hash
    this.#count++
    this.#lines?.push(`${(now / 1_000).toFixed(3).padStart(9)}  ${who.padEnd(12)} ${what}`)
  }

  /** The same for two runs that did the same. */
  get hash(): string {
    return `${(this.#hash >>> 0).toString(16).padStart(8, '0')}-${this.#count}`
  }

  /** Empty unless the lines were to be kept. */
  get lines(): readonly string[] {
    return this.#lines ?? []
  }
}
