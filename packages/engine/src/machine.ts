/** The engine: what applying each kind of record does. */
import { type Event, EventCursor, Kind, MsgReader, type ProducerMark, SymbolTable } from '@ricci/client'
import { Decisions } from './decisions/decisions.ts'
import type { PageChanges, PendingPage } from './decisions/page.ts'
import type {
  Engine,
  EngineObserver,
  EngineStats,
  Hashes,
  Incidents,
  Ownership,
  QueryOptions,
  QueryPage,
} from './engine.ts'
import { EngineError } from './errors.ts'
import { Producers } from './event/producers.ts'
import { IndexLookups } from './event/index-view.ts'
import { searchIndex } from './index/search.ts'
import { Index } from './index/store.ts'
import { Watchers } from './index/watchers.ts'
import { LimitAlarms } from './limit-alarms.ts'
import type { Mutation } from './mutations.ts'
import { QueryCache } from './query/cache.ts'
import './streams/operators/root.ts'
import './streams/vocabulary.ts'
import { decodeRecord, kindOf, type LogRecord, type RulesRecord, type SkipRecord, type TickRecord } from './records.ts'
import { defaultSettings, type EngineSettings, settingsFrom } from './settings.ts'
import {
  readSnapshotHead,
  type SnapshotHead,
  type SnapshotHeader,
  snapshotFormat,
  snapshotMagic,
} from './snapshot-header.ts'
import { ByteWriter } from './state/bytes.ts'
import { collectForks, collectTexts } from './state/collection.ts'
import type { Dimension } from './state/dimension.ts'
import { Hasher } from './state/hash.ts'
import { exceptionEvent } from './streams/operators/exception-stream.ts'
import { Out } from './streams/out.ts'
import type { Runtime } from './streams/runtime.ts'
import { receiversOf, Skips, skipsToQuarantine } from './streams/skips.ts'
import type { RulesDescription } from './streams/stream.ts'
import { buildTree, type Node, type Tree } from './streams/tree.ts'
import { Clocks } from './time/clocks.ts'

/** What the engine does with records of a given log; a change of it is a new number, which takes effect by a rules record. */
export const engineSemantics = 1
/** Collections (symbols, idle forks) happen at these ticks: five to ten minutes apart, the same place of the log everywhere. */
const collectionTicks = 600

/** What an engine is made from. */
export interface EngineOptions {
  readonly logId: string
  readonly partition: number
  /** Gives the description that a rules record's bundle stands for. What it throws refuses the record (see Engine.apply). */
  readonly loadRules: (record: RulesRecord) => RulesDescription
  readonly observer?: EngineObserver
  /** Whole, as {@link Engine.snapshot} gave it. */
  readonly snapshot?: Uint8Array
  /** Words in shared memory for the monitor of another thread: [operator, event within the record]. */
  readonly progress?: Int32Array
  /** Skips found by scanning the log ahead; they hold for records not applied yet. */
  readonly skips?: readonly SkipRecord[]
  /** For the simulator's mutation tests only: rules of the engine to take away. */
  readonly mutations?: ReadonlySet<Mutation>
}

/**
 * Makes an engine, empty or from a snapshot.
 * @throws EngineError `SNAPSHOT_UNREADABLE`, `RULES_INVALID`
 */
export function createEngine(options: EngineOptions): Engine {
  return new Machine(options)
}

/**
 * Builds rules as a rules record would, in an engine that is thrown away.
 * @throws EngineError `RULES_INVALID`, `SETTING_INVALID`: what the record would be refused with
 */
export function checkRules(description: RulesDescription, settings: Readonly<Record<string, unknown>> = {}): void {
  Machine.check(description, settings)
}

class Machine implements Engine, Runtime {
  static check(description: RulesDescription, settings: Readonly<Record<string, unknown>>): void {
    const bundle = new Uint8Array(0)
    const machine = new Machine({ logId: 'check', partition: 0, loadRules: () => description })
    machine.#load({ kind: 'rules', hash: '', settings, semantics: engineSemantics, bundle }, bundle)
  }

  readonly table: SymbolTable
  readonly clocks = new Clocks()
  readonly index: Index
  readonly lookups: IndexLookups
  readonly decisions: Decisions
  readonly progress: Int32Array
  settings: EngineSettings = defaultSettings
  late = false
  timersFired = 0
  generation = 0
  appliedOffset = -1
  lastTick = 0
  rulesHash: string | undefined
  readonly #logId: string
  readonly #partition: number
  readonly #loadRules: (record: RulesRecord) => RulesDescription
  readonly #observer: EngineObserver
  readonly #mutations: ReadonlySet<Mutation>
  readonly #producers = new Producers()
  readonly #reader = new MsgReader()
  readonly #event = new EventCursor()
  readonly #input = new Hasher()
  #queries: QueryCache
  #rulesRecord = new Uint8Array(0)
  #tree: Tree | undefined
  #top = new Out([], this)
  #first = true
  /** Counts snapshots: a newer cut ends the carrying away of an older. */
  #cut = 0
  /** How old the event in flight was when it arrived, milliseconds. */
  #ageMs = 0
  #receivedAtMs = 0
  readonly #watchers: Watchers
  readonly #skips: Skips
  /** Events refused because the table of texts was full. Counted, not state. */
  #overflowed = 0
  readonly #limits = new LimitAlarms()
  /** Where the rules in force stand in the log. */
  #rulesOffset = -1

  constructor(options: EngineOptions) {
    this.#logId = options.logId
    this.#partition = options.partition
    this.#loadRules = options.loadRules
    this.#observer = options.observer ?? {}
    this.#mutations = options.mutations ?? new Set()
    this.progress = options.progress ?? new Int32Array(2)
    const wanted = { logId: options.logId, partition: options.partition, semantics: engineSemantics }
    const head = options.snapshot === undefined ? undefined : readSnapshotHead(options.snapshot, wanted)
    this.table = head?.table ?? new SymbolTable()
    this.index = new Index(this.table, this.clocks, this.settings)
    this.#watchers = new Watchers(this.index, this.table)
    this.lookups = new IndexLookups(this.index, this.table)
    this.clocks.beforeFire = () => this.decisions.time(this.clocks.calendar.now, this.clocks.owned.now)
    this.index.onExpired = (event) => this.#stream(event, 0)
    this.#queries = new QueryCache(this.table)
    this.decisions = new Decisions({
      logId: this.#logId,
      partition: this.#partition,
      observer: this.#observer,
      mutations: this.#mutations,
    })
    this.#skips = new Skips(options.skips ?? [])
    if (head !== undefined) this.#restore(head)
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
    if (!this.#first && offset !== this.appliedOffset + 1) {
      throw new Error(`records are applied in order: offset ${offset} after ${this.appliedOffset}`)
    }
    const kind = kindOf(bytes)
    const skips = this.#skips.take(offset)
    this.progress[0] = 0
    this.progress[1] = wholeRecord
    this.#first = false
    this.appliedOffset = offset
    this.#input.int(offset)
    this.#input.int(checksum | 0)
    this.decisions.begin(offset, checksum, this.clocks.calendar.now, this.clocks.owned.now)
    let record: LogRecord
    try {
      record = decodeRecord(bytes)
    } catch (error) {
      this.#alarm(
        'record-malformed',
        `record ${offset} (${kind}) cannot be read and was passed over: ${(error as Error).message}`,
      )
      return
    }
    const isEvents = record.kind === 'events'
    const whole = skips?.filter((skip) => skip.event === wholeRecord || !isEvents) ?? []
    const left = this.#leaveOut(whole)
    if (whole.some((skip) => skip.branch === '')) {
      this.#alarm('record-skipped', `record ${offset} (${kind}) once stalled the engine and was left out`)
    } else if (record.kind === 'events') this.#applyEvents(record.receivedAtMs, record.msg, offset, skips)
    else this.#applyControl(record, bytes)
    this.#takeBack(left)
    if (!isEvents) this.#observer.onControl?.(record, offset)
    this.progress[0] = 0
  }

  /** Takes the branches out that skips name, until {@link #takeBack}. */
  #leaveOut(skips: readonly SkipRecord[]): readonly Node[] {
    if (skips.length === 0) return noNodes
    const left = this.#tree?.nodes.filter((node) => skips.some((skip) => skip.branch === node.path)) ?? []
    for (const node of left) node.disable()
    return left
  }

  #takeBack(left: readonly Node[]): void {
    for (const node of left) if (!this.#skips.quarantined(node)) node.enable()
  }

  #applyControl(record: Exclude<LogRecord, { kind: 'events' }>, bytes: Uint8Array): void {
    switch (record.kind) {
      case 'claim':
        if (this.decisions.claim(record)) this.#grace(this.clocks.owned.now)
        return
      case 'tick':
        return this.#tick(record)
      case 'attempt':
        this.decisions.attempt(record)
        return
      case 'outcome':
        return this.decisions.outcome(record)
      case 'command':
        this.decisions.command(record)
        return
      case 'rules':
        return this.#switchRules(record, bytes)
      case 'skip':
        return this.#skip(record)
      case 'checkpoint':
        return
    }
  }

  #applyEvents(receivedAtMs: number, msg: Uint8Array, offset: number, skips: readonly SkipRecord[] | undefined): void {
    const reader = this.#reader
    try {
      reader.open(msg)
    } catch (error) {
      this.#alarm('record-malformed', `the Msg in record ${offset} cannot be read: ${(error as Error).message}`)
      return
    }
    if (!(receivedAtMs >= 0 && receivedAtMs <= latestMs)) {
      this.#alarm('record-malformed', `record ${offset} was stamped with no time there is: ${receivedAtMs}`)
      return
    }
    const { mark } = reader
    const { owned, calendar } = this.clocks
    if (mark !== undefined && !this.#mutations.has('producer-mark')) {
      if (!this.#producers.accept(mark, owned.now, this.#lost)) return
    }
    if (receivedAtMs > calendar.now) this.#move(owned.now, receivedAtMs, 0)
    this.#receivedAtMs = receivedAtMs
    const event = this.#event
    for (let i = 0; ; i++) {
      this.progress[1] = i
      try {
        if (!reader.next(event, this.table)) break
      } catch (error) {
        this.#alarm('record-malformed', `event ${i} of record ${offset} cannot be read: ${(error as Error).message}`)
        break
      }
      if (reader.overflowed) {
        this.#overflowed++
        continue
      }
      let age = 0
      if (event.timeKind === Kind.none) {
        event.timeKind = Kind.double
        event.time = receivedAtMs / 1000
      } else age = this.#age(event, mark)
      if (skips === undefined) this.#stream(event, age)
      else this.#streamWithout(event, age, skips, i)
    }
  }

  /** Age of an event when it arrived: by the producer's own clock where its mark carries one. */
  #age(event: EventCursor, mark: ProducerMark | undefined): number {
    const now = mark === undefined || mark.sentAtMs === 0 ? this.#receivedAtMs : mark.sentAtMs
    const age = now - event.time * 1000
    return age > 0 ? age : 0
  }

  #stream(event: EventCursor, ageMs: number): void {
    const { stalenessMs } = this.settings
    this.#ageMs = ageMs
    this.late = stalenessMs !== null && ageMs > stalenessMs
    this.#top.event(event, 0)
  }

  /** Applies an event that once stalled or killed an engine, leaving out what the skip names. */
  #streamWithout(event: EventCursor, age: number, skips: readonly SkipRecord[], i: number): void {
    const hit = skips.filter((skip) => skip.event === i)
    if (hit.some((skip) => skip.branch === '')) return
    const left = this.#leaveOut(hit)
    this.#stream(event, age)
    this.#takeBack(left)
  }

  reinject(event: EventCursor): void {
    this.#top.event(event, 0)
  }

  get ageMs(): number {
    return this.#ageMs
  }

  tap(name: string, value: unknown): void {
    this.#observer.onTap?.(name, value, this.appliedOffset)
  }

  get tapped(): boolean {
    return this.#observer.onTap !== undefined
  }

  rescue(node: Node, error: unknown, fork: number, event?: EventCursor): void {
    node.errors++
    try {
      this.#observer.onRuleError?.(node.path, error, this.appliedOffset)
    } catch {
      // a thrown thing may throw again when it is looked at; that is the observer's loss
    }
    for (let { catcher } = node; catcher !== undefined; catcher = catcher.catcher) {
      const own = node.dimension.idIn(catcher.dimension, fork)
      if (own >= 0) return catcher.caught(exceptionEvent(this, node.path, event), own)
    }
  }

  #tick(tick: TickRecord): void {
    if (tick.epoch !== (this.ownership?.epoch ?? 0) || tick.number <= this.lastTick) return
    this.lastTick = tick.number
    const { owned, calendar } = this.clocks
    const elapsed = Math.min(this.settings.longestTickMs, Math.max(0, tick.elapsedMs))
    if (tick.back === true && tick.wallMs < calendar.now) {
      const by = tick.wallMs - calendar.now
      for (const timers of calendar.timers) timers.shift(by)
      calendar.now += by
      this.decisions.calendarBack(by)
      this.#alarm('calendar-back', `the calendar followed the owner's clock back by ${Math.round(-by / 1000)} s`)
    }
    const ownedTo = this.#mutations.has('owned-time') ? Math.max(owned.now, tick.wallMs) : owned.now + elapsed
    this.#move(ownedTo, Math.max(calendar.now, tick.wallMs), elapsed)
    this.#producers.check(owned.now, this.#lost)
    this.#tellOfLimits(tick.number)
    if (tick.number % collectionTicks === 0) this.#collect()
  }

  #move(ownedTo: number, calendarTo: number, elapsed: number): void {
    const { calendar } = this.clocks
    const { gapMs } = this.settings
    const gap = gapMs !== null && calendar.now > 0 && calendarTo - calendar.now - elapsed > gapMs
    if (gap) this.#grace(ownedTo)
    this.late = false
    this.#ageMs = 0
    this.clocks.move(ownedTo, calendarTo, gap)
    this.decisions.time(calendarTo, ownedTo)
  }

  /** Deadlines of things that did not happen are put off to at least this long after a moment of owned time. */
  #grace(fromMs: number): void {
    if (this.#mutations.has('grace')) return
    this.clocks.graceUntil = Math.max(this.clocks.graceUntil, fromMs + this.settings.graceMs)
  }

  #switchRules(record: RulesRecord, bytes: Uint8Array): void {
    if (sameBytes(bytes, this.#rulesRecord)) return
    try {
      this.#load(record, bytes)
    } catch (error) {
      if (error instanceof EngineError && error.code === 'RECORD_UNKNOWN') throw error
      this.#alarm('rules-refused', `the rules ${record.hash} are refused, the old ones run on: ${messageOf(error)}`)
      return
    }
    this.#rulesOffset = this.appliedOffset
    this.#skips.forgive()
    this.#observer.onRules?.(this.#tree!.report, this.appliedOffset)
    this.decisions.rulesSwitched(this.#ruleNames(), record.settings)
  }

  #load(record: RulesRecord, bytes: Uint8Array): void {
    if (record.semantics !== engineSemantics) {
      throw new EngineError(
        'RECORD_UNKNOWN',
        `the rules ask for engine semantics ${record.semantics}, this release has ${engineSemantics}; run the release that wrote them`,
      )
    }
    const description = this.#loadRules(record)
    const before = this.settings
    this.settings = settingsFrom(record.settings)
    try {
      this.#tree = buildTree(description, this, this.#tree)
    } catch (error) {
      this.settings = before
      throw error
    }
    this.index.settings = this.settings
    this.table.limitSymbols(this.settings.symbols)
    this.#top = new Out(this.#tree.root.children, this)
    this.#rulesRecord = bytes.slice()
    this.rulesHash = record.hash
  }

  /** Names of the incidents and notifications that the rules declare. */
  #ruleNames(): Set<string> {
    const names = new Set<string>()
    for (const node of this.#tree?.nodes ?? []) {
      if (node.stream.operator === 'incident' || node.stream.operator === 'notify')
        names.add(String(node.stream.args[0]))
    }
    return names
  }

  /** An event was skipped: counted against its branch. The event itself lies behind; who had not left it out begins again before it. */
  #skip(skip: SkipRecord): void {
    const { branch } = skip
    if (branch === '' || skip.offset < this.#rulesOffset) return
    const skippedAt = this.#skips.count(skip)
    const tree = this.#tree
    if (skippedAt === undefined || tree === undefined) return
    for (const node of tree.nodes) if (node.path === branch) node.disable()
    const what = `${branch} stalled the engine ${skipsToQuarantine} times and is out until the rules are switched`
    this.#alarm('rule-quarantined', what)
    this.decisions.quarantine(branch, receiversOf(branch, tree.root, tree.nodes), what, skippedAt)
  }

  readonly #lost = ({ producer, missing }: { producer: string; missing: number }): void => {
    this.#alarm('messages-lost', `${missing} messages of the producer ${producer} never arrived`)
  }

  #alarm(name: string, detail: string): void {
    this.#observer.onAlarm?.(name, detail, this.appliedOffset)
  }

  #tellOfLimits(tick: number): void {
    const forks = (this.#tree?.dimensions ?? []).reduce((sum, dimension) => sum + dimension.refused, 0)
    const { refused } = this.index.rows
    const now = [this.#overflowed, this.table.refused, forks, refused, this.#producers.evicted] as const
    this.#limits.check(tick, now, (name, detail) => this.#alarm(name, detail))
  }

  /** Gives back what nothing uses any more; at the same tick on every replica. */
  #collect(): void {
    const { owned } = this.clocks
    this.#producers.forget(owned.now)
    const idleBefore = owned.now - this.settings.idleForkMs
    const dimensions = [this.index.rows, ...(this.#tree?.dimensions ?? [])]
    collectForks(dimensions, owned.now, idleBefore)
    this.index.rowsChanged()
    if (!collectTexts(this.table, dimensions, [this.index.expiredSymbol])) return
    this.generation++
    this.#queries = new QueryCache(this.table)
    this.#watchers.recompile(this.#queries)
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

  stats(): EngineStats {
    const dimensions = this.#tree?.dimensions ?? []
    const sum = (of: (dimension: Dimension) => number) =>
      dimensions.reduce((total, dimension) => total + of(dimension), 0)
    return {
      indexSize: this.index.size,
      symbols: this.table.size,
      forks: sum((dimension) => dimension.live),
      refusedForks: sum((dimension) => dimension.refused) + this.index.rows.refused,
      producers: this.#producers.size,
      timersFired: this.timersFired,
      ruleErrors: (this.#tree?.nodes ?? []).reduce((total, node) => total + node.errors, 0),
      bytes: this.table.bytes + this.index.rows.bytes + sum((dimension) => dimension.bytes),
    }
  }

  watch(query: string, listener: (event: Event) => void): () => void {
    return this.#watchers.add(query, this.#queries, listener)
  }

  operatorPaths(): readonly string[] {
    const paths: string[] = []
    for (const node of this.#tree?.nodes ?? []) paths[node.number] = node.path
    return Array.from(paths, (path) => path ?? '')
  }

  query(query: string, options: QueryOptions = {}): QueryPage {
    const compiled = this.#queries.get(query)
    return { ...searchIndex(this.index, this.table, compiled, options), appliedOffset: this.appliedOffset }
  }

  hashes(): Hashes {
    return { input: this.#input.digest(), decisions: this.decisions.hash }
  }

  stateHash(): string {
    const hasher = new Hasher()
    hasher.int(this.table.hash())
    hasher.number(this.clocks.owned.now)
    hasher.number(this.clocks.calendar.now)
    hasher.number(this.clocks.graceUntil)
    hasher.text(JSON.stringify([this.#header(), this.#producers.snapshot()]))
    this.index.rows.hash(hasher)
    for (const dimension of this.#tree?.dimensions ?? []) dimension.hash(hasher)
    this.decisions.mixState((text) => hasher.text(text))
    return hasher.digest()
  }

  /** State that is neither columns nor texts; also the head of a snapshot. */
  #header(): SnapshotHeader {
    return {
      format: snapshotFormat,
      semantics: engineSemantics,
      logId: this.#logId,
      partition: this.#partition,
      offset: this.appliedOffset,
      rulesHash: this.rulesHash ?? null,
      lastTick: this.lastTick,
      indexSize: this.index.size,
      inputLanes: this.#input.lanes,
      skipped: this.#skips.snapshot(),
      rulesOffset: this.#rulesOffset,
    }
  }

  snapshot(): Iterable<Uint8Array> {
    const out = new ByteWriter()
    out.int(snapshotMagic)
    out.json(this.#header())
    const table = this.table.dump()
    out.int(table.reduce((sum, part) => sum + part.length, 0))
    for (const part of table) out.raw(part)
    out.bytes(this.#rulesRecord)
    out.double(this.clocks.owned.now)
    out.double(this.clocks.calendar.now)
    out.double(this.clocks.graceUntil)
    out.json(this.#producers.snapshot())
    out.json(this.decisions.snapshot())
    this.index.rows.write(out)
    for (const dimension of this.#tree?.dimensions ?? []) dimension.write(out)
    const cut = ++this.#cut
    return out.slices(() => cut === this.#cut)
  }

  #restore({ from, header }: SnapshotHead): void {
    const rules = from.bytes()
    if (rules.length > 0) this.#load(decodeRecord(rules) as RulesRecord, rules)
    this.#first = false
    this.appliedOffset = header.offset
    this.lastTick = header.lastTick
    this.index.size = header.indexSize
    this.#input.lanes = header.inputLanes
    this.#skips.restore(header.skipped, header.offset)
    this.#rulesOffset = header.rulesOffset
    this.clocks.owned.now = this.clocks.owned.target = from.double()
    this.clocks.calendar.now = this.clocks.calendar.target = from.double()
    this.clocks.graceUntil = from.double()
    this.#producers.restore(from.json())
    this.decisions.restore(from.json())
    this.index.rows.read(from)
    this.index.rowsChanged()
    for (const dimension of this.#tree?.dimensions ?? []) dimension.read(from)
    for (const node of this.#tree?.nodes ?? []) if (this.#skips.quarantined(node)) node.disable()
    if (!from.finished) {
      throw new EngineError('SNAPSHOT_UNREADABLE', 'the snapshot holds more than this release reads; take an older one')
    }
  }
}

/** The year 9999: a stamp beyond it is a mistake, and the calendar would never come back from it by itself. */
const latestMs = 253_402_300_799_999

/** A skip's event, where it is about the record as a whole: its timers, or a record of another kind. */
const wholeRecord = -1
const noNodes: readonly Node[] = []

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : 'something was thrown that is no error'
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}
