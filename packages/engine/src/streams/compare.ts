/** What is other about one set of rules than about another, for people who are about to switch. Nothing here decides. */
import { operatorNamed } from './operator.ts'
import { describeArgument, type RulesDescription, type Stream } from './stream.ts'
import { holdsState, type OnMatch, type RulesReport } from './tree.ts'

/** What a switch would do, and what it is made of. Operators are named by their paths. */
export interface RulesDifference extends RulesReport {
  /** Operators that keep what they hold at another place in the tree. */
  readonly moved: readonly { readonly from: string; readonly to: string }[]
  /** Arguments of operators that are the same in both, as their author sees it. */
  readonly changed: readonly ArgumentChange[]
  /** Names of incidents: an incident is known by its name and key, never by its place. */
  readonly incidents: {
    readonly kept: readonly string[]
    readonly fresh: readonly string[]
    readonly dropped: readonly string[]
  }
}

/** One argument that differs, as text: queries and texts in quotes, functions by their own text. */
export interface ArgumentChange {
  /** In the new rules. */
  readonly path: string
  /** Name of the option; empty where the operator's arguments have no names. */
  readonly option: string
  /** Absent where there was none. */
  readonly from?: string
  readonly to?: string
}

/** A function longer than this is cut: it is shown to be recognised, not to be read. */
const maxArgumentText = 120

/** @param load puts the old rules in force and then the new ones, telling of the matches of the latter */
export function differenceOf(
  before: RulesDescription,
  after: RulesDescription,
  load: (onMatch: OnMatch) => RulesReport,
): RulesDifference {
  const moved: { from: string; to: string }[] = []
  const changed: ArgumentChange[] = []
  const report = load((node, partner, whole) => {
    if (partner === undefined) return
    const { stream, path, spec } = node
    if (whole && partner.path !== path && holdsState(spec, operatorNamed(stream.operator))) {
      moved.push({ from: partner.path, to: path })
    }
    for (const change of argumentChanges(partner.stream, stream)) changed.push({ path, ...change })
  })
  const [old, now] = [incidentNames(before), incidentNames(after)]
  return {
    ...report,
    moved,
    changed,
    incidents: {
      kept: [...now].filter((name) => old.has(name)),
      fresh: [...now].filter((name) => !old.has(name)),
      dropped: [...old].filter((name) => !now.has(name)),
    },
  }
}

function* argumentChanges(before: Stream, after: Stream): Generator<Omit<ArgumentChange, 'path'>> {
  for (let i = 0; i < Math.max(before.args.length, after.args.length); i++) {
    const [from, to] = [before.args[i], after.args[i]]
    if (!isOptions(from) || !isOptions(to)) yield* change('', from, to)
    else
      for (const name of new Set([...Object.keys(from), ...Object.keys(to)])) yield* change(name, from[name], to[name])
  }
}

function* change(option: string, before: unknown, after: unknown): Generator<Omit<ArgumentChange, 'path'>> {
  const [from, to] = [argumentText(before), argumentText(after)]
  if (from.whole !== to.whole) yield { option, from: from.shown, to: to.shown }
}

function argumentText(value: unknown): { readonly whole: string; readonly shown?: string } {
  if (value === undefined) return { whole: '' }
  const whole = JSON.stringify(describeArgument(value))
  const text = typeof value === 'function' ? String(value).replaceAll(/\s+/g, ' ') : whole
  return { whole, shown: text.length > maxArgumentText ? `${text.slice(0, maxArgumentText - 1)}…` : text }
}

function isOptions(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

function incidentNames({ streams }: RulesDescription): Set<string> {
  const names = new Set<string>()
  const visit = ({ operator, args, children }: Stream): void => {
    if (operator === 'incident') names.add(String(args[0]))
    children.forEach(visit)
  }
  streams.forEach(visit)
  return names
}
