/**
 * The engine as the rest of the server sees it: one name for a succession of workers. Makes them for the replica, asks the one
 * that runs, waits for the next one when there is none, and keeps what the last one reported.
 */
import type { ResourceLimits } from 'node:worker_threads'
import type { ChangePosition, EngineStats, OperatorStats, SortValues } from '@ricci/engine'
import type { Clock, EngineHost, HostEvents, HostFactory, Progress } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import type { WatchPage } from '../http/backend.ts'
import { queryWaitMs } from '../intake/limits.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { Subscriptions } from './subscriptions.ts'
import { WorkerHost } from './worker-host.ts'
import type {
  AnswerForm,
  Inspection,
  JsonShape,
  ListingRequest,
  LogSource,
  PageNews,
  RulesInForce,
} from './worker-protocol.ts'

export interface EngineServiceOptions {
  /** Offset that the next record will get. */
  readonly endOf: () => Promise<number>
  /** How a worker reads it by itself. */
  readonly source: LogSource
  readonly partition: number
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Told of every report, and when a worker begins to run. */
  readonly onProgress?: () => void
  /** Told of the rules in force, by each worker and at each switch. */
  readonly onRules?: (rules: RulesInForce) => void
  /** Memory that a worker may take; by default what Node gives a thread. */
  readonly resourceLimits?: ResourceLimits
  /** Tests hand in their own worker. */
  readonly workerFile?: URL
}

/** Where an engine stands. */
export interface Standpoint {
  /** Of the last record applied. */
  readonly offset: number
  /** The latest moment that its records tell of. */
  readonly calendarMs: number
}

export class EngineService {
  /** How many workers were made. */
  generation = 0
  /** What the newest one reported last. */
  progress: Omit<Progress, 'sightings' | 'pages' | 'flows' | 'alarms' | 'cut'> | undefined
  stats: EngineStats | undefined
  /** What each operator takes and holds, as of the last {@link refreshOperators}. */
  operators: readonly OperatorStats[] = []
  /** The rules in force, as the newest worker said. */
  rules: RulesInForce | undefined
  /** When pages were decided, by their ids. */
  private readonly pages = new Map<string, number>()
  private current: WorkerHost | undefined
  /** Pages that earlier records decided or settled were told of: before the start, or by an earlier worker. */
  private newsFrom = 0
  private lastNews = -1
  private lastRuleError = -1
  private readonly hosts = new Set<WorkerHost>()
  private readonly waiting = new Set<() => void>()
  private readonly subscriptions: Subscriptions

  constructor(private readonly options: EngineServiceOptions) {
    const { partition, clock } = options
    this.subscriptions = new Subscriptions((deadlineMs) => this.runningHost(deadlineMs), partition, clock)
  }

  /** Before the first worker: what the log holds already is no news. A log that does not say where it ends is told of whole. */
  async begin(): Promise<void> {
    this.newsFrom = await this.options.endOf().catch(() => 0)
  }

  /** For the replica: makes the next generation. */
  readonly factory: HostFactory = (events: HostEvents): EngineHost => {
    const { source, partition, clock, telemetry } = this.options
    this.generation++
    this.pages.clear()
    this.newsFrom = Math.max(this.newsFrom, this.lastNews + 1, (this.progress?.appliedOffset ?? -1) + 1)
    const host = new WorkerHost(
      {
        setup: {
          log: source,
          partition,
          changesFrom: this.subscriptions.earliest,
          ruleErrorsFrom: Math.max(this.newsFrom, this.lastRuleError + 1),
        },
        clock,
        resourceLimits: this.options.resourceLimits,
        file: this.options.workerFile,
        onRunning: () => this.tellWaiting(),
        onRuleError: ({ path, text, offset }) => {
          this.lastRuleError = offset
          telemetry.ruleError(path, text)
        },
        onPageNews: (news) => this.tellOf(news),
        onRules: (rules) => {
          this.rules = rules
          this.options.onRules?.(rules)
        },
      },
      {
        onProgress: (progress) => {
          this.observe(progress)
          events.onProgress(progress)
        },
        onFailure: (failure) => {
          telemetry.engineReplaced(failure.code, failure.message)
          events.onFailure(failure)
        },
      },
    )
    this.current = host
    this.hosts.add(host)
    void host.ended.then(() => this.hosts.delete(host))
    return host
  }

  /** Waits for workers that were abandoned to be gone, not for long: one may be in a native call that nothing ends. */
  async close(): Promise<void> {
    const { clock } = this.options
    const gone = Promise.all([...this.hosts].map((host) => host.stop()))
    await this.before(clock.monotonicMs() + abandonedMs, gone)
  }

  /** Wakes the worker: there is more in the log, and it sleeps. */
  wake(): void {
    this.current?.wake()
  }

  get running(): boolean {
    return this.current?.running === true
  }

  /** Offset of the last record applied, as the worker's own words say; -1 while there is none. */
  get appliedOffset(): number {
    return this.current?.appliedOffset ?? -1
  }

  /** How many pages are decided and not settled, as last reported. */
  get pagesPending(): number {
    return this.pages.size
  }

  /** When the oldest of them was decided, wall clock; undefined where there is none. */
  get oldestPageMs(): number | undefined {
    let oldest: number | undefined
    for (const decidedAtMs of this.pages.values()) if (!(oldest! <= decidedAtMs)) oldest = decidedAtMs
    return oldest
  }

  /**
   * Resolves once all that is in the log now is applied, with where the engine stands.
   * @throws RicciError `NOT_EVALUATED` when that takes until a monotonic time
   */
  async evaluated(deadlineMs: number): Promise<Standpoint> {
    const end = await this.before(deadlineMs, this.options.endOf())
    if (end === undefined || !(await this.reported(end - 1, deadlineMs))) throw notEvaluated()
    const { appliedOffset, calendarMs } = this.progress ?? { appliedOffset: -1, calendarMs: 0 }
    return { offset: appliedOffset, calendarMs }
  }

  /**
   * Answers a query from what is applied up to an offset at least, in encoded pages.
   * @param deadlineMs monotonic time by which it must have begun
   * @param behind as in `QueryOptions`
   * @throws RicciError `NOT_EVALUATED`; EngineError for a wrong query
   */
  async *answerAt(
    query: string,
    form: AnswerForm,
    atLeast: number,
    deadlineMs: number,
    limit?: number,
    behind?: SortValues,
  ): AsyncGenerator<Uint8Array> {
    for (;;) {
      const host = await this.runningHost(deadlineMs)
      const pages = host.ask(query, form, atLeast, limit, behind)[Symbol.asyncIterator]()
      let first: IteratorResult<Uint8Array> | undefined
      try {
        // once it begins to answer it is no longer waiting for the log
        first = await this.before(deadlineMs, pages.next())
      } catch (error) {
        if ((error as { code?: string }).code === 'ENGINE_AWAY') continue // the next generation may still answer in time
        throw error
      }
      if (first === undefined) {
        void pages.return?.()
        throw notEvaluated()
      }
      try {
        for (let step = first; step.done !== true; step = await pages.next()) yield step.value
      } finally {
        void pages.return?.()
      }
      return
    }
  }

  /**
   * Resolves once the query is accepted; then yields what changes the index and matches, across all generations.
   * @param from where to go on; without it, from now on
   * @throws RicciError `NOT_EVALUATED`, `TOO_MANY_WATCHES`; QueryError
   */
  watch(
    query: string,
    shape: JsonShape,
    signal: AbortSignal,
    from?: ChangePosition,
  ): Promise<AsyncIterable<WatchPage>> {
    return this.subscriptions.watch(query, shape, signal, this.options.clock.monotonicMs() + queryWaitMs, from)
  }

  /** Whether a record has been applied and reported, waiting for it so long at most. */
  hasApplied(offset: number, waitMs: number): Promise<boolean> {
    return this.reported(offset, this.options.clock.monotonicMs() + waitMs)
  }

  /**
   * Incidents or pages of one kind, each with its cursor, as JSON text.
   * @param deadlineMs monotonic time
   * @throws RicciError `NOT_EVALUATED` when no engine answers until then; EngineError `CURSOR_INVALID`
   */
  listed(request: ListingRequest, deadlineMs: number): Promise<string> {
    return this.looked(request, deadlineMs)
  }

  /**
   * What commands came to, by their ids, as JSON text, once all that is in the log now is applied.
   * @param deadlineMs monotonic time
   * @throws RicciError `NOT_EVALUATED`
   */
  async commands(ids: readonly string[], deadlineMs: number): Promise<string> {
    await this.evaluated(deadlineMs)
    return this.looked({ commands: ids }, deadlineMs)
  }

  /** Looks into the engine. Undefined when it does not answer soon. */
  async inspect(what: Inspection): Promise<string | undefined> {
    const { clock } = this.options
    const host = this.current
    if (host?.running !== true) return undefined
    const answer = host.inspect(what).catch(() => undefined)
    return this.before(clock.monotonicMs() + inspectionMs, answer)
  }

  /** Brings {@link stats} up to date, if the engine answers soon. */
  async refresh(): Promise<void> {
    const text = await this.inspect('stats')
    if (text !== undefined) this.stats = JSON.parse(text) as EngineStats
  }

  /** Brings {@link operators} up to date, if the engine answers soon. */
  async refreshOperators(): Promise<void> {
    const text = await this.inspect('operators')
    if (text !== undefined) this.operators = JSON.parse(text) as OperatorStats[]
  }

  private async looked(what: Inspection, deadlineMs: number): Promise<string> {
    for (;;) {
      const host = await this.runningHost(deadlineMs)
      try {
        const text = await this.before(deadlineMs, host.inspect(what))
        if (text === undefined) throw notEvaluated()
        return text
      } catch (error) {
        // the next generation may still answer in time
        if ((error as { code?: string }).code !== 'ENGINE_AWAY') throw error
      }
    }
  }

  private async runningHost(deadlineMs: number): Promise<WorkerHost> {
    for (;;) {
      const host = this.current
      if (host?.running === true) return host
      if ((await this.change(deadlineMs)) === undefined) throw notEvaluated()
    }
  }

  private async reported(offset: number, deadlineMs: number): Promise<boolean> {
    while (!this.running || (this.progress?.appliedOffset ?? -1) < offset) {
      if ((await this.change(deadlineMs)) === undefined) return false
    }
    return true
  }

  /** Resolves when a worker begins to run or has reported; with undefined when the time comes first. */
  private async change(deadlineMs: number): Promise<true | undefined> {
    let wake = (): void => undefined
    const changed = new Promise<true>((resolve) => {
      wake = () => resolve(true)
      this.waiting.add(wake)
    })
    try {
      return await this.before(deadlineMs, changed)
    } finally {
      this.waiting.delete(wake)
    }
  }

  /** The promise's value, or undefined when the time comes first. */
  private async before<T>(deadlineMs: number, promise: Promise<T>): Promise<T | undefined> {
    if (deadlineMs === Infinity) return promise
    const { clock } = this.options
    let cancel = (): void => undefined
    const late = new Promise<undefined>((resolve) => {
      const timer = clock.setTimer(Math.max(0, deadlineMs - clock.monotonicMs()), () => resolve(undefined))
      cancel = () => timer.cancel()
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      cancel()
    }
  }

  private tellWaiting(): void {
    for (const tell of this.waiting) tell()
    this.options.onProgress?.()
  }

  private observe(progress: Progress): void {
    this.progress = progress
    for (const page of progress.pages.changed) this.pages.set(page.id, page.decidedAtMs)
    for (const { id } of progress.pages.settled) this.pages.delete(id)
    this.tellWaiting()
  }

  /** Log and metrics hear of a page once: not again when a record is applied again, after a start or by another worker. */
  private tellOf({ offset, page, result }: PageNews): void {
    if (offset < this.newsFrom) return
    this.lastNews = offset
    const { telemetry } = this.options
    if (result === undefined) telemetry.pageDecided(page)
    else telemetry.pageSettled(page, result)
  }
}

/** How long the end waits for workers that do not end. */
const abandonedMs = 2_000

/** Looking into the engine is for people and metrics: it waits no longer than this. */
const inspectionMs = 500

function notEvaluated(): RicciError {
  return new RicciError('NOT_EVALUATED', 'not evaluated yet')
}
