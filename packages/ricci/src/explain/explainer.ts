/**
 * Explanations, asked of any instance: of an incident, by its state and what the log says was done about it; of a silence, by a traced
 * engine over a stretch of the log. The work is done in a thread that is thrown away, within bounds of time and memory.
 */
import { Worker } from 'node:worker_threads'
import { printText, type Incident, type PendingPage } from '@ricci/engine'
import { partitionOf, type Clock, type LogPort, type SnapshotInfo, type SnapshotPort } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import type { IncidentsRequest, QueryAnswer } from '../http/backend.ts'
import { partitionOfId, shortId, type IncidentFilter } from '../incidents/incident-filter.ts'
import { ranges } from '../server/cluster-status.ts'
import { builtFile } from '../server/built-file.ts'
import { revivedError, type LogSource, type PlainError } from '../server/worker-protocol.ts'
import type { IncidentTold } from './history.ts'
import { offsetAt } from './reading.ts'
import type { HistoryJob, Progress, SilenceJob } from './replay.ts'
import type { Silence, SilenceQuestion } from './silence.ts'

/** What the thread is given. */
export interface ExplainSetup {
  readonly source: LogSource
  readonly partition: number
  readonly job: HistoryJob | SilenceJob
}

/** What it says. */
export type FromExplainWorker =
  { readonly progress: Progress } | { readonly answer: IncidentTold | Silence } | { readonly error: PlainError }

/** While it goes on how far it is; at last the answer. */
export type ExplainStep<Answer> = { readonly progress: Progress } | { readonly answer: Answer }

/** A silence as it is asked for. */
export interface SilenceRequest {
  readonly host: string
  readonly rule: string
  readonly service?: string
  /** Milliseconds since 1970; now unless told. */
  readonly atMs?: number
  /** How long before that time is looked at. */
  readonly withinMs: number
  /** Where the host's events lie, if they were not sent under its cluster or name. */
  readonly partition?: number
}

export interface ExplainerOptions {
  readonly log: Pick<LogPort, 'read' | 'range' | 'partitions'>
  readonly source: LogSource
  readonly snapshots: Pick<SnapshotPort, 'list' | 'fetch'>
  readonly clock: Clock
  readonly incidents: (request: IncidentsRequest) => Promise<string>
  readonly query: (query: string) => Promise<QueryAnswer>
  /** The built `explain-worker`. */
  readonly workerFile?: URL
}

/** Explanations made at a time: each has a thread, and memory as an engine has. */
const maxAtOnce = 2
/** Heap of the thread. Columns lie outside of it, and are bounded as in the engine that runs. */
const heapMegabytes = 1_024
/** Whoever asks looks on: what takes longer is asked about in parts. */
const limitMs = 120_000
/** Parts of a list that are read: a name is of few incidents, a rule's may be many, of which the last are told. */
const mostParts = 50
const incidentsAtATime = 1_000
/** Names told where several fit. */
const mostNamed = 10

/** Explains; at most two at a time. */
export class Explainer {
  private atWork = 0

  constructor(private readonly options: ExplainerOptions) {}

  /**
   * What led to an incident, and what was done about it.
   * @param name its id, short id, key at receivers, or the id of one of its pages
   * @throws RicciError `NO_INCIDENT`, `INCIDENT_AMBIGUOUS`, `TOO_MANY_QUERIES`, `EXPLAIN_FAILED`
   */
  incident(name: string, signal: AbortSignal): AsyncGenerator<ExplainStep<IncidentTold>, void, undefined> {
    return this.placed(() => this.ofIncident(name, signal))
  }

  private async *ofIncident(
    name: string,
    signal: AbortSignal,
  ): AsyncGenerator<ExplainStep<IncidentTold>, void, undefined> {
    const { log } = this.options
    const { incident, waiting } = await this.find(name)
    const partition = partitionOfId(incident.id)
    const { first, end } = await log.range(partition)
    const from = Math.min(Math.max(first, incident.openedOffset), end)
    yield* this.work<IncidentTold>(partition, { kind: 'incident', incident, waiting, from, until: end }, signal)
  }

  /**
   * Why a rule did not page about a host.
   * @throws RicciError `NO_PARTITION`, `EXPLAIN_TRIMMED` where neither log nor snapshots reach back, `TOO_MANY_QUERIES`, `EXPLAIN_FAILED`
   */
  silence(request: SilenceRequest, signal: AbortSignal): AsyncGenerator<ExplainStep<Silence>, void, undefined> {
    return this.placed(() => this.ofSilence(request, signal))
  }

  private async *ofSilence(
    request: SilenceRequest,
    signal: AbortSignal,
  ): AsyncGenerator<ExplainStep<Silence>, void, undefined> {
    const { log, clock, snapshots } = this.options
    const { host, rule, service, withinMs } = request
    const { partition, byName } =
      request.partition === undefined ? await this.placeOf(host) : { partition: request.partition }
    if (partition >= log.partitions) {
      throw new RicciError('NO_PARTITION', `the log has ${log.partitions} partitions; there is no ${partition}`)
    }
    const untilMs = request.atMs ?? clock.wallMs()
    const question: SilenceQuestion = {
      ...{ host, rule, fromMs: untilMs - withinMs, untilMs },
      ...(service !== undefined && { service }),
      ...(byName && { byName }),
    }
    const range = await log.range(partition)
    const asked = await offsetAt(log, partition, range, question.fromMs, signal)
    const until =
      request.atMs === undefined ? range.end : await offsetAt(log, partition, range, request.atMs + 1, signal)
    const info = newestBefore(await snapshots.list(partition), asked, range)
    if (info === undefined && range.first > 0) {
      throw new RicciError(
        'EXPLAIN_TRIMMED',
        `the log of partition ${partition} begins at record ${range.first}, and no snapshot reaches back to ${new Date(question.fromMs).toISOString()}; ask about a later time`,
      )
    }
    const snapshot = info && { bytes: await snapshots.fetch(info), offset: info.offset }
    const from = info === undefined ? range.first : info.offset + 1
    const job: SilenceJob = {
      ...{ kind: 'silence', question, from, until: Math.max(until, from), end: range.end },
      ...(snapshot !== undefined && { snapshot }),
    }
    yield* this.work<Silence>(partition, job, signal)
  }

  private async find(name: string): Promise<{ incident: Incident; waiting: readonly PendingPage[] }> {
    const named = await this.listed({ refs: [name] })
    const { incidents } = named.incidents.length > 0 ? named : await this.listed({ rule: name })
    if (incidents.length > 1) {
      const told = incidents.slice(-mostNamed).map(({ id, summary }) => `\n  ${shortId(id)}  ${summary}`)
      throw new RicciError(
        'INCIDENT_AMBIGUOUS',
        `${incidents.length} incidents go by ${JSON.stringify(name)}; name one by its id:${told.join('')}`,
      )
    }
    const [incident] = incidents
    if (incident !== undefined) return { incident, waiting: (await this.listed({ refs: [incident.id] })).pages }
    // a page that waits, of an incident that was not named otherwise
    const page = named.pages.find((one) => one.incident !== undefined && one.incident !== name)
    if (page !== undefined) return this.find(page.incident!)
    throw new RicciError(
      'NO_INCIDENT',
      `no incident goes by ${JSON.stringify(name)}: it is neither open nor among the last 1,000 closed of its partition; \`ricci incidents\` lists them, a page without an incident has its own answer at its receiver`,
    )
  }

  /** @throws RicciError `NOT_EVALUATED` where nobody answers for some of the partitions */
  private async listed(filter: IncidentFilter): Promise<{ incidents: Incident[]; pages: PendingPage[] }> {
    const incidents: Incident[] = []
    const pages: PendingPage[] = []
    let cursor: string | undefined
    for (let part = 0; part < mostParts && (part === 0 || cursor !== undefined); part++) {
      const answer = JSON.parse(await this.options.incidents({ limit: incidentsAtATime, cursor, filter })) as {
        incidents: { open: Incident[]; closed: Incident[] }
        pages: PendingPage[]
        missing?: number[]
        cursor?: string
      }
      if (answer.missing !== undefined) {
        const which = ranges(answer.missing)
        throw new RicciError('NOT_EVALUATED', `nobody answers for the partitions ${which}; ask again`)
      }
      incidents.push(...answer.incidents.open, ...answer.incidents.closed)
      pages.push(...answer.pages)
      cursor = answer.cursor
    }
    return { incidents, pages }
  }

  /**
   * Where the events of a host lie: under the cluster that its events name, else under its own name.
   * @throws RicciError `NOT_EVALUATED` where that cannot be told, for not all partitions could be asked
   */
  private async placeOf(host: string): Promise<{ readonly partition: number; readonly byName?: true }> {
    const { log, query } = this.options
    if (log.partitions === 1) return { partition: 0 }
    const { pages, missing } = await query(`host = ${printText(host)} limit 1`)
    let text = ''
    for await (const page of pages) text += Buffer.from(page).toString()
    if (text === '' && missing.length > 0) {
      const which = ranges(missing.map(({ partition }) => partition))
      throw new RicciError(
        'NOT_EVALUATED',
        `where the events of ${JSON.stringify(host)} lie is not known: nobody answers for the partitions ${which}; ask again, or name theirs by --partition (ricci cluster explain --key CLUSTER)`,
      )
    }
    if (text === '') return { partition: partitionOf(host, log.partitions), byName: true }
    const { attributes } = JSON.parse(text) as { attributes?: Record<string, string> }
    return { partition: partitionOf(attributes?.cluster ?? host, log.partitions) }
  }

  /** One of those that are made at a time: what comes before the thread is work as well. */
  private async *placed<Answer>(
    explain: () => AsyncGenerator<ExplainStep<Answer>, void, undefined>,
  ): AsyncGenerator<ExplainStep<Answer>, void, undefined> {
    if (this.atWork >= maxAtOnce) {
      throw new RicciError(
        'TOO_MANY_QUERIES',
        `${maxAtOnce} explanations are being made already; ask again in a moment`,
      )
    }
    this.atWork++
    try {
      yield* explain()
    } finally {
      this.atWork--
    }
  }

  private async *work<Answer>(
    partition: number,
    job: ExplainSetup['job'],
    signal: AbortSignal,
  ): AsyncGenerator<ExplainStep<Answer>, void, undefined> {
    signal.throwIfAborted()
    const { source, workerFile, clock } = this.options
    const worker = new Worker(workerFile ?? builtFile('explain-worker'), {
      workerData: { source, partition, job } satisfies ExplainSetup,
      resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
      // what the rules' code prints would stand among our own lines
      stdout: true,
      stderr: true,
    })
    const said: FromExplainWorker[] = []
    let wake = (): void => undefined
    const hear = (message: FromExplainWorker): void => {
      // of several words about how far it is the last will do
      if ('progress' in message) said.splice(0, said.length, ...said.filter((one) => !('progress' in one)))
      said.push(message)
      wake()
    }
    const fail = (message: string): void => hear({ error: { name: 'RicciError', code: 'EXPLAIN_FAILED', message } })
    const timer = clock.setTimer(limitMs, () =>
      fail(`it took longer than ${limitMs / 1000} s; ask about a shorter time`),
    )
    worker.on('message', hear)
    worker.on('error', (error) => fail(deathText(error)))
    worker.on('exit', () => fail('the thread that explains ended before it answered; ask again'))
    const end = (): void => fail('nobody waits for the answer any more')
    signal.addEventListener('abort', end)
    try {
      for (;;) {
        const message = said.shift()
        if (message === undefined) await new Promise<void>((resolve) => (wake = resolve))
        else if ('error' in message) throw revivedError(message.error)
        else {
          yield message as ExplainStep<Answer>
          if ('answer' in message) return
        }
      }
    } finally {
      timer.cancel()
      signal.removeEventListener('abort', end)
      await worker.terminate()
    }
  }
}

/** The newest snapshot from before an offset that what is left of the log goes on from. */
function newestBefore(
  infos: readonly SnapshotInfo[],
  before: number,
  { first, end }: { readonly first: number; readonly end: number },
): SnapshotInfo | undefined {
  const usable = infos.filter(({ offset }) => offset < before && offset + 1 >= first && offset < end)
  return usable.sort((a, b) => b.offset - a.offset)[0]
}

function deathText(error: Error): string {
  return (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? `it needs more than ${heapMegabytes} MB; ask about a shorter time`
    : `the thread that explains died: ${error.message}`
}
