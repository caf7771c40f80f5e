import { EventCursor } from '@ricci/client'
import type { ByteReader } from '../state/bytes.ts'
import { F64Column } from '../state/columns.ts'
import { ListColumn } from '../state/lists.ts'
import type { Marks } from '../state/marks.ts'
import type { StateWriter } from '../state/writer.ts'

/** The events of every flow, oldest first, each with the position of its batch and the calendar time at which it came. */
export class FlowQueues {
  readonly #events = new ListColumn()
  readonly #positions = new F64Column()
  readonly #times = new F64Column()
  readonly #cursor = new EventCursor()

  ensure(flows: number): void {
    this.#events.ensure(flows)
  }

  count(flow: number): number {
    return this.#events.count(flow)
  }

  push(flow: number, event: EventCursor, position: number, atMs: number): void {
    const slot = this.#events.push(flow, event)
    this.#positions.ensure(slot + 1)
    this.#times.ensure(slot + 1)
    this.#positions.set(slot, position)
    this.#times.set(slot, atMs)
  }

  /** The slot of the oldest event; -1 where there is none. */
  first(flow: number): number {
    return this.#events.firstSlot(flow)
  }

  /** The slot of the event that follows; -1 behind the last. */
  next(slot: number): number {
    return this.#events.nextSlot(slot)
  }

  position(slot: number): number {
    return this.#positions.get(slot)
  }

  time(slot: number): number {
    return this.#times.get(slot)
  }

  load(slot: number, into: EventCursor): void {
    this.#events.loadSlot(slot, into)
  }

  /** Drops the oldest event; gives its size. */
  shift(flow: number): number {
    this.load(this.first(flow), this.#cursor)
    this.#events.shift(flow)
    return sizeOf(this.#cursor)
  }

  clear(flow: number): void {
    this.#events.clear(flow)
  }

  tidy(): void {
    this.#events.tidy()
  }

  mark(marks: Marks): void {
    this.#events.mark(marks)
  }

  write(out: StateWriter, flows: number): void {
    this.#events.write(out, flows)
    this.#positions.write(out, this.#events.high)
    this.#times.write(out, this.#events.high)
  }

  read(from: ByteReader, flows: number): void {
    this.#events.read(from, flows)
    this.#positions.read(from, this.#events.high)
    this.#times.read(from, this.#events.high)
  }

  get bytes(): number {
    return this.#events.bytes + this.#positions.bytes + this.#times.bytes
  }
}

/** What an event takes besides its description: its record, its links, position and time. */
const recordBytes = 96

/** Bytes that an event is counted for. */
export function sizeOf(event: EventCursor): number {
  return recordBytes + Math.max(0, event.descriptionLength)
}
