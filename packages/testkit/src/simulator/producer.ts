import { crc32 } from 'node:zlib'
import { encodeMsg, type Event } from '@ricci/client'
import type { SeededRandom } from '../random.ts'
import type { World } from './world.ts'

/** What a producer sent under one mark. The oracle knows it again by the checksum of its bytes, without any decoder. */
export interface SentMsg {
  readonly producer: string
  readonly incarnation: number
  readonly sequence: number
  readonly partition: number
  readonly sentAtMs: number
  readonly events: readonly Event[]
  readonly bytes: Uint8Array
  readonly checksum: number
  ackedAtMs?: number
  /** Since when it is under way, undefined while it waits to be sent (again). */
  underWaySinceMs?: number
}

/** An instance as producers see it: takes a Msg, and acknowledges it or not. */
export interface Door {
  readonly name: string
  /** Whether a connection can be made at present. */
  open(): boolean
  take(partition: number, msg: Uint8Array, ack: () => void): void
}

/** More than these without an ack: new events wait in the producer. */
const inFlightLimit = 8
const ackTimeoutMs = 5_000
/** Events that wait longer than this are thrown away, newest first to survive: what an agent does with a low class. */
const bufferMs = 30_000

/**
 * Sends one host's events under marks, keeps what is not acknowledged and sends it again, in order, through another instance.
 * Its list of acks is its own: what stands in it must be in the log.
 */
export class Producer {
  readonly sent: SentMsg[] = []
  #incarnation = 1
  #sequence = 0
  #unacked: SentMsg[] = []
  #buffer: { readonly atMs: number; readonly events: readonly Event[] }[] = []
  #door: Door
  /** When what was sent last through each arrives there. */
  readonly #arrivalMs = new Map<Door, number>()
  #lookScheduled = false
  readonly #random: SeededRandom

  constructor(
    readonly world: World,
    readonly name: string,
    readonly partition: number,
    private readonly doors: readonly Door[],
    private readonly onSent: (msg: SentMsg) => void,
  ) {
    this.#random = world.random.fork(`producer/${name}`)
    this.#door = this.#random.pick(doors)
  }

  /** Hands events over; they go out as one Msg. */
  send(events: readonly Event[]): void {
    this.#buffer.push({ atMs: this.world.nowMs, events })
    this.#pump()
    this.#lookLater()
  }

  /** What it sends from now on goes through another door. */
  turnTo(door: Door): void {
    if (this.doors.includes(door)) this.#door = door
  }

  /** Dies and comes back: what was not acknowledged is forgotten, the sequence starts anew in a new incarnation. */
  restart(): void {
    this.world.fault('producer restart', this.name, `${this.#unacked.length} unacknowledged forgotten`)
    this.#incarnation++
    this.#sequence = 0
    this.#unacked = []
    this.#buffer = []
  }

  get settled(): boolean {
    return this.#unacked.length === 0 && this.#buffer.length === 0
  }

  #pump(): void {
    const now = this.world.nowMs
    while (this.#buffer.length > 0 && this.#unacked.length < inFlightLimit) {
      const { atMs, events } = this.#buffer.shift()!
      if (now - atMs > bufferMs) continue
      const mark = {
        producer: this.name,
        incarnation: this.#incarnation,
        sequence: ++this.#sequence,
        sentAtMs: Math.round(this.world.clock.wallMs()),
      }
      const bytes = encodeMsg({ events, mark })
      const msg: SentMsg = { ...mark, partition: this.partition, events, bytes, checksum: crc32(bytes) }
      this.sent.push(msg)
      this.#unacked.push(msg)
      this.onSent(msg)
      this.#transmit(msg)
    }
  }

  #transmit(msg: SentMsg): void {
    const { nowMs } = this.world
    msg.underWaySinceMs = nowMs
    const door = this.#door
    // One connection to each door: what is sent later does not come sooner.
    const atMs = Math.max(nowMs + this.#random.between(0.5, 20), this.#arrivalMs.get(door) ?? 0)
    this.#arrivalMs.set(door, atMs)
    this.world.after(atMs - nowMs, () => {
      if (!door.open()) return
      door.take(this.partition, msg.bytes, () =>
        this.world.after(this.#random.between(0.5, 20), () => {
          if (msg.ackedAtMs !== undefined || msg.incarnation !== this.#incarnation) return
          msg.ackedAtMs = this.world.nowMs
          this.#unacked = this.#unacked.filter((other) => other !== msg)
          this.#pump()
        }),
      )
    })
  }

  /** Looks once a second, while anything is open, whether the oldest Msg has waited too long; then all go again, in order. */
  #lookLater(): void {
    if (this.#lookScheduled) return
    this.#lookScheduled = true
    this.world.after(1_000, () => {
      this.#lookScheduled = false
      if (this.settled) return
      const oldest = this.#unacked[0]
      if (oldest !== undefined && this.world.nowMs - (oldest.underWaySinceMs ?? 0) >= ackTimeoutMs) {
        this.#door = this.#random.pick(this.doors)
        this.world.fault(
          'producer retry',
          this.name,
          `${this.#unacked.length} from ${oldest.sequence} through ${this.#door.name}`,
        )
        for (const msg of this.#unacked) this.#transmit(msg)
      }
      this.#pump()
      this.#lookLater()
    })
  }
}
