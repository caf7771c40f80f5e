import type { EventCursor, Kind } from '@ricci/client'
import type { EventList } from '../folds/list.ts'
import type { ByteReader } from './bytes.ts'
import { type Column, I32Column } from './columns.ts'
import type { Marks } from './marks.ts'
import { EventColumn } from './rows.ts'
import type { StateWriter } from './writer.ts'

/**
 * A queue of events per id, over one pool of event rows with a free list: windows, batches, what `stable` holds back.
 * Slots of the pool and their free list are state, so a snapshot copies them as they are.
 */
export class ListColumn implements Column {
  readonly #heads = new I32Column()
  readonly #tails = new I32Column()
  readonly #counts = new I32Column()
  readonly #pool = new EventColumn()
  /** Next slot + 1 of the same queue, or of the free list. */
  readonly #next = new I32Column()
  #high = 0
  #freeHead = 0

  ensure(count: number): void {
    this.#heads.ensure(count)
    this.#tails.ensure(count)
    this.#counts.ensure(count)
  }

  count(id: number): number {
    return this.#counts.get(id)
  }

  push(id: number, event: EventCursor): void {
    let slot: number
    if (this.#freeHead > 0) {
      slot = this.#freeHead - 1
      this.#freeHead = this.#next.get(slot)
    } else {
      slot = this.#high++
      this.#pool.ensure(this.#high)
      this.#next.ensure(this.#high)
    }
    this.#next.set(slot, 0)
    this.#pool.store(slot, event)
    const count = this.#counts.get(id)
    if (count === 0) this.#heads.set(id, slot + 1)
    else this.#next.set(this.#tails.get(id) - 1, slot + 1)
    this.#tails.set(id, slot + 1)
    this.#counts.set(id, count + 1)
  }

  /** Drops the oldest event. */
  shift(id: number): void {
    const slot = this.#heads.get(id) - 1
    const count = this.#counts.get(id) - 1
    this.#heads.set(id, this.#next.get(slot))
    if (count === 0) this.#tails.set(id, 0)
    this.#counts.set(id, count)
    this.#release(slot)
  }

  /** Drops the events that `drop` names, wherever they stand; the order of the others stays. */
  remove(id: number, drop: (pool: EventColumn, slot: number) => boolean): void {
    let before = -1
    for (let slot = this.#heads.get(id) - 1; slot >= 0;) {
      const next = this.#next.get(slot) - 1
      if (drop(this.#pool, slot)) {
        if (before < 0) this.#heads.set(id, next + 1)
        else this.#next.set(before, next + 1)
        if (next < 0) this.#tails.set(id, before + 1)
        this.#counts.set(id, this.#counts.get(id) - 1)
        this.#release(slot)
      } else before = slot
      slot = next
    }
  }

  /** Overwrites the newest event. */
  replaceLast(id: number, event: EventCursor): void {
    this.#pool.store(this.#tails.get(id) - 1, event)
  }

  loadFirst(id: number, into: EventCursor): void {
    this.#pool.load(this.#heads.get(id) - 1, into)
  }
  loadLast(id: number, into: EventCursor): void {
    this.#pool.load(this.#tails.get(id) - 1, into)
  }

  /** A view of the queue; valid until the queue changes. Make one per operator and reuse it. */
  view(id: number, into: QueueView): QueueView {
    const count = this.#counts.get(id)
    if (into.slots.length < count) into.slots = new Int32Array(Math.max(count, into.slots.length * 2))
    let slot = this.#heads.get(id) - 1
    for (let i = 0; i < count; i++) {
      into.slots[i] = slot
      slot = this.#next.get(slot) - 1
    }
    into.pool = this.#pool
    into.length = count
    return into
  }

  /**
   * Takes all events out of the queue for emitting them: the queue is empty at once (children may push anew), the slots are
   * only given back by {@link giveBack}.
   */
  take(id: number, into: QueueView): QueueView {
    this.view(id, into)
    this.#heads.set(id, 0)
    this.#tails.set(id, 0)
    this.#counts.set(id, 0)
    return into
  }
  giveBack(view: QueueView): void {
    for (let i = 0; i < view.length; i++) this.#release(view.slots[i])
    view.length = 0
  }

  clear(id: number): void {
    while (this.#counts.get(id) > 0) this.shift(id)
  }

  /** What a free slot held stays in it until it is used again: it is the same on every replica, and clearing cost 3 %. */
  #release(slot: number): void {
    this.#next.set(slot, this.#freeHead)
    this.#freeHead = slot + 1
  }

  write(out: StateWriter, count: number): void {
    out.int(this.#high)
    out.int(this.#freeHead)
    for (const column of [this.#heads, this.#tails, this.#counts]) column.write(out, count)
    this.#next.write(out, this.#high)
    this.#pool.write(out, this.#high)
  }
  read(from: ByteReader, count: number): void {
    this.#high = from.int()
    this.#freeHead = from.int()
    for (const column of [this.#heads, this.#tails, this.#counts]) column.read(from, count)
    this.#next.read(from, this.#high)
    this.#pool.read(from, this.#high)
  }
  mark(marks: Marks): void {
    this.#pool.mark(marks, this.#high)
  }
  get bytes(): number {
    const own = this.#heads.bytes + this.#tails.bytes + this.#counts.bytes + this.#next.bytes
    return own + this.#pool.bytes
  }
}

/** A queue's events in order, for folds and children. */
export class QueueView implements EventList {
  pool: EventColumn = emptyPool
  slots = new Int32Array(16)
  length = 0

  load(i: number, into: EventCursor): boolean {
    this.pool.load(this.slots[i], into)
    return true
  }
  metricKind(i: number): Kind {
    return this.pool.metricKind(this.slots[i])
  }
  metric(i: number): number {
    return this.pool.metric(this.slots[i])
  }
  metricBig(i: number): bigint {
    return this.pool.metricBig(this.slots[i])
  }
}

const emptyPool = new EventColumn()
