/**
 * The engine in a worker thread, seen from the main thread: one generation of it. The worker reads the log's files and applies
 * them by itself; what crosses is small or transferred. Life: made → started → (failed or stopped); never started again.
 * What a worker still says after it failed or was stopped is dropped: a new generation may be running by then.
 */
import { Worker, type ResourceLimits } from 'node:worker_threads'
import type { ChangePosition, FlowPage, FlowPlace, QueryOptions, QueryPage, SortValues } from '@ricci/engine'
import {
  ReplicaError,
  type Clock,
  type EngineHost,
  type HostEvents,
  type HostFailure,
  type HostStart,
} from '@ricci/replica'
import { Inbox } from './inbox.ts'
import { ProgressWords, type Standing } from './progress-words.ts'
import { StallMonitor } from './stall-monitor.ts'
import { builtFile } from './built-file.ts'
import {
  revivedError,
  type AnswerForm,
  type ChangesText,
  type FromWorker,
  type Inspection,
  type JsonShape,
  type PageNews,
  type RuleError,
  type RulesInForce,
  type ToWorker,
  type WorkerSetup,
} from './worker-protocol.ts'

export interface WorkerHostOptions {
  readonly setup: Omit<WorkerSetup, 'words'>
  readonly clock: Clock
  /** It has restored and reads. */
  readonly onRunning?: () => void
  readonly onRuleError?: (error: RuleError) => void
  readonly onRules?: (rules: RulesInForce) => void
  readonly onPageNews?: (news: PageNews) => void
  /** Memory that its thread may take; by default what Node gives a thread. */
  readonly resourceLimits?: ResourceLimits
  /** Tests hand in their own worker. */
  readonly file?: URL
}

interface Pending {
  readonly inbox?: Inbox
  readonly resolve?: (answer: unknown) => void
  readonly reject: (error: Error) => void
  /** A request for changes: told how far there is none that matches. */
  readonly onNothing?: (position: ChangePosition) => void
}

/** Processor time of all threads, milliseconds. */
const processCpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

export class WorkerHost implements EngineHost {
  private readonly words = new ProgressWords()
  private readonly monitor: StallMonitor
  private readonly pending = new Map<number, Pending>()
  private worker: Worker | undefined
  private starting: { resolve: () => void; reject: (error: Error) => void } | undefined
  private gone: Promise<void> | undefined
  private tellEnded = (): void => undefined
  /** Resolves once its thread is gone. */
  readonly ended = new Promise<void>((resolve) => (this.tellEnded = resolve))
  private lastId = 0
  private hasCut = false
  private operators: readonly string[] = []
  /** Restored, reading, and neither failed nor stopped. */
  running = false

  constructor(
    private readonly options: WorkerHostOptions,
    private readonly events: HostEvents,
  ) {
    this.monitor = new StallMonitor(
      () => this.words.standing(),
      options.clock,
      processCpuMs,
      (standing) => {
        const { event, offset, branch } = this.placeOf(standing)
        const message = `the engine has been at event ${event} of record ${offset} for two seconds${inside(branch)}`
        this.fail({
          code: 'ENGINE_STUCK',
          message: `${message}; it is abandoned and a new one starts`,
          offset,
          event,
          branch,
        })
      },
    )
  }

  /** Offset of the last record applied; readable whatever the worker is doing. */
  get appliedOffset(): number {
    return this.words.appliedOffset
  }

  start(from: HostStart): Promise<void> {
    if (this.worker !== undefined || this.gone !== undefined) {
      return Promise.reject(new ReplicaError('STATE', 'a host is started once; make a new one', false))
    }
    const worker = new Worker(this.options.file ?? builtFile('engine-worker'), {
      workerData: { ...this.options.setup, words: this.words.buffer } satisfies WorkerSetup,
      resourceLimits: this.options.resourceLimits,
    })
    this.worker = worker
    worker.on('message', (message: FromWorker) => this.hear(message))
    worker.on('error', (error) => this.fail(this.death(`the engine's worker died: ${describe(error)}`)))
    worker.on('exit', (code) => this.fail(this.death(`the engine's worker ended with code ${code}`)))
    return new Promise((resolve, reject) => {
      this.starting = { resolve, reject }
      // the snapshot is cloned, once at a start: its caller may still want it
      this.post({ type: 'start', from })
    })
  }

  hurry(on: boolean): void {
    this.post({ type: 'hurry', on })
  }

  query(query: string, options?: QueryOptions): Promise<QueryPage> {
    return this.exchange<QueryPage>((id) => ({ type: 'query', id, query, options }))
  }

  flowPage(sink: string, after: FlowPlace | undefined, atMost: number): Promise<FlowPage> {
    return this.exchange<FlowPage>((id) => ({ type: 'flow-page', id, sink, after, atMost }))
  }

  /** Looks into the engine; gives JSON text. */
  inspect(what: Inspection): Promise<string> {
    return this.exchange<string>((id) => ({ type: 'inspect', id, what }))
  }

  /**
   * Asks for all pages of an answer, encoded by the worker, once everything up to `atLeast` is applied. `behind` as in {@link QueryOptions}.
   * Leaving the iteration early cancels the rest.
   */
  ask(
    query: string,
    form: AnswerForm,
    atLeast: number,
    limit?: number,
    behind?: SortValues,
  ): AsyncIterable<Uint8Array> {
    return this.request((id) => ({ type: 'ask', id, query, form, atLeast, limit, behind }))
  }

  /**
   * Asks for a page of changes of the index: resolves once there is one that matches; without a place to begin at, at once.
   * @param onNothing told now and then, while it waits, up to where nothing matched
   */
  changes(
    query: string,
    shape: JsonShape,
    from: ChangePosition | undefined,
    onNothing?: (position: ChangePosition) => void,
  ): { readonly page: Promise<ChangesText>; cancel(): void } {
    const id = ++this.lastId
    const page = new Promise<ChangesText>((resolve, reject) => {
      if (!this.running) return reject(away())
      this.pending.set(id, { resolve: resolve as (answer: unknown) => void, reject, onNothing })
      this.post({ type: 'changes', id, query, shape, from })
    })
    return {
      page,
      cancel: () => {
        if (this.pending.delete(id)) this.post({ type: 'cancel', id })
      },
    }
  }

  cutAtNextStateHash(): void {
    this.post({ type: 'cut-at-next-state-hash' })
  }

  cutNow(): void {
    this.post({ type: 'cut-now' })
  }

  cutSoon(): void {
    this.post({ type: 'cut-soon' })
  }

  takeSnapshot(): AsyncIterable<Uint8Array> | undefined {
    if (!this.hasCut) return undefined
    this.hasCut = false
    return this.request((id) => ({ type: 'take-snapshot', id }))
  }

  stop(): Promise<void> {
    return (this.gone ??= this.end(away()))
  }

  /** Wakes a worker that sleeps at the log's end. */
  wake(): void {
    this.post({ type: 'wake' })
  }

  private exchange<Answer>(message: (id: number) => ToWorker): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (!this.running) return reject(away())
      const id = ++this.lastId
      this.pending.set(id, { resolve: resolve as (answer: unknown) => void, reject })
      this.post(message(id))
    })
  }

  private request(message: (id: number) => ToWorker): Inbox {
    const id = ++this.lastId
    const inbox = new Inbox(
      () => this.post({ type: 'credit', id }),
      () => {
        this.pending.delete(id)
        this.post({ type: 'cancel', id })
      },
    )
    if (!this.running) inbox.end(away())
    else {
      this.pending.set(id, { inbox, reject: (error) => inbox.end(error) })
      this.post(message(id))
    }
    return inbox
  }

  private hear(message: FromWorker): void {
    if (this.gone !== undefined) return
    switch (message.type) {
      case 'started':
        this.running = true
        this.monitor.start()
        this.starting?.resolve()
        this.starting = undefined
        this.options.onRunning?.()
        return
      case 'start-failed': {
        const { starting } = this
        this.starting = undefined
        this.gone = this.end(away())
        starting?.reject(revivedError(message.error))
        return
      }
      case 'progress':
        if (message.progress.cut?.kept === true) this.hasCut = true
        this.events.onProgress(message.progress)
        return
      case 'no-changes':
        for (const id of message.ids) this.pending.get(id)?.onNothing?.(message.before)
        return
      case 'failure':
        // where the engine threw, the words say more than it could: they still stand there
        this.fail(message.failure.code === 'ENGINE_DIED' ? this.death(message.failure.message) : message.failure)
        return
      case 'page':
      case 'changes':
        this.pending.get(message.id)?.resolve?.(message.page)
        this.pending.delete(message.id)
        return
      case 'text':
        this.pending.get(message.id)?.resolve?.(message.text)
        this.pending.delete(message.id)
        return
      case 'rule-error':
        this.options.onRuleError?.(message)
        return
      case 'rules':
        this.options.onRules?.(message.rules)
        return
      case 'page-news':
        this.options.onPageNews?.(message.news)
        return
      case 'operators':
        this.operators = message.paths
        return
      case 'bytes':
        this.pending.get(message.id)?.inbox?.push(message.bytes)
        return
      case 'end':
        this.pending.get(message.id)?.inbox?.end()
        this.pending.delete(message.id)
        return
      case 'error':
        this.pending.get(message.id)?.reject(revivedError(message.error))
        this.pending.delete(message.id)
    }
  }

  /** Tells the replica, once, and abandons the worker without waiting: a native call may hold it for seconds. */
  private fail(failure: HostFailure): void {
    if (this.gone !== undefined) return
    this.gone = this.end(away())
    this.events.onFailure(failure)
  }

  /** The thread is gone or of no use; what it was applying, if it was, may be what killed it. */
  private death(message: string): HostFailure {
    const standing = this.words.standing()
    if (!standing.busy) return { code: 'HOST_FAILED', message }
    const { offset, event, branch } = this.placeOf(standing)
    const where = `at event ${event} of record ${offset}${inside(branch)}`
    return { code: 'ENGINE_DIED', message: `${message}, ${where}`, offset, event, branch }
  }

  private placeOf({ offset, event, operator }: Standing): { offset: number; event: number; branch: string } {
    return { offset, event, branch: this.operators[operator] ?? '' }
  }

  private async end(error: Error): Promise<void> {
    this.running = false
    this.monitor.stop()
    this.starting?.reject(error)
    this.starting = undefined
    for (const { reject } of this.pending.values()) reject(error)
    this.pending.clear()
    const { worker } = this
    if (worker !== undefined) {
      worker.removeAllListeners('message')
      // a process that ends does not wait for a worker that cannot be ended
      worker.unref()
      await worker.terminate()
    }
    this.tellEnded()
  }

  private post(message: ToWorker): void {
    if (this.gone === undefined) this.worker?.postMessage(message)
  }
}

/** For people: the operator that had it. */
function inside(branch: string): string {
  return branch === '' ? '' : `, in ${branch}`
}

function away(): Error {
  return Object.assign(new Error('the engine is not running right now; ask again in a moment'), { code: 'ENGINE_AWAY' })
}

function describe(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string }
  return code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? 'it ran out of memory; fewer keys or smaller windows in the rules would help'
    : (message ?? String(error))
}
