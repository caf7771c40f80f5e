import { EventCursor, Kind, type SymbolTable } from '@ricci/client'
import { Dimension } from '../state/dimension.ts'
import { EventColumn } from '../state/rows.ts'
import type { EngineSettings } from '../settings.ts'
import { RowChains } from './chains.ts'
import { Entries, entryWords, Presence } from './entries.ts'
import { Silence, type SilentHosts } from './silent-hosts.ts'
import type { Clocks } from '../time/clocks.ts'
import { TimerColumn } from '../time/timers.ts'

/**
 * The latest event per (host, service), until its TTL passes without another one.
 *
 * Expiry is judged on owned time from arrival, less the event's age. A renewal only writes the deadline. An entry whose
 * deadline has passed is never returned, even where the reaper looks only now and then.
 */
export class Index {
  readonly rows: Dimension
  readonly events = new EventColumn()
  /** Rows by host and by service, for queries. */
  readonly byHost: RowChains
  readonly byService: RowChains
  readonly #entries: Entries
  readonly #expiry: TimerColumn
  readonly #table: SymbolTable
  readonly #clocks: Clocks
  #settings: EngineSettings
  size = 0
  /** Interned before anything else and never collected. */
  readonly expiredSymbol: number
  /** Told when an entry's deadline has passed, with the event that says so. Set by the engine. */
  onExpired: (event: EventCursor) => void = () => {}
  /** Told of each event that changed the index: put in, or saying that its entry has gone. Valid during the call. */
  onChange: (event: EventCursor) => void = () => {}
  readonly #expired = new EventCursor()
  readonly #silence: Silence
  readonly #keep: { fields: ReadonlySet<string> | undefined } = { fields: undefined }

  constructor(table: SymbolTable, clocks: Clocks, settings: EngineSettings) {
    this.#table = table
    this.#clocks = clocks
    this.#settings = settings
    this.#silence = new Silence(table)
    this.expiredSymbol = table.internText('expired')
    this.rows = new Dimension(undefined, 2, settings.indexRows, entryWords)
    this.#entries = new Entries(this.rows)
    this.#expiry = new TimerColumn(clocks, clocks.owned, -1, true, (row) => this.#expire(row))
    this.byHost = new RowChains(this.rows, 0)
    this.byService = new RowChains(this.rows, 1)
    this.rows.onAdd = (row) => {
      this.byHost.added(row)
      this.byService.added(row)
    }
    this.rows.name = 'the index'
    this.rows.attach(this.events, 'the index: events')
    this.rows.attach(this.#expiry, 'the index: timer')
    this.settings = settings
  }

  set settings(settings: EngineSettings) {
    this.#settings = settings
    this.rows.limit = settings.indexRows
    this.#keep.fields = settings.keepKeys === 'all' ? undefined : new Set(settings.keepKeys)
  }

  /**
   * Puts an event in, over whatever was there; state `expired` takes the entry out. A late event neither overwrites nor takes out
   * an entry that is not late.
   * @param ageMs how old the event was when it arrived
   */
  put(event: EventCursor, ageMs: number): void {
    const late = event.late === 1
    if (event.state === this.expiredSymbol) {
      const there = late ? this.lookup(event.host, event.service) : -1
      if (there >= 0 && !this.isLate(there)) return
      if (this.remove(event.host, event.service)) this.onChange(event)
      return
    }
    const { owned } = this.#clocks
    const row = this.rows.id2(0, event.host, event.service, owned.now)
    if (row < 0) return
    const before = this.#entries.presence(row)
    if (late && before === Presence.present && this.#holds(row)) return
    if (before === Presence.absent) this.size++
    this.events.store(row, event)
    const due = owned.now + lifetimeMs(event, this.#settings.defaultTtlSeconds) - ageMs
    this.#entries.set(row, late ? Presence.late : Presence.present, due)
    this.#expiry.set(row, this.#nextLook(due))
    this.onChange(event)
  }

  remove(host: number, service: number): boolean {
    key[0] = host
    key[1] = service
    const row = this.rows.find(0, key)
    if (row < 0 || this.#entries.presence(row) === Presence.absent) return false
    this.#drop(row)
    return true
  }

  /** Rows were freed, or read from a snapshot. */
  rowsChanged(): void {
    this.byHost.forget()
    this.byService.forget()
  }

  clear(): void {
    for (let row = 0; row < this.rows.high; row++) if (this.#entries.presence(row) !== Presence.absent) this.#drop(row)
  }

  /** The row of a key that is there and has not expired, else -1. */
  lookup(host: number, service: number): number {
    key[0] = host
    key[1] = service
    const row = this.rows.find(0, key)
    return row >= 0 && this.present(row) ? row : -1
  }

  /** Whether a row holds an entry whose TTL has not passed. */
  present(row: number): boolean {
    return this.#entries.presence(row) !== Presence.absent && this.#holds(row)
  }

  isLate(row: number): boolean {
    return this.#entries.presence(row) === Presence.late
  }

  load(row: number, into: EventCursor): void {
    this.events.load(row, into)
  }

  /** Hosts whose entries have expired, all of them. */
  silentHosts(): SilentHosts {
    return this.#silence.told(this.byHost, (row) => this.present(row), this.#clocks.calendar.now)
  }

  /** The metric of an entry as a number; NaN when it has none. */
  metric(row: number): number {
    const kind = this.events.metricKind(row)
    if (kind === Kind.none) return NaN
    return kind === Kind.big ? Number(this.events.metricBig(row)) : this.events.metric(row)
  }

  #holds(row: number): boolean {
    const { owned, graceFrom, graceUntil } = this.#clocks
    const due = this.#entries.due(row)
    if (due >= owned.now) return true
    // grace puts off what comes due in it; what the reaper has yet to look at may have been due before
    return graceUntil > owned.now && due >= graceFrom && this.#expiry.get(row) >= owned.now
  }

  /** The reaper may look only now and then: the first of its looks at which the deadline has passed. */
  #nextLook(deadline: number): number {
    const { reaperIntervalMs } = this.#settings
    const { owned, moving } = this.#clocks
    // within a move the clock stands still between two timers: what expires and is put back would expire again, without end
    const earliest = moving ? owned.now + shortestStayMs : -Infinity
    if (reaperIntervalMs === 0) return Math.max(deadline, earliest)
    return (Math.floor(Math.max(deadline, owned.now, earliest) / reaperIntervalMs) + 1) * reaperIntervalMs
  }

  #drop(row: number): void {
    this.events.clear(row)
    this.#entries.clear(row)
    this.#expiry.clear(row)
    this.size--
  }

  /** Of a set of attributes those that are named. */
  #named(set: number, names: ReadonlySet<string>): number {
    if (set === 0) return 0
    const pairs = this.#table.attributesOf(set)
    const kept: number[] = []
    for (let i = 0; i < pairs.length; i += 2) {
      if (names.has(this.#table.text(pairs[i]))) kept.push(pairs[i], pairs[i + 1])
    }
    // where there is no room for the smaller set, the entry keeps all of its own
    return kept.length === 0 ? 0 : this.#table.internAttributes(kept) || set
  }

  #expire(row: number): void {
    const event = this.#expired
    this.events.load(row, event)
    this.#silence.note(event.host, event.service, this.#clocks.calendar.now)
    const { fields } = this.#keep
    if (fields !== undefined) {
      if (!fields.has('host')) event.host = 0
      if (!fields.has('service')) event.service = 0
      if (!fields.has('description')) event.descriptionLength = -1
      if (!fields.has('tags')) event.tags = 0
      if (!fields.has('ttl')) event.ttlKind = Kind.none
      if (!fields.has('metric')) event.metricKind = Kind.none
      if (!fields.has('attributes')) event.attributes = this.#named(event.attributes, fields)
    }
    // the description's bytes lie in the cell that is about to be freed
    if (event.descriptionLength > 0) {
      const { descriptionStart: start, descriptionLength: length } = event
      event.descriptionBytes = event.descriptionBytes.slice(start, start + length)
      event.descriptionStart = 0
    }
    event.state = this.expiredSymbol
    event.timeKind = Kind.double
    event.time = this.#clocks.calendar.now / 1000
    this.#drop(row)
    this.onChange(event)
    this.onExpired(event)
  }
}

/** How long an event holds. What is no number counts as absent, and no entry stays for ever. */
export function lifetimeMs(event: EventCursor, defaultTtlSeconds: number): number {
  const { ttl } = event
  const seconds = event.ttlKind === Kind.none || ttl !== ttl ? defaultTtlSeconds : Math.min(ttl, longestTtlSeconds)
  return seconds * 1000
}

/**
 * An entry that a timer makes (or the expiry of another, or its own: rules may put expired events back) is looked at by the reaper after
 * an owner's tick at the earliest. When it is stale is another matter, which is not put off.
 */
const shortestStayMs = 500

/** Ten years: an infinite deadline would be no timer at all, and its row would be taken for an idle one. */
const longestTtlSeconds = 10 * 365 * 86_400

const key = new Int32Array(2)
