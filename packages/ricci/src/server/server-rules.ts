/** The rules of a server: its folder's, those in force in each partition, and the way from the one to the other. */
import { encodeRecord, type RulesRecord, type RulesReport } from '@ricci/engine'
import type { Clock } from '@ricci/replica'
import type { Config } from '../config/config.ts'
import { RicciError } from '../errors.ts'
import type { Degraded } from '../http/backend.ts'
import type { OpenIncidents } from '../peers/incidents.ts'
import { missingNames, type NamesUsed } from '../rules/names-used.ts'
import type { TypeCheck } from '../rules/type-check.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { ServerLog } from './backends.ts'
import type { Partition } from './partition.ts'
import {
  checkRules,
  compareRules,
  differences,
  fingerprintOf,
  readRules,
  type ComparedRules,
  type FolderRules,
  type RulesChecks,
} from './rules-source.ts'
import { assertFewResolve, resolvedBy, settingChanges, type RulesPreview } from './rules-switch.ts'
import type { RulesStatus } from './status.ts'

export interface ServerRulesOptions {
  readonly config: Config
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Checks the types of rules at each reload; without it a process is started for each. */
  readonly types: TypeCheck | undefined
  /** Throws once the server stops: what was cut short by its end was not checked. */
  readonly assertRuns: () => void
}

/** Where rules are in force. */
export interface RulesPlaces {
  readonly log: ServerLog
  readonly partitions: number
  /** A partition's replica here; undefined where there is none. */
  here(partition: number): Partition | undefined
  /** Fingerprints of what is in force in partitions that are not here, as far as other instances say. */
  elsewhere(): Promise<ReadonlyMap<number, string>>
  /** Has every other live instance load them, and throw them away. @throws RicciError what the first was refused with */
  tryElsewhere(rules: RulesRecord): Promise<void>
  /** All open incidents, a part at a time. */
  open(): AsyncIterable<OpenIncidents>
}

export interface ReloadOptions {
  /** Everything is checked, and nothing is switched. */
  readonly dryRun?: boolean
  /** However many open incidents resolve by it. */
  readonly yes?: boolean
}

/** What a reload came to. */
export interface Reload {
  /** Whether folder and configuration said something else than what was in force, and do so no more. */
  readonly switched: boolean
  /** What was, or would be, other; absent where nothing is. */
  readonly preview?: RulesPreview
  /** What the switch did to the state of operators; absent where nothing was switched, or no engine here has got there yet. */
  readonly report?: RulesReport
  /** What the checks before the switch came to. */
  readonly checks?: SettledChecks
}

/** What checks came to, for people. */
export type SettledChecks = Omit<RulesChecks, 'compared'>

/** How long a reload waits for the engines to have read what is in the log, and then for their switch. */
const reloadWaitMs = 5_000

export class ServerRules {
  /** The folder's, once they were read. */
  folder: RulesRecord | undefined
  private error: Error | undefined
  /** What the rules in force name and the configuration lacks, in words. */
  private namesError: string | undefined
  /** That types are not checked is said once. */
  private toldOfTypes = false
  private looking: Promise<void> | undefined

  constructor(private readonly options: ServerRulesOptions) {}

  /**
   * Reads the folder's rules. Without a log to go on with they are needed, and checked, before anything is taken in. With one, the
   * old rules run on: a start switches nothing, so it checks nothing (types and laws are two seconds of CPU).
   */
  async load(needed: boolean): Promise<void> {
    const { config, telemetry } = this.options
    try {
      const folder = await readRules(config)
      this.folder = needed ? recordOf(folder, await this.check(folder)) : folder.record
    } catch (error) {
      if (needed || !(error instanceof RicciError)) throw error
      this.error = error
      telemetry.log.error(`${error.message}\nthe rules in force run on`)
    }
  }

  /**
   * Loads the folder's again and, where they or the settings that ride with them differ from those in force in a partition, appends
   * them to its log: every replica switches at that record.
   * @throws RicciError `RULES_…`: the old rules run on
   */
  async reload(places: RulesPlaces, options: ReloadOptions): Promise<Reload> {
    try {
      return await this.switchTo(await readRules(this.options.config), places, options)
    } catch (error) {
      if (options.dryRun !== true) this.error = error as Error
      throw error
    }
  }

  /** What a reload would do; of the checks only that they load. @throws RicciError `RULES_…` */
  async preview(places: RulesPlaces): Promise<RulesPreview> {
    const { config, clock } = this.options
    const { record } = await readRules(config)
    const partitions = await this.behind(record, places)
    const compared = await compareRules(record, config, clock, await bundleInForce(places))
    return this.previewOf(record, compared, partitions, places)
  }

  private async switchTo(
    folder: FolderRules,
    places: RulesPlaces,
    { dryRun = false, yes = false }: ReloadOptions,
  ): Promise<Reload> {
    const { record: rules } = folder
    const { log, here } = places
    const behind = await this.behind(rules, places)
    if (behind.length === 0) {
      this.folder = rules
      this.error = undefined
      return { switched: false }
    }
    const { compared, ...checks } = await this.check(folder, await bundleInForce(places))
    await places.tryElsewhere(rules)
    const preview = await this.previewOf(rules, compared, behind, places)
    // whatever comes of the switch: what was wrong with the folder is not any more
    this.folder = recordOf(folder, checks)
    this.error = undefined
    if (dryRun) return { switched: false, checks, preview }
    if (!yes) assertFewResolve(preview.resolves, compared)
    this.options.assertRuns()
    const bytes = encodeRecord(this.folder)
    const reports = await Promise.all(
      behind.map(async (partition) => {
        const [offset] = await log.append(partition, [bytes], 'act')
        return this.switched(here(partition), rules, offset)
      }),
    )
    const report = reports.find((each) => each !== undefined)
    if (report === undefined) return { switched: true, checks, preview }
    this.options.telemetry.rulesSwitched(rules.hash, report)
    return { switched: true, checks, preview, report }
  }

  private async previewOf(
    rules: RulesRecord,
    compared: ComparedRules,
    partitions: readonly number[],
    places: RulesPlaces,
  ): Promise<RulesPreview> {
    const inForce = engineHere(places)?.rules
    return {
      inForce: inForce?.hash,
      onDisk: rules.hash,
      partitions,
      settings: settingChanges(inForce?.settings, rules.settings),
      rules: compared.difference,
      resolves: await resolvedBy(compared.names, places.open()),
    }
  }

  /** Partitions that do not, as far as is known, run these rules. One that cannot be asked in time is simply told again. */
  private async behind(rules: RulesRecord, { log, partitions, here, elsewhere }: RulesPlaces): Promise<number[]> {
    const numbers = Array.from({ length: partitions }, (_, partition) => partition)
    const isAway = (partition: number): boolean => here(partition) === undefined
    const others = numbers.some(isAway) ? await elsewhere() : new Map<number, string>()
    const runsThem = async (partition: number): Promise<boolean> => {
      const engine = here(partition)?.engine
      if (engine === undefined) return others.get(partition) === fingerprintOf(rules)
      // what is in force is what the log says, up to its end
      const end = await log.endOf(partition)
      return (await engine.hasApplied(end - 1, reloadWaitMs)) && differences(engine.rules, rules).length === 0
    }
    const run = await Promise.all(numbers.map(runsThem))
    return numbers.filter((_, place) => !run[place])
  }

  /** What a switch did here, if it can be seen in time. @throws RicciError `RULES_REFUSED` */
  private async switched(
    partition: Partition | undefined,
    rules: RulesRecord,
    offset: number,
  ): Promise<RulesReport | undefined> {
    if (partition === undefined) return undefined
    const { engine } = partition
    if (!(await engine.hasApplied(offset, reloadWaitMs))) return undefined
    if (differences(engine.rules, rules).length > 0) {
      throw new RicciError('RULES_REFUSED', 'the engine refused the rules, the old ones run on; its alarm says why')
    }
    const report = engine.rules?.switched
    return report?.offset === offset ? report : undefined
  }

  private async check(folder: FolderRules, before?: Uint8Array): Promise<RulesChecks> {
    const { config, clock, types, telemetry } = this.options
    const checks = await checkRules(folder, config, clock, types, before)
    const { typesUnchecked } = checks
    if (typesUnchecked !== undefined && !this.toldOfTypes) {
      this.toldOfTypes = true
      telemetry.log.warn(`types of rules are not checked: ${typesUnchecked}`)
    }
    return checks
  }

  /** The configuration may have changed since the rules in force were checked with the one before. */
  holdToConfig(used: NamesUsed): void {
    const { config, telemetry } = this.options
    const before = this.namesError
    this.namesError = missingNames(used, config)
    if (this.namesError !== undefined && this.namesError !== before) telemetry.log.error(this.namesError)
  }

  /** Rules came into force here. Where another instance switched to them, the folder may hold them by now. */
  lookAgain(running: readonly Pick<Partition, 'engine'>[]): Promise<void> {
    if (this.differs(running).length === 0) return Promise.resolve()
    return (this.looking ??= this.look().finally(() => (this.looking = undefined)))
  }

  private async look(): Promise<void> {
    // what is wrong with it a reload says, or the next start
    const found = await readRules(this.options.config).catch(() => undefined)
    if (found !== undefined) this.folder = found.record
  }

  /** What of them is worse than it should be. */
  *degraded(running: readonly Partition[]): Iterable<Degraded> {
    const part = 'rules'
    if (this.error !== undefined) {
      const why = this.error.message.split('\n')[0]
      yield { part, detail: `the folder's rules cannot be loaded, the old ones run on: ${why}` }
    } else if (this.namesError !== undefined) yield { part, detail: this.namesError }
    else {
      const differs = this.differs(running)
      if (differs.length > 0) {
        yield { part, detail: `not those in force: ${differs.join(', ')}; reload to switch` }
      }
    }
  }

  status(running: readonly Partition[]): RulesStatus {
    return {
      folder: this.options.config.rulesFolder,
      inForce: running.find(({ engine }) => engine.progress?.rulesHash !== undefined)?.engine.progress?.rulesHash,
      onDisk: this.folder?.hash,
      differs: this.differs(running),
      error: this.error?.message,
      switched: running.find(({ engine }) => engine.rules?.switched !== undefined)?.engine.rules?.switched,
    }
  }

  /** What of folder and configuration is not what some engine here runs. */
  private differs(running: readonly Pick<Partition, 'engine'>[]): readonly string[] {
    const { folder } = this
    if (folder === undefined) return []
    const names = running.flatMap(({ engine }) => (engine.rules === undefined ? [] : differences(engine.rules, folder)))
    return [...new Set(names)]
  }
}

/** Of the first partition here that runs any. */
function engineHere({ partitions, here }: RulesPlaces): Partition['engine'] | undefined {
  for (let partition = 0; partition < partitions; partition++) {
    const engine = here(partition)?.engine
    if (engine?.rules !== undefined) return engine
  }
  return undefined
}

/** The bundle of the rules in force, as far as an engine here says soon what it runs. */
async function bundleInForce(places: RulesPlaces): Promise<Uint8Array | undefined> {
  const text = await engineHere(places)?.inspect('bundle')
  return text === undefined || text === '' ? undefined : Buffer.from(text, 'base64')
}

/** The record of rules that were checked. */
function recordOf({ record }: FolderRules, { semantics }: Pick<RulesChecks, 'semantics'>): RulesRecord {
  return { ...record, semantics }
}
