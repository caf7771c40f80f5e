import { askAgainMs, askAnswerMs, settledMs } from './limits.ts'
import type { CoordinationPort } from './ports.ts'
import { hasCaughtUp, type Seat } from './seats.ts'

export interface AskingsOptions {
  readonly instance: string
  readonly coordination: CoordinationPort
}

/** A request that was made and has not been fulfilled. */
interface Asking {
  readonly partition: number
  readonly untilMs: number
}

/**
 * When an instance asks for a planned hand-over, one partition at a time: of what it is first to have and another owns, once it has been so,
 * caught up, for a minute; of what a draining instance owns at once, then as the first who has caught up.
 */
export class Askings {
  readonly #options: AskingsOptions
  readonly #onAnswer: () => void
  /** By partition: since when it might ask. */
  readonly #sinceMs = new Map<number, number>()
  /** By partition: not before, because it was asked for in vain. */
  readonly #notBeforeMs = new Map<number, number>()
  #asking: Asking | undefined
  #stopped = false

  /** @param onAnswer told when the next may be asked for */
  constructor(options: AskingsOptions, onAnswer: () => void) {
    this.#options = options
    this.#onAnswer = onAnswer
  }

  stop(): void {
    this.#stopped = true
  }

  /** Asks for what is due. Gives when to look again, in monotonic ms. */
  look(seats: readonly Seat[], nowMs: number): number {
    let nextMs = Infinity
    let due: Seat | undefined
    for (const seat of seats) {
      const atMs = this.#dueMs(seat, nowMs)
      if (atMs > nowMs) nextMs = Math.min(nextMs, atMs)
      // What drains goes first.
      else if (due === undefined || (seat.owner!.draining && !due.owner!.draining)) due = seat
    }
    const asking = this.#asking
    if (asking !== undefined) {
      // Fulfilled when there is nothing to be asked for any more.
      if (this.#sinceMs.has(asking.partition) && nowMs < asking.untilMs) return Math.min(nextMs, asking.untilMs)
      this.#asking = undefined
      if (this.#sinceMs.has(asking.partition)) this.#inVain(asking.partition, nowMs)
      return this.look(seats, nowMs)
    }
    if (due === undefined) return nextMs
    this.#ask(due.partition, nowMs)
    return Math.min(nextMs, nowMs + askAnswerMs)
  }

  #dueMs({ partition, members, owner }: Seat, nowMs: number): number {
    const { instance } = this.#options
    const own = members.find((member) => member.instance === instance)
    const firstThere = members.find(({ draining, standing }) => !draining && hasCaughtUp(standing))
    const first = owner?.draining === true ? firstThere : members[0]
    if (own?.standing !== 'following' || own.draining || owner === undefined || first !== own) {
      this.#sinceMs.delete(partition)
      this.#notBeforeMs.delete(partition)
      return Infinity
    }
    const sinceMs = this.#sinceMs.get(partition) ?? nowMs
    this.#sinceMs.set(partition, sinceMs)
    const dueMs = owner.draining ? sinceMs : sinceMs + settledMs
    return Math.max(dueMs, this.#notBeforeMs.get(partition) ?? 0)
  }

  #ask(partition: number, nowMs: number): void {
    const asking = { partition, untilMs: nowMs + askAnswerMs }
    this.#asking = asking
    this.#options.coordination.requestHandOver(partition).then(
      (asked) => (asked ? undefined : this.#failed(asking)),
      () => this.#failed(asking),
    )
  }

  /** Nobody was asked: nobody holds the lease, or the store is away. */
  #failed(asking: Asking): void {
    if (this.#asking !== asking || this.#stopped) return
    this.#asking = { ...asking, untilMs: -Infinity }
    this.#onAnswer()
  }

  #inVain(partition: number, nowMs: number): void {
    this.#notBeforeMs.set(partition, nowMs + askAgainMs)
  }
}
