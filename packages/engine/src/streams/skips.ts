import type { SkipRecord } from '../records.ts'
import type { Node } from './tree.ts'

/** This many skips of one branch, and it is taken out until the rules are switched. */
export const skipsToQuarantine = 3

/** What is left out of records that once stalled an engine, and how often each branch was. */
export class Skips {
  /** Skips of records to come, by offset; what a replica found by reading ahead, so no part of the state. */
  readonly #ahead = new Map<number, SkipRecord[]>()
  /** Per branch, which events it was skipped at since the rules were switched: three at most. State. */
  #skipped: Record<string, string[]> = {}

  constructor(ahead: readonly SkipRecord[]) {
    for (const skip of ahead) {
      const there = this.#ahead.get(skip.offset) ?? []
      if (!there.some((other) => other.event === skip.event && other.branch === skip.branch)) there.push(skip)
      this.#ahead.set(skip.offset, there)
    }
  }

  /** The skips of a record that is about to be applied; they are not needed again. */
  take(offset: number): readonly SkipRecord[] | undefined {
    const skips = this.#ahead.get(offset)
    if (skips !== undefined) this.#ahead.delete(offset)
    return skips
  }

  /** Counts a skip against its branch; gives what it was skipped at when that makes the branch one to be taken out. */
  count({ branch, offset, event }: SkipRecord): readonly string[] | undefined {
    const skipped = (this.#skipped[branch] ??= [])
    const name = `${offset}/${event}`
    if (skipped.length >= skipsToQuarantine || skipped.includes(name)) return undefined
    skipped.push(name)
    return skipped.length === skipsToQuarantine ? skipped : undefined
  }

  quarantined(node: Node): boolean {
    return (this.#skipped[node.path]?.length ?? 0) >= skipsToQuarantine
  }

  /** The rules were switched: every branch begins anew. */
  forgive(): void {
    this.#skipped = {}
  }

  snapshot(): Record<string, string[]> {
    return this.#skipped
  }

  /** @param offset up to which the restored state goes */
  restore(skipped: Record<string, string[]>, offset: number): void {
    this.#skipped = skipped
    for (const ahead of this.#ahead.keys()) if (ahead <= offset) this.#ahead.delete(ahead)
  }
}

/** Who is told when a branch is taken out: its own receivers, else those of the rule it is a part of. */
export function receiversOf(branch: string, root: Node, nodes: readonly Node[]): string[] {
  const own = new Set(nodes.filter((node) => node.path === branch).flatMap(receiversBelow))
  if (own.size > 0) return [...own]
  const rule = root.children.find((child) => branch === child.path || branch.startsWith(`${child.path} > `))
  return rule === undefined ? [] : [...new Set(receiversBelow(rule))]
}

function receiversBelow(node: Node): string[] {
  const own = (node.stream.args[1] as { readonly to?: readonly string[] } | undefined)?.to
  const pages = node.stream.operator === 'incident' || node.stream.operator === 'notify'
  return [...(pages ? (own ?? []) : []), ...node.children.flatMap(receiversBelow)]
}
