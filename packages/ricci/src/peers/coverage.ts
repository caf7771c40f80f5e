/**
 * Finds somebody who answers for each partition. One question to each instance, for all partitions that it is to answer for; who cannot be
 * reached, or does not begin to answer in time, is replaced by the next one that holds the partition. Each partition is in one answer, for
 * an answer cannot be taken apart again.
 */
import type { Clock, Timer } from '@ricci/replica'
import { hedgeMs } from './limits.ts'
import type { Candidate } from './candidates.ts'
import { codeOf } from './engine-partitions.ts'
import type { Missing } from './protocol.ts'

/** What an answer says of itself. */
export interface Covering {
  readonly fresh: readonly { readonly partition: number }[]
  readonly missing: readonly Missing[]
}

export interface CoverageOptions<Answer extends Covering> {
  readonly partitions: readonly number[]
  /** Best first. */
  readonly candidates: (partition: number) => readonly Candidate<Answer>[]
  readonly clock: Clock
  readonly deadlineMs: number
  /** Until then a partition that nobody has is looked for again: a takeover is on its way. */
  readonly ownedByMs: number
  readonly signal: AbortSignal
}

/** What came of it. */
export interface Covered<Answer> {
  readonly answers: readonly Answer[]
  readonly missing: readonly Missing[]
  /** Ends whatever of the answers is still on its way. */
  abandon(): void
}

interface Attempt<Answer> {
  readonly candidate: Candidate<Answer>
  readonly partitions: readonly number[]
  readonly ending: AbortController
  readonly timer: Timer
  /** Others are asked as well. */
  late: boolean
}

/** Why a partition is missing that nobody could be asked for. */
export const noOwner = 'NO_OWNER'

/** Resolves once each partition is answered for, or cannot be, or the time has come. */
export function cover<Answer extends Covering>(options: CoverageOptions<Answer>): Promise<Covered<Answer>> {
  return new Promise((resolve) => new Coverage(options, resolve).start())
}

/** Whether a partition is missing because nobody holds it. */
export function isUnowned({ code }: Missing): boolean {
  return code === noOwner
}

/** What is said of a partition by who would answer if it had it, or were there: another may have it in a moment. */
const passing: readonly string[] = [noOwner, 'NOT_HERE', 'PEER_UNREACHABLE', 'ENGINE_AWAY']

/** How often it is looked whether somebody has it now. */
const lookAgainMs = 100

class Coverage<Answer extends Covering> {
  /** Partitions without an answer, with those not asked yet and why the last one gave none. */
  private readonly open = new Map<number, { candidates: Candidate<Answer>[]; code: string }>()
  private readonly attempts = new Set<Attempt<Answer>>()
  private readonly taken: Attempt<Answer>[] = []
  private readonly answers: Answer[] = []
  private readonly deadline: Timer
  private again: Timer | undefined
  private readonly end = (): void => this.finish()
  private over = false

  constructor(
    private readonly options: CoverageOptions<Answer>,
    private readonly resolve: (covered: Covered<Answer>) => void,
  ) {
    const { partitions, candidates, clock, deadlineMs, signal } = options
    for (const partition of partitions)
      this.open.set(partition, { candidates: [...candidates(partition)], code: noOwner })
    this.deadline = clock.setTimer(Math.max(0, deadlineMs - clock.monotonicMs()), this.end)
    signal.addEventListener('abort', this.end, { once: true })
  }

  start(): void {
    this.goOn()
  }

  /** Asks the next one for each partition that nobody is being asked for; ends when there is none left to wait for. */
  private goOn(): void {
    if (this.over) return
    const asked = new Set<number>()
    for (const { late, partitions } of this.attempts) if (!late) for (const one of partitions) asked.add(one)
    const questions = new Map<string, { candidate: Candidate<Answer>; partitions: number[] }>()
    for (const [partition, { candidates }] of this.open) {
      if (asked.has(partition)) continue
      const candidate = candidates.shift()
      if (candidate === undefined) continue
      const question = questions.get(candidate.id)
      if (question === undefined) questions.set(candidate.id, { candidate, partitions: [partition] })
      else question.partitions.push(partition)
    }
    for (const { candidate, partitions } of questions.values()) this.ask(candidate, partitions)
    if (this.open.size === 0 || (this.attempts.size === 0 && !this.looksAgain())) this.finish()
  }

  /** Whether what nobody has is looked for again, in a while. */
  private looksAgain(): boolean {
    const { clock, ownedByMs, candidates } = this.options
    if (clock.monotonicMs() >= ownedByMs || ![...this.open.values()].some(({ code }) => passing.includes(code))) {
      return false
    }
    this.again ??= clock.setTimer(lookAgainMs, () => {
      this.again = undefined
      for (const [partition, open] of this.open) {
        if (passing.includes(open.code)) open.candidates = [...candidates(partition)]
      }
      this.goOn()
    })
    return true
  }

  private ask(candidate: Candidate<Answer>, partitions: readonly number[]): void {
    const ending = new AbortController()
    const timer = this.options.clock.setTimer(hedgeMs, () => {
      attempt.late = true
      this.goOn()
    })
    const attempt: Attempt<Answer> = { candidate, partitions, ending, timer, late: false }
    this.attempts.add(attempt)
    candidate.ask(partitions, ending.signal).then(
      (answer) => this.answered(attempt, answer),
      (error: unknown) =>
        this.failed(
          attempt,
          partitions.map((partition) => ({ partition, code: codeOf(error) })),
        ),
    )
  }

  private answered(attempt: Attempt<Answer>, answer: Answer): void {
    const { candidate, partitions } = attempt
    const fresh = answer.fresh.map(({ partition }) => partition)
    if (!this.attempts.has(attempt) || fresh.some((partition) => !this.open.has(partition))) {
      // others were faster with some of it: the rest is asked for again
      attempt.ending.abort()
      for (const partition of partitions) this.open.get(partition)?.candidates.unshift(candidate)
      return this.failed(attempt, [])
    }
    if (fresh.length > 0) {
      this.answers.push(answer)
      this.taken.push(attempt)
    }
    for (const partition of fresh) this.open.delete(partition)
    for (const other of this.attempts) {
      if (other !== attempt && !other.partitions.some((partition) => this.open.has(partition))) this.drop(other)
    }
    this.failed(attempt, answer.missing)
  }

  private failed(attempt: Attempt<Answer>, missing: readonly Missing[]): void {
    if (!this.attempts.delete(attempt)) return
    attempt.timer.cancel()
    for (const { partition, code } of missing) {
      const open = this.open.get(partition)
      if (open !== undefined) open.code = code
    }
    this.goOn()
  }

  private drop(attempt: Attempt<Answer>): void {
    this.attempts.delete(attempt)
    attempt.timer.cancel()
    attempt.ending.abort()
  }

  private finish(): void {
    if (this.over) return
    this.over = true
    this.deadline.cancel()
    this.again?.cancel()
    this.options.signal.removeEventListener('abort', this.end)
    const asked = new Set<number>()
    for (const { partitions } of this.attempts) for (const partition of partitions) asked.add(partition)
    for (const attempt of [...this.attempts]) this.drop(attempt)
    this.resolve({
      answers: this.answers,
      missing: Array.from(this.open, ([partition, { code }]) => ({
        partition,
        code: code === noOwner && asked.has(partition) ? 'NOT_EVALUATED' : code,
      })).sort((a, b) => a.partition - b.partition),
      abandon: () => {
        for (const { ending } of this.taken) ending.abort()
      },
    })
  }
}
