import { SelfAlarms, type SelfAlarmsOptions } from './delivery/self-alarms.ts'
import { readBackMs, watchMs } from './limits.ts'
import type { LogWriter } from './log-writer.ts'

/** How a replica stands, as far as the alarms about its log go. */
export interface Standing {
  /** For an owner: how long it has read no tick of its own. */
  readonly silentMs: number | undefined
  /** Why nobody owns though this replica should; undefined where one does, or it is not its turn. */
  readonly cannotOwn: string | undefined
}

/** Finds the three troubles that no record could tell of, and has them told outside the log. */
export class TroubleWatch {
  readonly #alarms: SelfAlarms
  readonly #writer: LogWriter

  constructor(writer: LogWriter, options: SelfAlarmsOptions) {
    this.#alarms = new SelfAlarms(options)
    this.#writer = writer
  }

  look({ silentMs, cannotOwn }: Standing): void {
    const owning = silentMs !== undefined
    const trouble = this.#writer.trouble()
    this.#alarms.is('log-unavailable', owning && trouble !== undefined, trouble ?? 'the log takes records again')
    const unread = owning && trouble === undefined && silentMs > watchMs + readBackMs
    const seconds = Math.round((silentMs ?? 0) / 1_000)
    this.#alarms.is('event-path', unread, `the log confirms ticks that its reader was not given for ${seconds} s`)
    this.#alarms.is('cannot-own', cannotOwn !== undefined, cannotOwn ?? 'the partition has an owner again')
  }

  stop(): void {
    this.#alarms.stop()
  }
}
