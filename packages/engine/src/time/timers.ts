import type { ByteReader, ByteWriter } from '../state/bytes.ts'
import { chunkSize, type Column, F64Column, I32Column } from '../state/columns.ts'
import type { Hasher } from '../state/hash.ts'
import type { Clock, Clocks } from './clocks.ts'

/**
 * One timer per id: a column of deadlines (milliseconds of its clock, Infinity for none) and a wheel over it.
 *
 * Setting a later deadline only writes the column; the id moves on when its bucket comes up early (measured: 9 ns a renewal
 * against 113 for an indexed heap, longest tick 0.3 ms at 150,000). Deadlines are state; the wheel is a cache and is rebuilt.
 */
export class TimerColumn implements Column {
  readonly clock: Clock
  readonly clocks: Clocks
  /** Breaks ties between timers of different operators: the operator's place in the tree. */
  identity: number
  /** Whether a claim or gap puts deadlines off: TTL, presence, deadman, fill-in. */
  readonly graced: boolean
  /** Whether it fires again and again for windows of time: a gap ends the window under way. */
  readonly periodic: boolean
  onFire: (id: number, deadline: number, gap: boolean) => void
  readonly #deadlines = new F64Column(Infinity)
  /** How much the present deadline has been put off by grace, in all. */
  readonly #putOff: F64Column | undefined
  /** Whether any deadline has been put off: a renewal need not look until then. A cache of the column above. */
  #anyPutOff = false
  /** Bucket number + 1 the id sits in, 0 for none. */
  readonly #buckets = new F64Column()
  readonly #nexts = new I32Column()
  readonly #previous = new I32Column()
  readonly #heads = new Map<number, number>()
  /** No bucket before this one holds anything: most moves have nothing to look at. */
  #earliest = Infinity

  constructor(
    clocks: Clocks,
    clock: Clock,
    identity: number,
    graced: boolean,
    onFire: (id: number, deadline: number, gap: boolean) => void,
    periodic = false,
  ) {
    this.clocks = clocks
    this.clock = clock
    this.identity = identity
    this.graced = graced
    this.#putOff = graced ? new F64Column() : undefined
    this.onFire = onFire
    this.periodic = periodic
    clock.attach(this)
  }

  ensure(count: number): void {
    this.#deadlines.ensure(count)
    this.#putOff?.ensure(count)
    this.#buckets.ensure(count)
    this.#nexts.ensure(count)
    this.#previous.ensure(count)
  }

  /** The deadline of an id; Infinity when no timer is set. */
  get(id: number): number {
    return this.#deadlines.get(id)
  }

  /** Sets or moves the timer of an id. A deadline that has passed fires at the next move of the clock, or in the one under way. */
  set(id: number, deadline: number): void {
    if (this.#anyPutOff) this.#putOff!.set(id, 0)
    this.#place(id, deadline)
  }

  #place(id: number, deadline: number): void {
    this.#deadlines.set(id, deadline)
    if (this.clocks.moving && deadline <= this.clock.target) {
      this.#unlink(id)
      this.clocks.due(this, id, deadline)
      return
    }
    const bucket = bucketOf(deadline)
    const held = this.#buckets.get(id) - 1
    if (held >= 0) {
      if (held <= bucket) return
      this.#unlink(id)
    }
    this.#link(id, bucket)
  }

  /** Takes the timer away; the id leaves its bucket when that comes up. */
  clear(id: number): void {
    this.#deadlines.set(id, Infinity)
    if (this.#anyPutOff) this.#putOff!.set(id, 0)
  }

  /** Hands what is due until `to` to the clocks. */
  collect(to: number, clocks: Clocks): void {
    if (this.periodic && clocks.inGap) return this.#allDue(clocks)
    const until = bucketOf(to)
    if (until < this.#earliest) return
    this.#earliest = Infinity
    for (const bucket of [...this.#heads.keys()]) {
      if (bucket > until) {
        if (bucket < this.#earliest) this.#earliest = bucket
        continue
      }
      let id = this.#heads.get(bucket)! - 1
      this.#heads.delete(bucket)
      while (id >= 0) {
        const next = this.#nexts.get(id) - 1
        this.#buckets.set(id, 0)
        const deadline = this.#deadlines.get(id)
        if (deadline <= to) clocks.due(this, id, deadline)
        else if (deadline !== Infinity) this.#link(id, bucketOf(deadline))
        id = next
      }
    }
  }

  /** Every timer that is set; ids stay in their buckets, which are looked through again anyway. */
  #allDue(clocks: Clocks): void {
    const count = this.#deadlines.chunks.length * chunkSize
    for (let id = 0; id < count; id++) {
      const deadline = this.#deadlines.get(id)
      if (deadline !== Infinity) clocks.due(this, id, deadline)
    }
  }

  /** Called by the clocks when the deadline is reached. */
  fire(id: number, gap: boolean): void {
    const deadline = this.#deadlines.get(id)
    if (this.#putOff !== undefined && deadline < this.clocks.graceUntil) {
      const before = this.#putOff.get(id)
      const until = Math.min(this.clocks.graceUntil, deadline + longestPutOffMs - before)
      if (until > deadline) {
        this.#anyPutOff = true
        this.#putOff.set(id, before + until - deadline)
        this.#place(id, until)
        return
      }
    }
    this.clear(id)
    this.onFire(id, deadline, gap)
  }

  /** Moves every deadline, after the calendar was set back. */
  shift(byMs: number): void {
    const count = this.#deadlines.chunks.length * chunkSize
    for (let id = 0; id < count; id++) {
      const deadline = this.#deadlines.get(id)
      if (deadline !== Infinity) this.#deadlines.set(id, deadline + byMs)
    }
    this.#rebuild(count)
  }

  #link(id: number, bucket: number): void {
    if (bucket < this.#earliest) this.#earliest = bucket
    const head = this.#heads.get(bucket) ?? 0
    this.#heads.set(bucket, id + 1)
    this.#nexts.set(id, head)
    this.#previous.set(id, 0)
    if (head > 0) this.#previous.set(head - 1, id + 1)
    this.#buckets.set(id, bucket + 1)
  }

  #unlink(id: number): void {
    const bucket = this.#buckets.get(id) - 1
    if (bucket < 0) return
    const next = this.#nexts.get(id)
    const previous = this.#previous.get(id)
    if (previous > 0) this.#nexts.set(previous - 1, next)
    else if (next > 0) this.#heads.set(bucket, next)
    else this.#heads.delete(bucket)
    if (next > 0) this.#previous.set(next - 1, previous)
    this.#buckets.set(id, 0)
  }

  #rebuild(count: number): void {
    this.#heads.clear()
    this.#earliest = Infinity
    for (let id = 0; id < count; id++) {
      this.#buckets.set(id, 0)
      const deadline = this.#deadlines.get(id)
      if (deadline !== Infinity) this.#link(id, bucketOf(deadline))
    }
  }

  hash(hasher: Hasher, count: number): void {
    this.#deadlines.hash(hasher, count)
    this.#putOff?.hash(hasher, count)
  }
  write(out: ByteWriter, count: number): void {
    this.#deadlines.write(out, count)
    this.#putOff?.write(out, count)
  }
  read(from: ByteReader, count: number): void {
    this.ensure(count)
    this.#deadlines.read(from, count)
    this.#putOff?.read(from, count)
    this.#anyPutOff = this.#putOff !== undefined
    this.#rebuild(count)
  }
  holds(id: number): boolean {
    return this.#deadlines.get(id) !== Infinity
  }
  get bytes(): number {
    return this.#deadlines.bytes * 2 + this.#nexts.bytes * 2 + (this.#putOff?.bytes ?? 0)
  }
}

/** As fine as an owner's ticks; what comes up early costs one more look. */
const bucketMs = 500
/** One deadline is put off by grace at most this much in all, or claims in a row would keep a dead host alive. */
const longestPutOffMs = 60_000

function bucketOf(deadline: number): number {
  return Math.max(0, Math.floor(deadline / bucketMs))
}
