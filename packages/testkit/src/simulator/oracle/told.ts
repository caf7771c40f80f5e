import { offsetOf } from './ledger.ts'
import type { Decision } from './truth.ts'

/** Rule of a digest that stands for pages of several rules, where too many wait for one receiver. */
const anyRule = 'overflow'
/** Rule of a digest of pages that waited for over an hour: all of them were decided one by one before. */
const waited = 'digest'

/**
 * What a log decided, by the record that decided it: pages of their own, and members of overflow digests, which have nothing but an
 * id. An id names its record. Whatever the truth asks for is taken out; what is left was decided without cause.
 */
export class Told {
  readonly #pages = new Map<string, Decision[]>()
  /** Members of digests that nobody has asked for yet. */
  readonly #members = new Map<string, number>()
  readonly #taken = new Set<Decision>()
  readonly #downs: { readonly host: string | undefined; readonly offset: number }[] = []
  /** Members of digests, all in all. */
  members = 0

  constructor(decisions: readonly Decision[]) {
    for (const decision of decisions) {
      const { rule, host, action, members } = decision.page
      if (members === undefined) {
        const key = `${rule}/${host}/${action}/${decision.offset}`
        this.#pages.set(key, [...(this.#pages.get(key) ?? []), decision])
        if (rule === 'host-down' && action === 'trigger') this.#downs.push({ host, offset: decision.offset })
      } else if (rule !== waited && action !== 'resolve') {
        for (const id of members) this.#member(rule, action, offsetOf(id))
      }
    }
  }

  /** Whether the record decided such a page, or one more member of a digest; it is not there a second time. */
  take(rule: string, host: string, offset: number, action: string): boolean {
    const page = this.#pages.get(`${rule}/${host}/${action}/${offset}`)?.find((decision) => !this.#taken.has(decision))
    if (page !== undefined) {
      this.#taken.add(page)
      return true
    }
    return this.#takeMember(`${rule}/${action}/${offset}`) || this.#takeMember(`${anyRule}/${action}/${offset}`)
  }

  /** Whether a host was reported down after one record and not after another; a digest's member may be about any host. */
  isDown(host: string, after: number, upTo: number): boolean {
    return this.#downs.some((down) => (down.host ?? host) === host && down.offset > after && down.offset <= upTo)
  }

  /** What such a rule decided and nobody asked for: each in words. */
  left(rules: readonly string[], action: string): string[] {
    const pages = [...this.#pages.values()].flat().filter((decision) => {
      const { page } = decision
      return rules.includes(page.rule) && page.action === action && !this.#taken.has(decision)
    })
    const members = [...this.#members].filter(
      ([key, count]) => count > 0 && rules.some((rule) => key.startsWith(`${rule}/${action}/`)),
    )
    return [
      ...pages.map(({ page, offset }) => `offset ${offset} pages ${page.rule} of ${page.host}`),
      ...members.map(([key, count]) => `a digest names ${count} pages ${key}`),
    ]
  }

  #member(rule: string, action: string, offset: number): void {
    const key = `${rule}/${action}/${offset}`
    this.members++
    this.#members.set(key, (this.#members.get(key) ?? 0) + 1)
    if ((rule === 'host-down' || rule === anyRule) && action === 'trigger')
      this.#downs.push({ host: undefined, offset })
  }

  #takeMember(key: string): boolean {
    const count = this.#members.get(key) ?? 0
    if (count > 0) this.#members.set(key, count - 1)
    return count > 0
  }
}
