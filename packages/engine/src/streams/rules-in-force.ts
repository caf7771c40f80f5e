import { EngineError } from '../errors.ts'
import type { RulesRecord, SkipRecord } from '../records.ts'
import { defaultSettings, type EngineSettings, settingsFrom } from '../settings.ts'
import { semanticsFor } from './operator.ts'
import { Out } from './out.ts'
import type { Runtime } from './runtime.ts'
import { Skips } from './skips.ts'
import type { RulesDescription, Stream } from './stream.ts'
import { buildTree, type Node, type OnMatch, type Tree } from './tree.ts'

/**
 * What the engine does with records of a given log; a change of it is a new number, which takes effect by a rules record. This is the
 * newest that this release knows; it knows all older ones as well.
 *
 * 1: the first. 2: `forward`, records that say how far a flow went, and flows in snapshots.
 * 3: `group` of `incident`.
 */
export const engineSemantics = 3

/** The lowest engine semantics that rules need: a release that does not have them goes on with all others. */
export function semanticsOf(description: RulesDescription): number {
  const needed = ({ operator, args, children }: Stream): number =>
    Math.max(semanticsFor(operator, args), ...children.map(needed))
  return Math.max(1, ...description.streams.map(needed))
}

/** The rules that the log put in force last: their settings, their tree, where their record stands, and which branches of theirs are out. */
export class RulesInForce {
  settings: EngineSettings = defaultSettings
  tree: Tree | undefined
  /** To the outermost streams; where each event begins. */
  top: Out
  hash: string | undefined
  /** Of this log: the highest that a record of rules has asked for. */
  semantics = 1
  /** Offset of their record. */
  offset = -1
  /** Their record's own bytes, which every snapshot carries; empty before the first. */
  record = new Uint8Array(0)
  readonly skips: Skips
  readonly #runtime: Runtime
  readonly #describe: (record: RulesRecord) => RulesDescription

  /** @param describe gives what a record's bundle stands for; what it throws refuses the record */
  constructor(runtime: Runtime, describe: (record: RulesRecord) => RulesDescription, ahead: readonly SkipRecord[]) {
    this.#runtime = runtime
    this.#describe = describe
    this.skips = new Skips(ahead)
    this.top = new Out([], runtime)
  }

  get nodes(): readonly Node[] {
    return this.tree?.nodes ?? noNodes
  }

  /**
   * Puts a record's rules in force; they go on from the state of those before. What it throws leaves the old ones as they were.
   * @throws EngineError `RECORD_UNKNOWN` for engine semantics of another release, `RULES_INVALID`, `SETTING_INVALID`
   */
  load(record: RulesRecord, bytes: Uint8Array, onMatch?: OnMatch): void {
    if (!(record.semantics >= 1 && record.semantics <= engineSemantics)) {
      throw new EngineError(
        'RECORD_UNKNOWN',
        `the rules ask for engine semantics ${record.semantics}, this release has ${engineSemantics}; run the release that wrote them`,
      )
    }
    const description = this.#describe(record)
    const needed = semanticsOf(description)
    if (needed > record.semantics) {
      throw new EngineError(
        'RULES_INVALID',
        `the rules use what takes engine semantics ${needed}, but their record asks for ${record.semantics}; reload them with this release`,
      )
    }
    const before = this.settings
    this.settings = settingsFrom(record.settings)
    try {
      this.tree = buildTree(description, this.#runtime, this.tree, onMatch)
    } catch (error) {
      this.settings = before
      throw error
    }
    this.top = new Out(this.tree.root.children, this.#runtime)
    // a copy also of a Buffer, whose `slice` shares memory
    this.record = new Uint8Array(bytes)
    this.semantics = Math.max(this.semantics, record.semantics)
    this.hash = record.hash
  }

  /** Names of the incidents and notifications that are declared. */
  names(): Set<string> {
    const names = new Set<string>()
    for (const { stream } of this.nodes) {
      if (stream.operator === 'incident' || stream.operator === 'notify') names.add(String(stream.args[0]))
    }
    return names
  }

  /** The operators' paths by their numbers. */
  paths(): readonly string[] {
    const paths: string[] = []
    for (const node of this.nodes) paths[node.number] = node.path
    return Array.from(paths, (path) => path ?? '')
  }

  /** Takes the branches out that skips name, until {@link takeBack}. */
  leaveOut(skips: readonly SkipRecord[]): readonly Node[] {
    if (skips.length === 0) return noNodes
    this.skips.pass(skips)
    const left = this.nodes.filter((node) => skips.some((skip) => skip.branch === node.path))
    for (const node of left) node.disable()
    return left
  }

  takeBack(left: readonly Node[]): void {
    for (const node of left) if (!this.skips.quarantined(node)) node.enable()
  }

  /** Takes every branch out that was skipped too often. */
  quarantine(): void {
    for (const node of this.nodes) if (this.skips.quarantined(node)) node.disable()
  }
}

const noNodes: readonly Node[] = []
