import type { Engine, StateCut } from '@ricci/engine'
import type { TakenHashes } from './host.ts'
import type { Clock, Timer } from './ports.ts'

/**
 * Between two steps, each some 0.3 ms: records that come meanwhile are applied first, so that no record waits for more than one.
 * The production rules' 50 MB take 200 steps: well under a second where the log is quiet, one where a batch is applied.
 */
const pauseMs = 1
/**
 * What changes before it was read is copied, at most as much as the columns hold. Beyond this much a step is done at every record:
 * a little slower is better than twice the memory.
 */
const copiesLimitBytes = 16 * 1024 * 1024

/** A cut that was worked through: the state's hash, and the snapshot where it was to be kept. */
export interface WorkedCut {
  readonly offset: number
  readonly tick: number
  readonly hashes: TakenHashes
  readonly slices: readonly Uint8Array[] | undefined
}

/** Works on the cuts that an engine is asked for, a step at a time, between the records that are applied. One at a time. */
export class CutWork {
  readonly #clock: Clock
  readonly #onWorked: (cut: WorkedCut) => void
  #under: { readonly cut: StateCut; readonly done: () => WorkedCut } | undefined
  #timer: Timer | undefined

  constructor(clock: Clock, onWorked: (cut: WorkedCut) => void) {
    this.#clock = clock
    this.#onWorked = onWorked
  }

  /** Whether a cut is being worked on. */
  get isBusy(): boolean {
    return this.#under !== undefined
  }

  /** @param keep whether a snapshot is wanted, or the hash alone */
  begin(engine: Engine, keep: boolean): void {
    // minutes lie between two: only a clean stop comes while one is under way, and that may wait for it
    this.finish()
    const { input, decisions } = engine.hashes()
    const slices: Uint8Array[] | undefined = keep ? [] : undefined
    const cut = engine.cut(slices === undefined ? undefined : (slice) => slices.push(slice))
    const done = (): WorkedCut => ({
      offset: cut.offset,
      tick: cut.tick,
      hashes: { input, decisions, state: cut.hash!, parts: cut.parts },
      slices,
    })
    this.#under = { cut, done }
    this.#goOn()
  }

  /** A record was applied. */
  applied(): void {
    if (this.#under !== undefined && this.#under.cut.copiedBytes > copiesLimitBytes) this.#step()
  }

  /** Does at once what is left. */
  finish(): void {
    while (this.#step());
  }

  stop(): void {
    this.#timer?.cancel()
    this.#under?.cut.end()
    this.#under = undefined
  }

  #goOn(): void {
    this.#timer = this.#clock.setTimer(pauseMs, () => {
      if (this.#step()) this.#goOn()
    })
  }

  #step(): boolean {
    if (this.#under === undefined) return false
    const { cut, done } = this.#under
    if (cut.step()) return true
    this.#timer?.cancel()
    this.#under = undefined
    this.#onWorked(done())
    return false
  }
}
