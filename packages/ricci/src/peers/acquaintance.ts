/**
 * Whether the others of the cluster know this instance, as far as what it asked of them says. One that has another secret, or a certificate of
 * another authority, reads the log and may own like any other, but nobody answers it, and it cannot answer for the whole.
 */
export interface Met {
  readonly instance: string
  /** Where it is asked. */
  readonly address: string
}

export class Acquaintance {
  /** By address, those that refused us, and have not answered since. */
  private readonly refusing = new Set<string>()
  /** Names of those that were there when this instance came. */
  private first: ReadonlySet<string> | undefined
  private everKnown = false

  /** Somebody was asked: it answered, whatever it said; or it is not known to us, or does not know us. */
  note(address: string, answered: boolean): void {
    if (answered) {
      this.everKnown = true
      this.refusing.delete(address)
    } else this.refusing.add(address)
  }

  /** Told of the others at each change. Who is gone is forgotten. */
  meet(others: readonly Met[]): void {
    this.first ??= new Set(others.map(({ instance }) => instance))
    const there = new Set(others.map(({ address }) => address))
    for (const address of this.refusing) if (!there.has(address)) this.refusing.delete(address)
  }

  /** Names of the others that refuse us. */
  refusedBy(others: readonly Met[]): readonly string[] {
    return others.flatMap(({ instance, address }) => (this.refusing.has(address) ? [instance] : []))
  }

  /**
   * Whether this instance is the one whose secret is wrong: nobody has ever answered it, and two refuse it or one that was there before. Of two
   * that do not know each other, the one that was there goes on as it was.
   */
  isStranger(others: readonly Met[]): boolean {
    const refusing = this.refusedBy(others)
    return !this.everKnown && (refusing.length > 1 || refusing.some((name) => this.first?.has(name) === true))
  }
}
