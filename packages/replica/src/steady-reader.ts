import type { Mutation } from '@ricci/engine'
import { ReplicaError, type ReplicaErrorCode } from './errors.ts'
import type { Clock, LogPort, StoredRecord } from './ports.ts'

/** A reader that was given nothing for this long consumes anew: a woken broker's readers stay silent without error or close. */
export const silenceMs = 2_000
/** Between a read that failed and the next, so that a log that is away is not asked in a tight loop. */
const retryMs = 250

/** What no further try mends: people must be told, and another engine may begin behind it. */
const forGood: readonly ReplicaErrorCode[] = ['OFFSET_TRIMMED', 'LOG_CORRUPT']

/** What it reads, and whom it tells. */
export interface SteadyReaderOptions {
  readonly log: LogPort
  readonly partition: number
  readonly clock: Clock
  /** Next offset to read. */
  readonly from: number
  /** Given records in order, without holes or repeats. Awaited before the next: what is read waits for what is applied. */
  readonly onRecords: (records: readonly StoredRecord[]) => void | Promise<void>
  /** The records wanted next are gone or damaged for good, or `onRecords` threw. Told once, and last. */
  readonly onFailure: (error: unknown) => void
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

/**
 * Reads a partition for as long as it is wanted. Silence means nothing and errors mean little: it begins again from its
 * offset + 1. It believes no reader that leaves out an offset, and ends only when told or when records are gone or damaged.
 */
export class SteadyReader {
  readonly #options: SteadyReaderOptions
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  #next: number
  #rereads = 0

  constructor(options: SteadyReaderOptions) {
    this.#options = options
    this.#next = options.from
    this.#done = this.#run()
  }

  /** How often it had to begin again. */
  get rereads(): number {
    return this.#rereads
  }

  /** Idempotent; resolves once nothing of it runs any more. */
  stop(): Promise<void> {
    this.#stop.abort()
    return this.#done
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        const next = this.#next
        const silent = await this.#readUntilSilent()
        // A reader that ends or leaves something out at once would do so again.
        if (!silent && this.#next === next) await this.#pause(retryMs)
      } catch (error) {
        if (this.#stop.signal.aborted) return
        if (error instanceof ApplyFailure) return this.#options.onFailure(error.cause)
        if (error instanceof ReplicaError && forGood.includes(error.code)) return this.#options.onFailure(error)
        await this.#pause(retryMs)
      }
      this.#rereads++
    }
  }

  /** Gives whether it was silence that ended it. */
  async #readUntilSilent(): Promise<boolean> {
    const { log, partition, clock, mutations } = this.#options
    const reading = new AbortController()
    let giveUp = (): void => undefined
    const end = (): void => {
      reading.abort()
      giveUp()
    }
    this.#stop.signal.addEventListener('abort', end)
    let givenAtMs = clock.monotonicMs()
    const patienceMs = mutations?.has('silent-reader') === true ? Infinity : silenceMs
    const watch = (delayMs: number): ReturnType<Clock['setTimer']> =>
      clock.setTimer(delayMs, () => {
        const left = givenAtMs + patienceMs - clock.monotonicMs()
        if (left <= 0) end()
        else timer = watch(left)
      })
    let timer = watch(patienceMs)
    const iterator = log.read(partition, this.#next, reading.signal)[Symbol.asyncIterator]()
    try {
      for (;;) {
        // Or the end, because a silent reader may not even notice that it was aborted. Not raced with a promise of the end: until that
        // settles it holds all that was ever raced with it, here every batch that was read.
        const given = await new Promise<IteratorResult<readonly StoredRecord[]> | undefined>((resolve, reject) => {
          giveUp = () => resolve(undefined)
          if (reading.signal.aborted) giveUp()
          iterator.next().then(resolve, reject)
        })
        if (given === undefined) return true
        if (given.done === true || this.#stop.signal.aborted) return false
        const records = this.#inOrder(given.value)
        if (records === undefined) return false
        if (records.length > 0) {
          try {
            await this.#options.onRecords(records)
          } catch (error) {
            throw new ApplyFailure(error)
          }
        }
        // Applying took its time, too: only what happens from here on is the reader's silence.
        givenAtMs = clock.monotonicMs()
      }
    } finally {
      timer.cancel()
      this.#stop.signal.removeEventListener('abort', end)
      end()
      iterator.return?.().catch(() => undefined)
    }
  }

  /** What is new of a batch; undefined where it leaves out an offset. */
  #inOrder(batch: readonly StoredRecord[]): readonly StoredRecord[] | undefined {
    const fresh = batch.length > 0 && batch[0].offset < this.#next ? batch.filter((r) => r.offset >= this.#next) : batch
    for (let i = 0; i < fresh.length; i++) if (fresh[i].offset !== this.#next + i) return undefined
    this.#next += fresh.length
    return fresh
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#stop
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', end)
        resolve()
      }
      const timer = this.#options.clock.setTimer(delayMs, end)
      signal.addEventListener('abort', end)
      if (signal.aborted) end()
    })
  }
}

class ApplyFailure extends Error {
  constructor(cause: unknown) {
    super('applying failed', { cause })
  }
}
