import type { SkipRecord } from '@ricci/engine'
import type { HostFailure } from './host.ts'
import type { LogWriter } from './log-writer.ts'

/** The first skip may have been lost, or come too late for the next engine's look ahead: the third stall is the branch's fault. */
const stallsOfOneBranch = 2

/**
 * Who died once may have been killed by something else: memory that others took, the end of the process. Who dies twice at one
 * event dies of it.
 */
const deathsExcused = 1

/** The event at which engines stall or die, and the record that says to leave it out. */
export class Stalls {
  readonly #writer: LogWriter
  #unread: SkipRecord | undefined
  /** Where the engine stalled last, and how often in a row. */
  #last: { readonly offset: number; readonly event: number; readonly times: number } | undefined

  constructor(writer: LogWriter) {
    this.#writer = writer
  }

  /** Asks for the event to be left out, unless that was read: for the owner, and for whoever may claim. Gives whether it did. */
  write(): boolean {
    if (this.#unread === undefined) return false
    this.#writer.write([this.#unread])
    return true
  }

  /** Gives whether the failure is one event's fault. */
  blame({ code, offset, event = -1, branch = '' }: HostFailure): boolean {
    if (offset === undefined || (code !== 'ENGINE_STUCK' && code !== 'ENGINE_DIED')) return false
    const again = this.#last?.offset === offset && this.#last.event === event
    const times = again ? this.#last!.times + 1 : 1
    this.#last = { offset, event, times }
    const blamed = code === 'ENGINE_DIED' ? times - deathsExcused : times
    if (blamed < 1) return false
    // The operator named is the one called last; where leaving that out does not help, it was one above it.
    this.#unread = { kind: 'skip', offset, event, branch: blamed > stallsOfOneBranch ? '' : branch }
    return true
  }

  read(skip: SkipRecord): void {
    if (this.#unread?.offset === skip.offset) this.#unread = undefined
  }
}
