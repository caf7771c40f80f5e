import type { SkipRecord } from '../records.ts'
import type { Node } from './tree.ts'

/** This many skips of one branch, and it is taken out until the rules are switched. */
export const skipsToQuarantine = 3

/**
 * What is left out of records that once stalled an engine, and how often each branch was. A branch is out from the third such event
 * on, not only from where the log says so: all that came meanwhile would stall one engine after the other.
 */
export class Skips {
  /** Skips of records to come, by offset; what a replica found by reading ahead, so no part of the state. */
  readonly #ahead = new Map<number, SkipRecord[]>()
  /** Per branch, which events it was skipped at since the rules were switched: three at most. State. */
  #skipped: Record<string, string[]> = {}
  /** Per branch, the events passed at which it was left out and whose skip is still to come: no part of the state. */
  readonly #passed = new Map<string, Set<string>>()

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

  /** An event is passed without what these skips name. */
  pass(skips: readonly SkipRecord[]): void {
    for (const { branch, offset, event } of skips) {
      if (branch === '') continue
      const passed = this.#passed.get(branch) ?? new Set()
      this.#passed.set(branch, passed.add(nameOf(offset, event)))
    }
  }

  /** Counts a skip against its branch; gives what it was skipped at when that makes the branch one to be taken out. */
  count({ branch, offset, event }: SkipRecord): readonly string[] | undefined {
    const skipped = (this.#skipped[branch] ??= [])
    const name = nameOf(offset, event)
    if (skipped.length >= skipsToQuarantine || skipped.includes(name)) return undefined
    skipped.push(name)
    return skipped.length === skipsToQuarantine ? skipped : undefined
  }

  quarantined({ path }: Node): boolean {
    const skipped = this.#skipped[path] ?? []
    const passed = this.#passed.get(path)
    if (passed === undefined) return skipped.length >= skipsToQuarantine
    return new Set([...skipped, ...passed]).size >= skipsToQuarantine
  }

  /** The rules were switched: every branch begins anew. */
  forgive(): void {
    this.#skipped = {}
    this.#passed.clear()
  }

  snapshot(): Record<string, string[]> {
    return this.#skipped
  }

  /**
   * @param offset up to which the restored state goes
   * @param rulesOffset of the rules in force there: what came before them counts no more
   */
  restore(skipped: Record<string, string[]>, offset: number, rulesOffset: number): void {
    this.#skipped = skipped
    for (const [ahead, skips] of this.#ahead) {
      if (ahead > offset) continue
      this.#ahead.delete(ahead)
      if (ahead > rulesOffset) this.pass(skips)
    }
  }
}

function nameOf(offset: number, event: number): string {
  return `${offset}/${event}`
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
