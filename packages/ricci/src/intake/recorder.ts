import { countMarkUp, encodeMark, maxProducerIdleMs, type ProducerMark } from '@ricci/client'
import { eventsHeaderLength, writeEventsHeader } from '@ricci/engine/records'

/** Sequences of a producer must not run out of exactness; at 100,000 Msgs a second this is 2,800 years away. */
const maxSequence = Number.MAX_SAFE_INTEGER

/** Who marks what came without a mark: of each life, counted from 0, a producer or an incarnation of its own. */
export type MarkingAs = (life: number) => Pick<ProducerMark, 'producer' | 'incarnation' | 'spread'>

/**
 * One producer in all lives.
 * @param producer name of this instance's intake as a producer; each partition knows producers of its own
 * @param incarnation higher than that of any earlier life of this producer; see `nextIncarnation`
 */
export function oneProducer(producer: string, incarnation: number): MarkingAs {
  return (life) => ({ producer, incarnation: incarnation + life })
}

/** Makes records of the Msgs that go to one partition, marking those that came without a producer mark as this instance's own. */
export class Recorder {
  private sequence = 0
  private life = 0
  /** The head made last, and its time: further ones of the same instant differ in their sequence number alone. */
  private last: Uint8Array = noMark
  private lastMs = NaN
  private spread = false

  constructor(private readonly markingAs: MarkingAs) {}

  /**
   * What goes before a Msg without a mark to make it a record: the record's head and a mark of ours. Fields of a protobuf message may
   * stand in any order: the Msg itself is written from the socket's buffer, not copied.
   * @param nowMs wall clock when it came
   */
  head(nowMs: number): Uint8Array {
    if (this.sequence === maxSequence || nowMs - this.lastMs > maxProducerIdleMs) this.renew()
    this.sequence++
    if (nowMs !== this.lastMs || this.spread || !countMarkUp(this.last)) {
      this.last = headWith(nowMs, this.mark(nowMs))
      this.lastMs = nowMs
    }
    return Buffer.from(this.last)
  }

  /**
   * The log refused records: their sequence numbers may be missing there for ever, and a gap would be taken for a loss that
   * nobody was told of. The producers were told; so the next record begins a new life.
   */
  renew(): void {
    this.life++
    this.sequence = 0
    this.lastMs = NaN
  }

  private mark(nowMs: number): Uint8Array {
    // sentAtMs = receivedAtMs: the age of an event is then judged exactly as for a Msg without a mark
    const who = this.markingAs(this.life)
    this.spread = who.spread === true
    return encodeMark({ ...who, sequence: this.sequence, sentAtMs: nowMs })
  }
}

const noMark = new Uint8Array(0)

/**
 * What goes before a Msg to make it a record.
 * @param mark a mark's field, for events that stand without it; nothing before a Msg with a mark of its own
 */
export function headWith(nowMs: number, mark: Uint8Array = noMark): Uint8Array {
  const head = Buffer.allocUnsafe(eventsHeaderLength + mark.length)
  writeEventsHeader(head, nowMs)
  head.set(mark, eventsHeaderLength)
  return head
}
