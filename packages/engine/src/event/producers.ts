import type { ProducerMark } from '@ricci/client'
import { CutList, type Place } from '../state/cut-list.ts'
import { SeenWindow } from './seen-window.ts'

interface Producer {
  readonly name: string
  readonly incarnation: number
  highest: number
  /** Open gaps, ascending; what lies in one has not been seen. */
  gaps: Gap[]
  /** In their place for a sequence that is spread over several partitions: what is missing here may be there. */
  seen: SeenWindow | undefined
  lastSeenMs: number
}

/** Owned time at which it was opened; null once its loss was told. What comes later all the same is still taken. */
type Gap = [first: number, last: number, sinceMs: number | null]

/** A gap open for this long is evidence of loss. */
const gapPatienceMs = 60_000
/** More open gaps than this are not a reordering any more. */
const maximalGaps = 64
/** Idle for this long, a producer is forgotten; producers take a new incarnation after half of it. */
const forgetAfterMs = 24 * 3_600_000
/** At some 200 bytes each, 20 MB; spread ones take a kilobyte more. Those idle for longest make room. */
const maximalProducers = 100_000
/** Room is made for this many at once, or a flood of new names would look through all the others for each of its own. */
const madeRoomFor = 1_000

/** A producer as it is written. */
type Row = readonly [
  name: string,
  incarnation: number,
  highest: number,
  gaps: readonly Gap[],
  lastSeenMs: number,
  seen?: string,
]

export interface Loss {
  readonly producer: string
  readonly missing: number
}

/**
 * Tells by producer marks what was there before and what is missing. A sequence that lies in no open gap and is not higher than
 * the highest is a duplicate. State; times are owned time.
 */
export class Producers {
  readonly #list = new CutList<Producer>(rowOf)
  readonly #known = new Map<string, Place<Producer>>()
  /** Who has an open gap that was not told yet. */
  readonly #gapped = new Set<string>()
  /** Messages dropped because they were there before, since the log began. State: every replica says the same, and a restart forgets none. */
  repeats = 0
  /** Let go to make room, though not idle for long: duplicates of theirs would not be known. Counted, not state. */
  evicted = 0

  /** Takes a mark in. False for a duplicate: its Msg is dropped before a byte of its events is decoded, and counted. */
  accept(mark: ProducerMark, nowMs: number, lost: (loss: Loss) => void): boolean {
    const isNew = this.#takeIn(mark, nowMs, lost)
    if (!isNew) this.repeats++
    return isNew
  }

  #takeIn(mark: ProducerMark, nowMs: number, lost: (loss: Loss) => void): boolean {
    let place = this.#known.get(mark.producer)
    if (place === undefined || place.value.incarnation < mark.incarnation) {
      if (place === undefined && this.size >= maximalProducers) this.#makeRoom()
      this.#forget(mark.producer)
      const { producer: name, incarnation } = mark
      place = this.#add({ name, incarnation, highest: 0, gaps: [], seen: undefined, lastSeenMs: nowMs })
    }
    const known = place.value
    if (mark.incarnation < known.incarnation) return false
    this.#list.keep(place)
    if (mark.spread === true && known.seen === undefined) this.#spread(known)
    if (known.seen !== undefined) {
      if (!known.seen.take(mark.sequence, known.highest)) return false
      known.highest = Math.max(known.highest, mark.sequence)
    } else if (mark.sequence <= known.highest) {
      if (!closeGap(known, mark.sequence)) return false
      if (known.gaps.every(([, , sinceMs]) => sinceMs === null)) this.#gapped.delete(mark.producer)
    } else {
      if (mark.sequence > known.highest + 1) {
        known.gaps.push([known.highest + 1, mark.sequence - 1, nowMs])
        this.#gapped.add(mark.producer)
      }
      known.highest = mark.sequence
    }
    // filling the middle of a gap makes two of it, so that the bound may be passed either way
    if (known.gaps.length > maximalGaps) {
      const [first, last, sinceMs] = known.gaps.shift()!
      if (sinceMs !== null) lost({ producer: mark.producer, missing: last - first + 1 })
    }
    known.lastSeenMs = nowMs
    return true
  }

  /** At each tick: gaps that have been open for too long are told, once. They stay open: an agent may still hold what is missing. */
  check(nowMs: number, lost: (loss: Loss) => void): void {
    for (const name of this.#gapped) {
      let missing = 0
      let waiting = false
      const place = this.#known.get(name)!
      this.#list.keep(place)
      for (const gap of place.value.gaps) {
        const [first, last, sinceMs] = gap
        if (sinceMs === null) continue
        if (nowMs - sinceMs < gapPatienceMs) waiting = true
        else {
          missing += last - first + 1
          gap[2] = null
        }
      }
      if (!waiting) this.#gapped.delete(name)
      if (missing > 0) lost({ producer: name, missing })
    }
  }

  /** Forgets who has been idle for a day. */
  forget(nowMs: number): void {
    for (const { name, lastSeenMs } of this.#list) if (nowMs - lastSeenMs >= forgetAfterMs) this.#forget(name)
  }

  get size(): number {
    return this.#list.length
  }

  /** Besides {@link repeats}: what later marks do not change any more. */
  snapshot(): CutList<Producer> {
    return this.#list
  }

  /** @param rows as JSON holds what {@link snapshot} gave */
  restore(rows: unknown): void {
    this.#list.clear()
    this.#known.clear()
    this.#gapped.clear()
    for (const [name, incarnation, highest, gaps, lastSeenMs, text] of rows as Row[]) {
      const seen = text === undefined ? undefined : SeenWindow.parse(text)
      this.#add({ name, incarnation, highest, gaps: [...gaps], seen, lastSeenMs })
      if (gaps.some(([, , sinceMs]) => sinceMs !== null)) this.#gapped.add(name)
    }
  }

  /** From here on no gap of it tells of a loss; what is told already stays told. */
  #spread(known: Producer): void {
    known.seen = SeenWindow.before(known.highest, known.gaps)
    known.gaps = []
    this.#gapped.delete(known.name)
  }

  #add(producer: Producer): Place<Producer> {
    const place = this.#list.add(producer)
    this.#known.set(producer.name, place)
    return place
  }

  #forget(name: string): void {
    const place = this.#known.get(name)
    if (place === undefined) return
    this.#list.remove(place)
    this.#known.delete(name)
    this.#gapped.delete(name)
  }

  #makeRoom(): void {
    // the order of the list is state, and the sort keeps it among equals: every replica lets the same ones go
    const idlest = [...this.#list].sort((a, b) => a.lastSeenMs - b.lastSeenMs).slice(0, madeRoomFor)
    for (const { name } of idlest) this.#forget(name)
    this.evicted += idlest.length
  }
}

function rowOf({ name, incarnation, highest, gaps, seen, lastSeenMs }: Producer): Row {
  if (seen !== undefined) return [name, incarnation, highest, noGaps, lastSeenMs, `${seen}`]
  return [name, incarnation, highest, gaps.length === 0 ? noGaps : gaps.map((gap): Gap => [...gap]), lastSeenMs]
}

const noGaps: readonly Gap[] = []

/** Whether the sequence lay in an open gap; takes it out. */
function closeGap(known: Producer, sequence: number): boolean {
  const at = known.gaps.findIndex(([first, last]) => sequence >= first && sequence <= last)
  if (at < 0) return false
  const [first, last, sinceMs] = known.gaps[at]
  const rest: Gap[] = []
  if (first < sequence) rest.push([first, sequence - 1, sinceMs])
  if (sequence < last) rest.push([sequence + 1, last, sinceMs])
  known.gaps.splice(at, 1, ...rest)
  return true
}
