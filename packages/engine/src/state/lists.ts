import { type EventCursor, Kind } from '@ricci/client'
import type { EventList } from '../folds/list.ts'
import type { ByteReader } from './bytes.ts'
import { chunkBits, chunkMask, type Column, I32Column } from './columns.ts'
import type { Marks } from './marks.ts'
import { NumberRings, smallestRing } from './numbers.ts'
import { Records } from './records.ts'
import { EventColumn } from './rows.ts'
import type { StateWriter } from './writer.ts'

/**
 * A queue's record, 32 bytes.
 *   word 0: its oldest slot + 1, word 1: its newest slot + 1, word 2: how many events there are
 * and a cache, where the queue's numbers are kept together:
 *   word 3: metrics that are no double, word 4: place of the ring + 1, word 5: its capacity, word 6: where in it the oldest stands
 */
const recordWords = 8
const stateWords = 3
const headAt = 0
const tailAt = 1
const countAt = 2
const othersAt = 3
const ringAt = 4
const capacityAt = 5
const ringHeadAt = 6

/**
 * A queue of events per id, over one pool of event rows with a free list: windows, batches, what `stable` holds back.
 * Slots of the pool and their free list are state, so a snapshot copies them as they are.
 */
export class ListColumn implements Column {
  readonly #records = new Records(recordWords, stateWords)
  readonly #pool = new EventColumn()
  /** Next slot + 1 of the same queue, or of the free list. */
  readonly #next = new I32Column()
  #high = 0
  #freeHead = 0

  /** The metrics of all queues, where folds ask for them. */
  #numbers: NumberRings | undefined

  /** From here on the metrics of each queue are kept together, for {@link QueueView.doubleSum}. */
  keepNumbers(): void {
    this.#numbers ??= new NumberRings()
  }

  ensure(count: number): void {
    this.#records.ensure(count)
  }

  count(id: number): number {
    return this.#word(id, countAt)
  }

  /** Gives the slot in which it lies until it is dropped. */
  push(id: number, event: EventCursor): number {
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
    const { ints } = this.#records.change(id)
    const at = (id & chunkMask) * recordWords
    const count = ints[at + countAt]
    if (this.#numbers !== undefined) this.#pushNumber(ints, at, event)
    if (count === 0) ints[at + headAt] = slot + 1
    else this.#next.set(ints[at + tailAt] - 1, slot + 1)
    ints[at + tailAt] = slot + 1
    ints[at + countAt] = count + 1
    return slot
  }

  /** Drops the oldest event. */
  shift(id: number): void {
    const { ints } = this.#records.change(id)
    const at = (id & chunkMask) * recordWords
    const slot = ints[at + headAt] - 1
    const count = ints[at + countAt] - 1
    if (ints[at + ringAt] > 0) {
      if (this.#pool.metricKind(slot) !== Kind.double) ints[at + othersAt]--
      ints[at + ringHeadAt] = (ints[at + ringHeadAt] + 1) & (ints[at + capacityAt] - 1)
    }
    ints[at + headAt] = this.#next.get(slot)
    if (count === 0) ints[at + tailAt] = 0
    ints[at + countAt] = count
    this.#release(slot)
  }

  /** Drops the events that `drop` names, wherever they stand; the order of the others stays. */
  remove(id: number, drop: (pool: EventColumn, slot: number) => boolean): void {
    const { ints } = this.#records.change(id)
    const at = (id & chunkMask) * recordWords
    while (ints[at + countAt] > 0 && drop(this.#pool, ints[at + headAt] - 1)) this.shift(id)
    let before = -1
    let removed = 0
    for (let slot = ints[at + headAt] - 1; slot >= 0;) {
      const next = this.#next.get(slot) - 1
      if (drop(this.#pool, slot)) {
        this.#next.set(before, next + 1)
        if (next < 0) ints[at + tailAt] = before + 1
        this.#release(slot)
        removed++
      } else before = slot
      slot = next
    }
    if (removed === 0) return
    ints[at + countAt] -= removed
    this.#giveRing(ints, at)
  }

  loadFirst(id: number, into: EventCursor): void {
    this.#pool.load(this.#word(id, headAt) - 1, into)
  }

  /** A view of the queue; valid until the queue changes. Make one per operator and reuse it. */
  view(id: number, into: QueueView): QueueView {
    into.open(this, id, this.#pool, this.#word(id, countAt))
    return into
  }

  /** The slots of a queue from its oldest event on. */
  slotsOf(id: number, into: Int32Array): void {
    const count = this.#word(id, countAt)
    let slot = this.#word(id, headAt) - 1
    for (let i = 0; i < count; i++) {
      into[i] = slot
      slot = this.#next.get(slot) - 1
    }
  }

  /** -1 where there is none. */
  firstSlot(id: number): number {
    return this.#word(id, headAt) - 1
  }
  /** -1 behind the last. */
  nextSlot(slot: number): number {
    return this.#next.get(slot) - 1
  }
  loadSlot(slot: number, into: EventCursor): void {
    this.#pool.load(slot, into)
  }
  /** Slots below this have been given out. */
  get high(): number {
    return this.#high
  }

  /** The sum of a queue's metrics in their order, where each is a double and they are kept together. */
  doubleSum(id: number): number | undefined {
    if (this.#numbers === undefined) return undefined
    const { ints } = this.#records.chunks[id >>> chunkBits]
    const at = (id & chunkMask) * recordWords
    const count = ints[at + countAt]
    if (count === 0 || (ints[at + ringAt] === 0 && !this.#fillRing(ints, at)) || ints[at + othersAt] > 0)
      return undefined
    return this.#numbers.sum(ints[at + ringAt] - 1, ints[at + capacityAt], ints[at + ringHeadAt], count)
  }

  /**
   * Takes all events out of the queue for emitting them: the queue is empty at once (children may push anew), the slots are
   * only given back by {@link giveBack}.
   */
  take(id: number, into: QueueView): QueueView {
    this.view(id, into).fill()
    const { ints } = this.#records.change(id)
    const at = (id & chunkMask) * recordWords
    ints[at + headAt] = ints[at + tailAt] = ints[at + countAt] = 0
    this.#giveRing(ints, at)
    return into
  }
  giveBack(view: QueueView): void {
    for (let i = 0; i < view.length; i++) this.#release(view.slots[i])
    view.length = 0
  }

  clear(id: number): void {
    while (this.#word(id, countAt) > 0) this.shift(id)
    const chunk = this.#records.chunks[id >>> chunkBits]
    this.#giveRing(chunk.ints, (id & chunkMask) * recordWords)
  }

  #word(id: number, field: number): number {
    return this.#records.chunks[id >>> chunkBits].ints[(id & chunkMask) * recordWords + field]
  }

  #pushNumber(ints: Int32Array, at: number, event: EventCursor): void {
    const count = ints[at + countAt]
    if (ints[at + ringAt] === 0 || count === ints[at + capacityAt]) {
      if (!this.#fillRing(ints, at)) return
    }
    if (event.metricKind !== Kind.double) ints[at + othersAt]++
    const place = (ints[at + ringHeadAt] + count) & (ints[at + capacityAt] - 1)
    this.#numbers!.set(ints[at + ringAt] - 1, place, event.metric)
  }

  /** Gives a queue a ring with its metrics and room for more; false where it is too long for one. */
  #fillRing(ints: Int32Array, at: number): boolean {
    this.#giveRing(ints, at)
    const count = ints[at + countAt]
    let capacity = smallestRing
    while (capacity <= count) capacity *= 2
    const ring = this.#numbers!.take(capacity)
    if (ring < 0) return false
    ints[at + ringAt] = ring + 1
    ints[at + capacityAt] = capacity
    ints[at + ringHeadAt] = ints[at + othersAt] = 0
    let slot = ints[at + headAt] - 1
    for (let i = 0; i < count; i++) {
      this.#numbers!.set(ring, i, this.#pool.metric(slot))
      if (this.#pool.metricKind(slot) !== Kind.double) ints[at + othersAt]++
      slot = this.#next.get(slot) - 1
    }
    return true
  }

  #giveRing(ints: Int32Array, at: number): void {
    if (ints[at + ringAt] === 0) return
    this.#numbers!.give(ints[at + ringAt] - 1, ints[at + capacityAt])
    ints[at + ringAt] = 0
  }

  /** What a free slot held stays in it until it is used again or {@link tidy} comes: it is the same on every replica, and clearing cost 3 %. */
  #release(slot: number): void {
    this.#next.set(slot, this.#freeHead)
    this.#freeHead = slot + 1
  }

  write(out: StateWriter, count: number): void {
    out.int(this.#high)
    out.int(this.#freeHead)
    this.#records.write(out, count)
    this.#next.write(out, this.#high)
    this.#pool.write(out, this.#high)
  }
  read(from: ByteReader, count: number): void {
    this.#high = from.int()
    this.#freeHead = from.int()
    this.#records.read(from, count)
    this.#next.read(from, this.#high)
    this.#pool.read(from, this.#high)
  }
  /** Texts that only free slots name could never be collected, and their descriptions would be in every snapshot. */
  tidy(): void {
    for (let slot = this.#freeHead - 1; slot >= 0; slot = this.#next.get(slot) - 1) {
      if (!this.#pool.isEmpty(slot)) this.#pool.clear(slot)
    }
  }
  mark(marks: Marks): void {
    this.#pool.mark(marks, this.#high)
  }
  get bytes(): number {
    return this.#records.bytes + this.#next.bytes + this.#pool.bytes + (this.#numbers?.bytes ?? 0)
  }
}

/** A queue's events in order, for folds and children. Where each lies is only looked up for who asks beyond the first. */
export class QueueView implements EventList {
  slots = new Int32Array(16)
  length = 0
  #list: ListColumn | undefined
  #id = 0
  #pool: EventColumn = emptyPool
  #filled = false

  /** Called by the queue. */
  open(list: ListColumn, id: number, pool: EventColumn, length: number): void {
    this.#list = list
    this.#id = id
    this.#pool = pool
    this.length = length
    this.#filled = false
  }

  /** Looks up where the events lie, before the queue changes. */
  fill(): void {
    if (this.#filled) return
    this.#filled = true
    if (this.slots.length < this.length) this.slots = new Int32Array(Math.max(this.length, this.slots.length * 2))
    this.#list?.slotsOf(this.#id, this.slots)
  }

  load(i: number, into: EventCursor): boolean {
    this.#pool.load(this.#slot(i), into)
    return true
  }
  metricKind(i: number): Kind {
    return this.#pool.metricKind(this.#slot(i))
  }
  metric(i: number): number {
    return this.#pool.metric(this.#slot(i))
  }
  metricBig(i: number): bigint {
    return this.#pool.metricBig(this.#slot(i))
  }
  late(i: number): boolean {
    return this.#pool.late(this.#slot(i))
  }
  /** Of a queue that was not taken. */
  doubleSum(): number | undefined {
    return this.#filled || this.#list === undefined ? undefined : this.#list.doubleSum(this.#id)
  }

  #slot(i: number): number {
    if (this.#filled) return this.slots[i]
    if (i === 0) return this.#list!.firstSlot(this.#id)
    this.fill()
    return this.slots[i]
  }
}

const emptyPool = new EventColumn()
