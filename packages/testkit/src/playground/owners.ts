/** Who owns each partition, as the log says it to whoever follows it: the highest epoch counts, whoever tells of it. */

/** A word of an instance on a partition. */
export interface Word {
  readonly partition: number
  readonly epoch: number
  readonly owner?: string
}

/** Partitions that went from one to another. */
export interface Change {
  readonly partitions: readonly number[]
  readonly from: string | undefined
  readonly to: string
}

export class Owners {
  private readonly known = new Map<number, { readonly epoch: number; readonly owner: string }>()

  /** Takes what an instance says of the partitions it follows; gives what is news. */
  learn(words: readonly Word[]): Change[] {
    const changes = new Map<string, { partitions: number[]; from: string | undefined; to: string }>()
    for (const { partition, epoch, owner } of words) {
      const before = this.known.get(partition)
      if (owner === undefined || epoch <= (before?.epoch ?? 0)) continue
      this.known.set(partition, { epoch, owner })
      if (owner === before?.owner) continue
      const way = `${before?.owner} ${owner}`
      const change = changes.get(way) ?? { partitions: [], from: before?.owner, to: owner }
      change.partitions.push(partition)
      changes.set(way, change)
    }
    return [...changes.values()]
  }

  ownerOf(partition: number): string | undefined {
    return this.known.get(partition)?.owner
  }

  /** Partitions of an owner, in order. */
  of(owner: string): number[] {
    return [...this.known]
      .flatMap(([partition, known]) => (known.owner === owner ? [partition] : []))
      .sort((a, b) => a - b)
  }
}
