import type { Engine, FlowPage, FlowPlace, QueryOptions, QueryPage } from '@ricci/engine'
import { ReplicaError, type EngineHost, type HostEvents, type HostStart, type Progress } from '@ricci/replica'
import type { Process } from './process.ts'

/** The product's monitor gives an engine up that has been at one event for so long. */
const patienceMs = 2_000

/** Where an engine stands that will never come back. */
export interface Stall {
  readonly offset: number
  readonly event: number
  readonly branch: string
}

/** Thrown out of an engine that is to stall: what it has done with the record by then, nobody hears of. */
class Stalled extends Error {}

/**
 * A host whose engine may stall, as one in a worker does: it reports nothing more and answers nothing; two seconds later its
 * monitor gives it up and names the event and the operator. The engine's own words of progress say which.
 */
export class StallingHost implements EngineHost {
  readonly #inner: EngineHost
  readonly #process: Process
  #stall: Stall | undefined
  #stopped = false

  /** @param create makes the host proper, with the events given; its engine goes through {@link StallingHost.watch} */
  constructor(process: Process, events: HostEvents, create: (events: HostEvents, host: StallingHost) => EngineHost) {
    this.#process = process
    this.#inner = create(
      {
        onProgress: (progress: Progress) => {
          if (this.#stall === undefined) events.onProgress(progress)
        },
        onFailure: (failure) => {
          const stall = this.#stall
          if (stall === undefined) return events.onFailure(failure)
          process.clock.setTimer(patienceMs, () => {
            const message = `the engine has been at event ${stall.event} of record ${stall.offset} for two seconds`
            if (!this.#stopped) events.onFailure({ code: 'ENGINE_STUCK', message, ...stall })
          })
        },
      },
      this,
    )
  }

  /** The engine stands where its progress says, for good. */
  stall(engine: Engine, [operator, event]: Int32Array): void {
    this.#stall ??= { offset: engine.appliedOffset, event, branch: engine.operatorPaths()[operator] ?? '' }
    const { offset, branch } = this.#stall
    this.#process.world.trace.add(this.#process.name, `stalls at event ${event} of record ${offset}, in ${branch}`)
  }

  /** Makes an engine that was told to stall apply nothing more. */
  watch(engine: Engine): Engine {
    const apply = engine.apply.bind(engine)
    engine.apply = (offset, bytes, checksum) => {
      apply(offset, bytes, checksum)
      if (this.#stall !== undefined) throw new Stalled('stalled')
    }
    return engine
  }

  async start(from: HostStart): Promise<void> {
    try {
      await this.#inner.start(from)
    } catch (error) {
      if (error instanceof ReplicaError && error.code === 'SNAPSHOT_VOID') {
        this.#process.world.exercise('snapshot void by a skip')
      }
      throw error
    }
  }

  hurry(on: boolean): void {
    this.#inner.hurry(on)
  }

  query(query: string, options?: QueryOptions): Promise<QueryPage> {
    return this.#stall === undefined ? this.#inner.query(query, options) : new Promise(() => {})
  }

  flowPage(sink: string, after: FlowPlace | undefined, atMost: number): Promise<FlowPage> {
    return this.#stall === undefined ? this.#inner.flowPage(sink, after, atMost) : new Promise(() => {})
  }

  cutAtNextStateHash(): void {
    this.#inner.cutAtNextStateHash()
  }

  cutNow(): void {
    if (this.#stall === undefined) this.#inner.cutNow()
  }

  cutSoon(): void {
    if (this.#stall === undefined) this.#inner.cutSoon()
  }

  takeSnapshot(): AsyncIterable<Uint8Array> | undefined {
    return this.#stall === undefined ? this.#inner.takeSnapshot() : undefined
  }

  stop(): Promise<void> {
    this.#stopped = true
    return this.#inner.stop()
  }
}
