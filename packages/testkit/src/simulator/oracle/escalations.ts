import type { CommandRecord, LogRecord } from '@ricci/engine'
import { escalateAfterMs, stuckRule } from '../rules.ts'
import { longestTickMs, type OwnedTime } from './owned-time.ts'
import type { Told } from './told.ts'

/** Something that is stuck, from its first bad event on. */
interface Stuck {
  sinceMs: number
  /** Calendar time until which somebody has taken it on. */
  untilMs?: number
  escalated: boolean
}

/**
 * Who else had to be told of what is stuck, worked out from the log's order and clocks: once for each, when it was not taken on for so long of owned time, or at
 * once when a page of it failed for good. What comes sooner than that is left in {@link Told}, and counts as invented.
 */
export class EscalationTruth {
  readonly #stuck = new Map<string, Stuck>()
  readonly #commands = new Set<string>()
  /** How many were taken. */
  taken = 0

  constructor(
    private readonly told: Told,
    private readonly say: (text: string) => void,
  ) {}

  event(host: string, isBad: boolean, offset: number, time: OwnedTime): void {
    const stuck = this.#stuck.get(host)
    if (!isBad) this.#stuck.delete(host)
    else if (stuck === undefined) {
      if (!this.told.take(stuckRule, host, offset, 'trigger'))
        this.say(`${host} got stuck at offset ${offset}, nobody is paged`)
      this.#stuck.set(host, { sinceMs: time.ownedMs, escalated: false })
    }
  }

  /** After the clocks were moved. */
  record(record: LogRecord, offset: number, time: OwnedTime): void {
    if (record.kind === 'command') this.#command(record, time)
    else if (record.kind === 'tick') for (const [host, stuck] of this.#stuck) this.#tick(host, stuck, offset, time)
    else if (record.kind === 'outcome' && (record.result === 'refused' || record.result === 'gave-up')) {
      for (const [host, stuck] of this.#stuck) if (!stuck.escalated) this.#take(host, stuck, offset)
    }
  }

  #command({ id, arguments: given }: CommandRecord, time: OwnedTime): void {
    if (this.#commands.has(id)) return
    this.#commands.add(id)
    const host = String(given['key']).split(' ')[0]
    const stuck = this.#stuck.get(host)
    if (stuck !== undefined) stuck.untilMs = time.calendarMs + Number(given['forMs'])
  }

  #tick(host: string, stuck: Stuck, offset: number, time: OwnedTime): void {
    if (stuck.untilMs !== undefined) {
      if (time.calendarMs < stuck.untilMs) return
      stuck.untilMs = undefined
      stuck.sinceMs = time.ownedMs
    }
    const dueMs = stuck.sinceMs + escalateAfterMs
    if (stuck.escalated || time.ownedMs < dueMs || this.#take(host, stuck, offset)) return
    if (time.ownedMs <= dueMs + 2 * longestTickMs) return
    stuck.escalated = true
    // by a calendar that went back nobody can say when an acknowledgement ended
    if (!time.setBack)
      this.say(`${host} is stuck since ${Math.round(stuck.sinceMs)} ms, nobody else is told by offset ${offset}`)
  }

  #take(host: string, stuck: Stuck, offset: number): boolean {
    if (!this.told.take(stuckRule, host, offset, 'trigger')) return false
    this.taken++
    return (stuck.escalated = true)
  }
}
