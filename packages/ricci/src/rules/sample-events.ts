/**
 * Events made for a set of rules: of the hosts, services, states, tags, attributes and numbers that its queries and functions name,
 * so that they reach what lies behind them. The same rules give the same events.
 */
import type { Event } from '@ricci/client'
import {
  type Expression,
  isFold,
  type Operand,
  parsePredicate,
  type RulesDescription,
  type Stream,
} from '@ricci/engine'

/** What all operators on the way to a place ask of an event, as far as it can be read. */
type Way = readonly (readonly Expression[])[]

/** How often an event is made to pass what stands on its way; else it is made of anything. */
const guidedShare = 0.75
/** How often one predicate on the way is heeded: what does not pass is of interest too. */
const heededShare = 0.85
/** How often a field has a value of its own kind, and not any text of the rules: few different ones, so that keys come again. */
const plainShare = 0.6
/** Texts, numbers and attributes of the rules that are used at most: more would each come too rarely. */
const maxTexts = 200
const maxAttributes = 20

/**
 * Makes events without end, by a source of chance that begins the same each time.
 * @param code in which the rules stand: what their functions compare with may be written beside them
 */
export function sampleEvents(rules: RulesDescription, code: string): () => Event {
  const ways: Way[] = [[]]
  const texts = new Set<string>()
  const numbers = new Set<number>([0, 1])
  const attributes = new Set<string>()
  const visit = (stream: Stream, above: Way): void => {
    const asked: Expression[] = []
    for (const leaf of leaves(stream.args)) {
      if (typeof leaf === 'number') numbers.add(leaf)
      else if (typeof leaf === 'function') continue
      else if (stream.operator === 'tagged') asked.push({ kind: 'tagged', tag: leaf })
      else {
        const expression = queryOf(leaf)
        if (expression !== undefined) asked.push(expression)
        else if (stream.operator === 'by' && !fields.has(leaf)) attributes.add(leaf)
        else if (stream.operator !== 'by' && leaf.length <= 40) texts.add(leaf)
      }
    }
    const way = asked.length === 0 ? above : [...above, asked]
    if (stream.children.length === 0) ways.push(way)
    // what is not passed on goes to `otherwise`
    for (const child of stream.children) visit(child, child.operator === 'otherwise' ? above : way)
  }
  for (const stream of rules.streams) visit(stream, [])
  readFunction(code, texts, numbers, attributes)

  const chance = chanceFrom(20_261_121)
  const pick = <Item>(items: readonly Item[]): Item => items[Math.floor(chance() * items.length)]
  const written = [...texts].slice(0, maxTexts)
  const among = (plain: readonly string[]): string =>
    written.length === 0 || chance() < plainShare ? pick(plain) : pick(written)
  const metrics = [...numbers].slice(0, maxTexts)
  const names = [...attributes].slice(0, maxAttributes)
  return () => {
    const draft: Draft = {
      host: among(['a', 'b', 'c']),
      service: among(['x', 'y']),
      state: among(['ok', 'ok', 'warning', 'critical', 'critical', 'expired']),
      metric: pick(metrics) + pick([-1, -0.01, 0, 0.01, 1]),
      ttl: pick([undefined, 1, 10, 60]),
      tags: written.length > 0 && chance() < 0.3 ? [pick(written)] : [],
      attributes: Object.fromEntries(names.map((name) => [name, among(['1', '2'])])),
    }
    if (chance() < guidedShare) {
      for (const asked of pick(ways)) if (chance() < heededShare) satisfy(pick(asked), draft, true, chance)
    }
    return draft
  }
}

interface Draft extends Event {
  tags: string[]
  attributes: Record<string, string>
  [field: string]: unknown
}

const fields = new Set(['host', 'service', 'state', 'description', 'metric', 'time', 'ttl', 'tags'])

/** The texts, numbers and functions in an operator's arguments, at any depth; a fold's own are not the user's. */
function* leaves(value: unknown): Generator<string | number | ((...given: never[]) => unknown)> {
  if (typeof value === 'string' || typeof value === 'number') yield value
  else if (typeof value === 'function') yield value as () => unknown
  else if (value !== null && typeof value === 'object' && !isFold(value)) {
    for (const part of Object.values(value)) yield* leaves(part)
  }
}

/** A text as a query, where it is one; a bare word is a name. */
function queryOf(text: string): Expression | undefined {
  if (!/[=<>~]|\btagged\b|\b(and|or|not)\b/.test(text)) return undefined
  try {
    return parsePredicate(text)
  } catch {
    return undefined
  }
}

/** What functions compare with stands in their text: literals, also those of regular expressions, and attributes by their names. */
function readFunction(text: string, texts: Set<string>, numbers: Set<number>, attributes: Set<string>): void {
  for (const [, , literal] of text.matchAll(/(["'`])((?:(?!\1)[^\\\n]){1,40})\1/g)) texts.add(literal)
  for (const [, pattern] of text.matchAll(/[(=,:]\s*\/((?:[^/\\\n*]|\\.)(?:[^/\\\n]|\\.)*)\/[dgimsuy]*/g))
    texts.add(exampleOf(pattern))
  for (const [literal] of text.matchAll(/(?<![\w$.])\d+(?:\.\d+)?(?:e-?\d+)?/g)) numbers.add(Number(literal))
  for (const [, name] of text.matchAll(/attributes(?:\?)?(?:\.|\[["'])([\w-]+)/g)) attributes.add(name)
}

/** Makes an event hold for an expression, or not: as far as single fields allow. */
function satisfy(expression: Expression, draft: Draft, holds: boolean, chance: () => number): void {
  switch (expression.kind) {
    case 'and':
    case 'or': {
      const all = (expression.kind === 'and') === holds
      const terms = all ? expression.terms : [expression.terms[Math.floor(chance() * expression.terms.length)]]
      for (const term of terms) satisfy(term, draft, holds, chance)
      return
    }
    case 'not':
      return satisfy(expression.term, draft, !holds, chance)
    case 'tagged':
      draft.tags = draft.tags.filter((tag) => tag !== expression.tag)
      if (holds) draft.tags.push(expression.tag)
      return
    case 'wildcard':
      return set(expression.left, holds ? expression.pattern.replaceAll('%', chance() < 0.5 ? '' : '1') : 'none', draft)
    case 'regex':
      return set(expression.left, holds ? exampleOf(expression.pattern) : '', draft)
    case 'truth':
      return set(expression.operand, holds ? '1' : null, draft)
    case 'comparison': {
      const [field, literal] =
        expression.left.kind === 'field' ? [expression.left, expression.right] : [expression.right, expression.left]
      if (literal.kind === 'field') return
      const { value } = literal
      if (typeof value !== 'number' && typeof value !== 'bigint') {
        const equal = (expression.operator === '=') === holds
        return set(field, equal ? value : value === null ? 'some' : 'other', draft)
      }
      const size = Math.abs(Number(value)) || 1
      return set(field, Number(value) + size * stepFor(expression.operator, holds, chance() < 0.3), draft)
    }
  }
}

/** How far beside a bound a number lies, as a share of it, that holds or does not; `at` asks for the bound itself where it may be. */
function stepFor(operator: string, holds: boolean, at: boolean): number {
  const wanted = holds ? operator : { '=': '!=', '!=': '=', '<': '>=', '>': '<=', '<=': '>', '>=': '<' }[operator]
  if (wanted === '=') return 0
  if ((wanted === '<=' || wanted === '>=') && at) return 0
  return wanted === '<' || wanted === '<=' ? -0.1 : 0.1
}

function set(field: Operand, value: string | number | boolean | null, draft: Draft): void {
  if (field.kind !== 'field') return
  const { name } = field
  if (name === 'tags') return
  if (fields.has(name)) draft[name] = value === null ? undefined : isNumeric(name) ? Number(value) : String(value)
  else if (value === null) delete draft.attributes[name]
  else draft.attributes[name] = String(value)
}

function isNumeric(name: string): boolean {
  return name === 'metric' || name === 'time' || name === 'ttl'
}

/** A text that a plain regular expression finds; of richer ones, mostly not. */
function exampleOf(pattern: string): string {
  return pattern
    .replace(/\\d/g, '1')
    .replace(/\\w/g, 'a')
    .replace(/\\s/g, ' ')
    .replace(/\[\^?([^\]\\]|\\.)[^\]]*\]/g, '$1')
    .replace(/\((?:\?:)?([^|()]*)[^()]*\)/g, '$1')
    .replace(/^\^|\$$/g, '')
    .replace(/\.(?=[*+?]|$)/g, 'a')
    .replace(/(?<!\\)([*+?]|\{[^}]*\})/g, '')
    .replace(/\\(.)/g, '$1')
}

/** Numbers from 0 (included) to 1 (excluded), the same each time: a linear congruential source is enough to mix samples. */
function chanceFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
