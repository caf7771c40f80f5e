import { cursorToEvent, type Event, EventCursor, MsgWriter, type SymbolTable } from '@ricci/client'
import type { FlowedThroughRecord } from '../records.ts'
import type { ByteReader } from '../state/bytes.ts'
import type { Marks } from '../state/marks.ts'
import type { StateWriter } from '../state/writer.ts'
import type { FlowBatch, FlowHead, FlowPage, FlowPlace, FlowsView } from './flow.ts'
import { FlowQueues, sizeOf } from './flow-queues.ts'

/** Names of sinks at most, in use or still remembered: each has a sender of its own. */
const sinksLimit = 64
/**
 * Events of one batch, and their size: a Msg of them stays below any frame's limit, unless they have 64 kB of attributes each.
 * What a record sends beyond them goes in further batches.
 */
const batchEvents = 256
const batchBytes = 256 * 1024
/** Of one flow, besides the number of events: what long descriptions may take. */
const flowBytes = 32 * 1024 * 1024
/**
 * Producers are forgotten by who deduplicates when they were idle for a day, and take a new incarnation after half of it; a flow is a
 * producer. One that is empty begins anew then; it is forgotten after a day.
 */
const idleMs = 12 * 3_600_000
const forgottenMs = 24 * 3_600_000

interface Flow {
  readonly sink: string
  begun: number
  through: number
  last: number
  /** Of the newest batch: offset of its record, events, size. */
  offset: number
  count: number
  size: number
  /** Of all events kept. */
  bytes: number
  dropped: number
  /** Owned time and calendar time at which the newest event came. */
  usedMs: number
  cameMs: number
}

/** What flows need of their engine. */
export interface FlowsEngine {
  readonly table: SymbolTable
  readonly clocks: { readonly owned: { readonly now: number }; readonly calendar: { readonly now: number } }
  readonly settings: { readonly eventsPerFlow: number }
  readonly appliedOffset: number
}

/** See EngineObserver. */
interface FlowObserver {
  onFlow?(sink: string, place: FlowPlace, event: Event): void
}

/**
 * The events that rules sent to sinks and that the log does not yet say to be there: one queue per name, shared by all rules that
 * use it. State: every replica holds them, whoever owns next goes on from the same place. Bounded: the oldest batches are dropped,
 * and counted.
 */
export class Flows implements FlowsView {
  /** Events dropped or refused since the engine was made. Counted, not state. */
  refused = 0
  readonly #engine: FlowsEngine
  readonly #observer: FlowObserver
  readonly #queues = new FlowQueues()
  readonly #flows: (Flow | undefined)[] = []
  /** By name; derived. */
  readonly #ids = new Map<string, number>()
  /** Where the last page of a flow ended, so that the next need not look from its oldest event on; a cache. */
  readonly #read = new Map<string, { readonly place: FlowPlace; readonly slot: number }>()
  readonly #cursor = new EventCursor()
  readonly #writer = new MsgWriter(64 * 1024)

  constructor(engine: FlowsEngine, observer: FlowObserver) {
    this.#engine = engine
    this.#observer = observer
  }

  /** An event reached `forward(sink)`. */
  push(sink: string, event: EventCursor): void {
    const { appliedOffset, clocks, settings } = this.#engine
    const id = this.#ids.get(sink) ?? this.#add(sink)
    const flow = this.#flows[id]
    if (flow === undefined) {
      this.refused++
      return
    }
    const nowMs = clocks.calendar.now
    if (this.#queues.count(id) === 0 && nowMs - flow.cameMs >= idleMs && flow.last > 0) begin(flow, appliedOffset)
    const size = sizeOf(event)
    if (flow.offset !== appliedOffset || flow.count >= batchEvents || flow.size + size > batchBytes) {
      flow.last++
      flow.offset = appliedOffset
      flow.count = flow.size = 0
    }
    flow.count++
    flow.size += size
    flow.bytes += size
    flow.usedMs = clocks.owned.now
    flow.cameMs = nowMs
    this.#queues.push(id, event, flow.last, nowMs)
    if (this.#observer.onFlow !== undefined) {
      const place = { begun: flow.begun, position: flow.last }
      this.#observer.onFlow(sink, place, cursorToEvent(event, this.#engine.table))
    }
    while (this.#queues.count(id) > settings.eventsPerFlow || flow.bytes > flowBytes) this.#dropOldest(id, flow)
  }

  /** The sink has everything up to a position. Accepted when further, whoever says so. */
  through({ sink, begun, position }: FlowedThroughRecord): void {
    const id = this.#ids.get(sink)
    const flow = id === undefined ? undefined : this.#flows[id]
    if (id === undefined || flow === undefined || flow.begun !== begun) return
    if (position <= flow.through || position > flow.last) return
    flow.through = position
    for (let slot = this.#queues.first(id); slot >= 0 && this.#queues.position(slot) <= position;) {
      flow.bytes -= this.#queues.shift(id)
      slot = this.#queues.first(id)
    }
  }

  /** Forgets flows that were empty and unused for a day. */
  collect(): void {
    const now = this.#engine.clocks.owned.now
    this.#flows.forEach((flow, id) => {
      if (flow === undefined || this.#queues.count(id) > 0 || now - flow.usedMs < forgottenMs) return
      this.#flows[id] = undefined
      this.#ids.delete(flow.sink)
      this.#read.delete(flow.sink)
    })
    this.#queues.tidy()
  }

  /** In the order of their names' first use. */
  heads(): FlowHead[] {
    return this.#flows.flatMap((flow, id) => {
      if (flow === undefined) return []
      const { sink, begun, through, last, dropped } = flow
      const first = this.#queues.first(id)
      const oldestMs = first < 0 ? undefined : this.#queues.time(first)
      return [{ sink, begun, through, last, events: this.#queues.count(id), dropped, oldestMs }]
    })
  }

  page(sink: string, after: FlowPlace | undefined, atMost: number): FlowPage {
    const id = this.#ids.get(sink)
    const flow = id === undefined ? undefined : this.#flows[id]
    if (id === undefined || flow === undefined) return { sink, begun: -1, batches: [] }
    const from = after?.begun === flow.begun ? after.position : 0
    const batches: FlowBatch[] = []
    let events = 0
    let slot = this.#behind(id, flow, from)
    while (slot >= 0) {
      const position = this.#queues.position(slot)
      let count = 0
      let end = slot
      for (; end >= 0 && this.#queues.position(end) === position; end = this.#queues.next(end)) count++
      if (batches.length > 0 && events + count > atMost) break
      let last = slot
      for (; slot !== end; slot = this.#queues.next(slot)) {
        this.#queues.load((last = slot), this.#cursor)
        this.#writer.cursor(this.#cursor, this.#engine.table)
      }
      this.#read.set(sink, { place: { begun: flow.begun, position }, slot: last })
      batches.push({ position, events: count, msg: this.#writer.finish() })
      events += count
    }
    return { sink, begun: flow.begun, batches }
  }

  mark(marks: Marks): void {
    this.#queues.mark(marks)
  }

  get bytes(): number {
    return this.#queues.bytes
  }

  write(out: StateWriter): void {
    out.part('the flows')
    out.json(this.#flows.map((flow) => flow ?? null))
    this.#queues.write(out, this.#flows.length)
  }

  read(from: ByteReader): void {
    const flows = from.json<(Flow | null)[]>()
    this.#queues.read(from, flows.length)
    flows.forEach((flow, id) => {
      this.#flows[id] = flow ?? undefined
      if (flow !== null) this.#ids.set(flow.sink, id)
    })
  }

  /** Gives -1 where there are too many. */
  #add(sink: string): number {
    const free = this.#flows.indexOf(undefined)
    const id = free >= 0 ? free : this.#flows.length
    if (id >= sinksLimit) return -1
    const flow = { sink, begun: 0, through: 0, last: 0, offset: -1, count: 0, size: 0, bytes: 0, dropped: 0 }
    this.#flows[id] = { ...flow, usedMs: 0, cameMs: 0 }
    begin(this.#flows[id], this.#engine.appliedOffset)
    this.#ids.set(sink, id)
    this.#queues.ensure(id + 1)
    return id
  }

  /** A whole batch, for its sink must not take a part of it for all; but of the newest, to which more may come, its oldest event. */
  #dropOldest(id: number, flow: Flow): void {
    const position = this.#queues.position(this.#queues.first(id))
    do {
      flow.bytes -= this.#queues.shift(id)
      flow.dropped++
      this.refused++
    } while (
      position < flow.last &&
      this.#queues.count(id) > 0 &&
      this.#queues.position(this.#queues.first(id)) === position
    )
  }

  /** The slot of the oldest event behind a position; -1 where there is none. */
  #behind(id: number, flow: Flow, position: number): number {
    let slot = this.#queues.first(id)
    const read = this.#read.get(flow.sink)
    // as long as its batch is not gone, its slot is not either
    const isThere = read?.place.begun === flow.begun && slot >= 0 && this.#queues.position(slot) <= read.place.position
    if (isThere && read.place.position <= position) slot = read.slot
    while (slot >= 0 && this.#queues.position(slot) <= position) slot = this.#queues.next(slot)
    return slot
  }
}

/** Positions count from 1 again. */
function begin(flow: Flow, offset: number): void {
  flow.begun = offset
  flow.through = flow.last = 0
}
