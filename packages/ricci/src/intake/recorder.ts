import { countMarkUp, encodeMark, inspectMsg, MsgReader, type Limits, type MsgFacts } from '@ricci/client'
import { eventsHeaderLength, writeEventsHeader } from '@ricci/engine'
import type { Clock } from '@ricci/replica'

/** Sequences of a producer must not run out of exactness; at 100,000 Msgs a second this is 2,800 years away. */
const maxSequence = Number.MAX_SAFE_INTEGER

/** Turns Msgs into records, marking those that came without a producer mark as this instance's own. */
export class Recorder {
  /** What the Msg inspected last is. */
  readonly facts: MsgFacts = { events: 0, marked: false, asks: false }
  private readonly reader = new MsgReader()
  private sequence = 0
  private life = 0
  /** The head made last, and its time: further ones of the same instant differ in their sequence number alone. */
  private last: Uint8Array = noMark
  private lastMs = NaN

  /**
   * @param producer name of this instance's intake as a producer
   * @param incarnation higher than that of any earlier life of this producer; see `nextIncarnation`
   */
  constructor(
    private readonly producer: string,
    private readonly incarnation: number,
    private readonly limits: Limits,
    private readonly clock: Clock,
  ) {}

  /**
   * Checks a Msg, so that everything in the log decodes; what it is stands in {@link facts} until the next one.
   * @throws CodecError for bytes that are no Msg, or one beyond a limit
   */
  inspect(msg: Uint8Array): MsgFacts {
    inspectMsg(msg, this.facts, this.limits)
    return this.facts
  }

  /** The query of a Msg that asks. */
  queryOf(msg: Uint8Array): string {
    this.reader.open(msg)
    return this.reader.query ?? ''
  }

  /**
   * What goes before a Msg to make it a record: the record's head and, for one without a mark, a mark of ours. Fields of a
   * protobuf message may stand in any order: the Msg itself is written from the socket's buffer, not copied.
   * @param nowMs wall clock when it came
   */
  head(marked: boolean, nowMs = this.clock.wallMs()): Uint8Array {
    if (marked) return headOf(nowMs, noMark)
    if (this.sequence === maxSequence) this.renew()
    this.sequence++
    if (nowMs !== this.lastMs || !countMarkUp(this.last)) {
      this.last = headOf(nowMs, this.mark(nowMs))
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
    return encodeMark({
      producer: this.producer,
      incarnation: this.incarnation + this.life,
      sequence: this.sequence,
      sentAtMs: nowMs,
    })
  }
}

const noMark = new Uint8Array(0)

function headOf(nowMs: number, mark: Uint8Array): Uint8Array {
  const head = Buffer.allocUnsafe(eventsHeaderLength + mark.length)
  writeEventsHeader(head, nowMs)
  head.set(mark, eventsHeaderLength)
  return head
}
