/** The engine: what applying each kind of record does. */
import { type EventCursor, SymbolTable } from '@ricci/client'
import { Decisions } from './decisions/decisions.ts'
import type { CommandStatus } from './decisions/commands.ts'
import type { Listed } from './decisions/listing.ts'
import type { PageChanges, PendingPage } from './decisions/page.ts'
import type {
  Engine,
  EngineObserver,
  EngineOptions,
  EngineStats,
  OperatorStats,
  Hashes,
  Incidents,
  Ownership,
  QueryOptions,
  QueryPage,
} from './engine.ts'
import { EngineError, messageOf } from './errors.ts'
import { Arrivals } from './event/arrivals.ts'
import type { Producers } from './event/producers.ts'
import { IndexLookups } from './event/index-view.ts'
import { Flows } from './flows/flows.ts'
import { ChangeRing, type ChangePosition, type ChangesOptions, type ChangesPage } from './index/changes.ts'
import { Search } from './index/search.ts'
import { Index } from './index/store.ts'
import { LimitAlarms } from './limit-alarms.ts'
import type { Mutation } from './mutations.ts'
import { OwnAlarms } from './own-alarms.ts'
import { QueryCache } from './query/cache.ts'
import './streams/operators/root.ts'
import './streams/vocabulary.ts'
import { decodeRecord, kindOf, type LogRecord, type RulesRecord, type SkipRecord, type TickRecord } from './records.ts'
import type { EngineSettings } from './settings.ts'
import { operatorStatsOf, refusalsOf, statsOf } from './stats.ts'
import { cutState, type EngineState, hashState, readSnapshotHead, readState, slicesOf } from './snapshot.ts'
import { sameBytes } from './state/bytes.ts'
import { collectIds, collectTexts } from './state/collection.ts'
import { Hasher } from './state/hash.ts'
import type { Marks } from './state/marks.ts'
import type { StateCut } from './state/writer.ts'
import { tellOfFailure } from './streams/operators/exception-stream.ts'
import { RulesInForce } from './streams/rules-in-force.ts'
import type { Runtime } from './streams/runtime.ts'
import { receiversOf, skipsToQuarantine } from './streams/skips.ts'
import { Trace } from './streams/trace.ts'
import type { Node } from './streams/tree.ts'
import { Clocks } from './time/clocks.ts'

/** Collections (symbols, idle forks) happen at these ticks: five to ten minutes apart, the same place of the log everywhere. */
const collectionTicks = 600

/**
 * Makes an engine, empty or from a snapshot.
 * @throws EngineError `SNAPSHOT_UNREADABLE`, `RULES_INVALID`
 */
export function createEngine(options: EngineOptions): Engine {
  return new Machine(options)
}

/** The one implementation of {@link Engine}; with `rules` for who tries some without a log. */
export class Machine implements Engine, Runtime, EngineState {
  readonly logId: string
  readonly partition: number
  readonly table: SymbolTable
  readonly clocks = new Clocks()
  readonly index: Index
  readonly lookups: IndexLookups
  readonly decisions: Decisions
  readonly flows: Flows
  readonly input = new Hasher()
  readonly rules: RulesInForce
  readonly progress: Int32Array
  readonly trace: Trace | undefined
  timersFired = 0
  bufferRefusals = 0
  generation = 0
  appliedOffset = -1
  lastTick = 0
  /** How old the event in flight was when it arrived, milliseconds. */
  ageMs = 0
  readonly #observer: EngineObserver
  readonly #mutations: ReadonlySet<Mutation>
  readonly #arrivals: Arrivals
  #queries: QueryCache
  readonly #search: Search
  #first = true
  /** The newest cut: it ends the one before. */
  #cut: StateCut | undefined
  readonly #changes: ChangeRing
  readonly #limits = new LimitAlarms()
  readonly #own: OwnAlarms

  constructor(options: EngineOptions) {
    this.logId = options.logId
    this.partition = options.partition
    this.#observer = options.observer ?? {}
    this.#mutations = options.mutations ?? new Set()
    this.progress = options.progress ?? new Int32Array(3)
    this.trace = options.trace === undefined ? undefined : new Trace(options.trace)
    const head = options.snapshot === undefined ? undefined : readSnapshotHead(options.snapshot, options)
    this.table = head?.table ?? new SymbolTable()
    this.#arrivals = new Arrivals(this, this.#mutations.has('producer-mark'))
    this.rules = new RulesInForce(this, options.loadRules, options.skips ?? [])
    this.index = new Index(this.table, this.clocks, this.settings)
    this.#own = new OwnAlarms(this.table, this.index, this.settings.symbols)
    this.#changes = new ChangeRing(this.index, this.table, this)
    this.lookups = new IndexLookups(this.index, this.table)
    this.clocks.beforeFire = () => {
      this.progress[2]++
      this.decisions.time(this.clocks.calendar.now, this.clocks.owned.now)
    }
    this.index.onExpired = (event) => this.stream(event, 0)
    this.#queries = new QueryCache(this.table)
    this.#search = new Search(this.index, this.table)
    this.flows = new Flows(this, this.#observer)
    this.decisions = new Decisions({
      logId: this.logId,
      partition: this.partition,
      observer: this.#observer,
      onStep: () => void this.progress[2]++,
      mutations: this.#mutations,
    })
    if (head === undefined) return
    readState(this, head, (record, bytes) => this.#load(record, bytes))
    this.#first = false
  }

  get settings(): EngineSettings {
    return this.rules.settings
  }
  get producers(): Producers {
    return this.#arrivals.producers
  }
  get rulesHash(): string | undefined {
    return this.rules.hash
  }
  get rulesOffset(): number {
    return this.rules.offset
  }
  get ownership(): Ownership | undefined {
    return this.decisions.ownership
  }
  get ownedMs(): number {
    return this.clocks.owned.now
  }
  get calendarMs(): number {
    return this.clocks.calendar.now
  }

  apply(offset: number, bytes: Uint8Array, checksum: number): void {
    if (!this.#first && offset !== this.appliedOffset + 1 && !this.#mutations.has('log-start')) {
      throw new Error(`records are applied in order: offset ${offset} after ${this.appliedOffset}`)
    }
    const kind = kindOf(bytes)
    const skips = this.rules.skips.take(offset)
    this.progress[0] = 0
    this.progress[1] = wholeRecord
    this.#first = false
    this.appliedOffset = offset
    this.input.int(offset)
    this.input.int(checksum | 0)
    this.decisions.begin(offset, checksum, this.clocks.calendar.now, this.clocks.owned.now)
    let record: LogRecord
    try {
      record = decodeRecord(bytes)
    } catch (error) {
      this.alarm(
        'record-malformed',
        `record ${offset} (${kind}) cannot be read and was passed over: ${(error as Error).message}`,
      )
      return
    }
    const isEvents = record.kind === 'events'
    const whole = skips?.filter((skip) => skip.event === wholeRecord || !isEvents) ?? []
    const left = this.rules.leaveOut(whole)
    if (whole.some((skip) => skip.branch === '')) {
      this.alarm('record-skipped', `record ${offset} (${kind}) once stalled the engine and was left out`)
    } else if (record.kind === 'events') this.#arrivals.apply(record, offset, skips)
    else this.#applyControl(record, bytes)
    this.rules.takeBack(left)
    if (!isEvents) this.#observer.onControl?.(record, offset)
    this.progress[0] = 0
  }

  #applyControl(record: Exclude<LogRecord, { kind: 'events' }>, bytes: Uint8Array): void {
    switch (record.kind) {
      case 'claim':
        return this.decisions.claim(record) ? this.#grace(this.clocks.owned.now) : undefined
      case 'tick':
        return this.#tick(record)
      case 'attempt':
        return void this.decisions.attempt(record)
      case 'outcome':
        return this.decisions.outcome(record)
      case 'flowed-through':
        return this.flows.through(record)
      case 'command':
        return void this.decisions.command(record)
      case 'rules':
        return this.#switchRules(record, bytes)
      case 'skip':
        return this.#skip(record)
      case 'checkpoint':
      case 'hole':
        return
    }
  }

  stream(event: EventCursor, ageMs: number): void {
    const { stalenessMs } = this.settings
    this.ageMs = ageMs
    event.late = stalenessMs !== null && ageMs > stalenessMs ? 1 : 0
    if (this.#own.is(event.service)) this.withReserve(() => this.rules.top.event(event, 0))
    else this.rules.top.event(event, 0)
  }

  streamWithout(event: EventCursor, ageMs: number, skips: readonly SkipRecord[]): void {
    if (skips.some((skip) => skip.branch === '')) return
    const left = this.rules.leaveOut(skips)
    this.stream(event, ageMs)
    this.rules.takeBack(left)
  }

  isOwnAlarm(service: number): boolean {
    return this.#own.is(service)
  }

  withReserve<T>(what: () => T): T {
    return this.#own.within(this.rules.tree?.dimensions ?? [], what)
  }

  received(atMs: number): void {
    this.#move(this.clocks.owned.now, atMs, 0)
  }

  tap(name: string, value: unknown): void {
    this.#observer.onTap?.(name, value, this.appliedOffset)
  }

  get tapped(): boolean {
    return this.#observer.onTap !== undefined
  }

  rescue(node: Node, error: unknown, fork: number, event?: EventCursor): void {
    // a limit is no error: the table has counted it, and tells of it once a minute
    if (error instanceof EngineError && error.code === 'TEXTS_FULL') return
    node.errors++
    try {
      this.#observer.onRuleError?.(node.path, error, this.appliedOffset)
    } catch {
      // a thrown thing may throw again when it is looked at; that is the observer's loss
    }
    tellOfFailure(this, node, fork, event)
  }

  #tick(tick: TickRecord): void {
    if (tick.epoch !== (this.ownership?.epoch ?? 0) || tick.number <= this.lastTick) return
    this.lastTick = tick.number
    const { owned, calendar } = this.clocks
    const elapsed = Math.min(this.settings.longestTickMs, Math.max(0, tick.elapsedMs))
    // 0 is where no calendar has been yet: from there no move is a gap, and windows would be counted one by one to the present
    if (tick.back === true && tick.wallMs > 0 && tick.wallMs < calendar.now) {
      const by = tick.wallMs - calendar.now
      for (const timers of calendar.timers) timers.shift(by)
      calendar.now += by
      this.decisions.calendarBack(by)
      this.alarm('calendar-back', `the calendar followed the owner's clock back by ${Math.round(-by / 1000)} s`)
    }
    const ownedTo = this.#mutations.has('owned-time') ? Math.max(owned.now, tick.wallMs) : owned.now + elapsed
    this.#move(ownedTo, Math.max(calendar.now, tick.wallMs), elapsed)
    this.decisions.tick()
    this.#arrivals.check()
    const refusals = refusalsOf(this, this.#arrivals.overflowed, this.bufferRefusals)
    this.#limits.check(tick.number, refusals, (name, detail) => this.alarm(name, detail))
    if (tick.number % collectionTicks === 0) this.#collect()
  }

  #move(ownedTo: number, calendarTo: number, elapsed: number): void {
    const { calendar } = this.clocks
    const { gapMs } = this.settings
    const gap = gapMs !== null && calendar.now > 0 && calendarTo - calendar.now - elapsed > gapMs
    if (gap) this.#grace(ownedTo)
    this.ageMs = 0
    this.clocks.move(ownedTo, calendarTo, gap)
    this.decisions.time(calendarTo, ownedTo)
  }

  /** Deadlines of things that did not happen are put off to at least this long after a moment of owned time. */
  #grace(fromMs: number): void {
    if (this.#mutations.has('grace')) return
    const { clocks } = this
    if (clocks.graceUntil <= clocks.owned.now) clocks.graceFrom = clocks.owned.now
    clocks.graceUntil = Math.max(clocks.graceUntil, fromMs + this.settings.graceMs)
  }

  #switchRules(record: RulesRecord, bytes: Uint8Array): void {
    const { rules } = this
    if (sameBytes(bytes, rules.record)) return
    try {
      this.#load(record, bytes)
    } catch (error) {
      if (error instanceof EngineError && error.code === 'RECORD_UNKNOWN') throw error
      this.alarm('rules-refused', `the rules ${record.hash} are refused, the old ones run on: ${messageOf(error)}`)
      return
    }
    rules.offset = this.appliedOffset
    rules.skips.forgive()
    this.#observer.onRules?.(rules.tree!.report, this.appliedOffset)
    this.decisions.rulesSwitched(rules.names(), record.settings)
  }

  #load(record: RulesRecord, bytes: Uint8Array): void {
    this.rules.load(record, bytes)
    this.index.settings = this.settings
    this.#own.limitSymbols(this.settings.symbols)
  }

  /** An event was skipped: counted against its branch. The event itself lies behind; who had not left it out begins again before it. */
  #skip(skip: SkipRecord): void {
    const { rules } = this
    const { branch } = skip
    if (branch === '' || skip.offset < rules.offset) return
    const skippedAt = rules.skips.count(skip)
    if (skippedAt === undefined || rules.tree === undefined) return
    rules.quarantine()
    const what = `${branch} stalled the engine ${skipsToQuarantine} times and is out until the rules are switched`
    this.alarm('rule-quarantined', what)
    this.decisions.quarantine(branch, receiversOf(branch, rules.tree.root, rules.nodes), what, skippedAt)
  }

  alarm(name: string, detail: string): void {
    this.#observer.onAlarm?.(name, detail, this.appliedOffset)
  }

  /** Gives back what nothing uses any more; at the same tick on every replica. */
  #collect(): void {
    const { owned } = this.clocks
    this.#arrivals.forget()
    this.flows.collect()
    const forks = this.rules.tree?.dimensions ?? []
    const dimensions = [this.index.rows, ...forks]
    collectIds(this.index.rows, forks, owned.now, owned.now - this.settings.idleForkMs)
    this.index.rowsChanged()
    const freeing = (marks: Marks): void => this.#changes.forgetUnmarked(marks)
    if (!collectTexts(this.table, [...dimensions, this.flows], [this.index.expiredSymbol, ...this.#own.ids], freeing))
      return
    this.generation++
    this.#arrivals.skews.clear()
    this.#queries = new QueryCache(this.table)
  }

  pendingPages(): readonly Readonly<PendingPage>[] {
    return this.decisions.pendingPages()
  }

  takePageChanges(): PageChanges {
    return this.decisions.takePageChanges()
  }

  incidents(): Incidents {
    return this.decisions.incidents()
  }

  listed(cursor?: string): Iterable<Listed> {
    return this.decisions.listed(cursor)
  }

  command(id: string): CommandStatus | undefined {
    return this.decisions.commandStatus(id)
  }

  stats(): EngineStats {
    return statsOf(this, this.timersFired, this.#arrivals.skews)
  }

  operatorStats(): OperatorStats[] {
    return operatorStatsOf(this)
  }

  changes(from?: ChangePosition, options: ChangesOptions = {}): ChangesPage {
    const { query } = options
    return this.#changes.read(from, query === undefined ? everything : this.#queries.get(query), options)
  }

  operatorPaths(): readonly string[] {
    return this.rules.paths()
  }

  query(query: string, options: QueryOptions = {}): QueryPage {
    const compiled = this.#queries.get(query)
    return { ...this.#search.page(compiled, options), appliedOffset: this.appliedOffset }
  }

  hashes(): Hashes {
    return { input: this.input.digest(), decisions: this.decisions.hash }
  }

  stateHash(): string {
    return hashState(this)
  }

  cut(onSlice?: (slice: Uint8Array) => void): StateCut {
    this.#cut?.end()
    return (this.#cut = cutState(this, onSlice))
  }

  snapshot(): Iterable<Uint8Array> {
    const slices: Uint8Array[] = []
    const cut = this.cut((slice) => slices.push(slice))
    return slicesOf(cut, slices)
  }
}

/** A skip's event, where it is about the record as a whole: its timers, or a record of another kind. */
const wholeRecord = -1

const everything = { matches: () => true, cost: () => 1 }
