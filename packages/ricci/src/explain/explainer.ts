/**
 * Explanations, asked of any instance: of an incident, by its state and what the log says was done about it; of a silence, by a traced
 * engine over a stretch of the log. The work is done in a thread that is thrown away, within bounds of time and memory.
 */
import { Worker } from 'node:worker_threads'
import type { Event } from '@ricci/client'
import { printText, type Incident, type PendingPage } from '@ricci/engine'
import { partitionOf, type Clock, type LogPort, type SnapshotInfo, type SnapshotPort } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import type { IncidentsRequest, QueryAnswer } from '../http/backend.ts'
import { builtFile } from '../server/built-file.ts'
import { revivedError, type LogSource, type PlainError } from '../server/worker-protocol.ts'
import type { IncidentTold } from './history.ts'
import { isNamed, partitionIn, shortId } from './incident-names.ts'
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
/** A day of log at 5,000 events/s is replayed in some ten minutes; who asks about a quarter of an hour waits seconds. */
const limitMs = 120_000
/** Parts of the list of incidents that are looked through: 100,000 open ones, and those closed. */
const mostParts = 200
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
  async *incident(name: string, signal: AbortSignal): AsyncGenerator<ExplainStep<IncidentTold>, void, undefined> {
    const { log } = this.options
    const { incident, waiting } = await this.find(name)
    const partition = partitionIn(incident.id)
    const { first, end } = await log.range(partition)
    const from = Math.min(Math.max(first, incident.openedOffset), end)
    yield* this.work<IncidentTold>(partition, { kind: 'incident', incident, waiting, from, until: end }, signal)
  }

  /**
   * Why a rule did not page about a host.
   * @throws RicciError `NO_PARTITION`, `EXPLAIN_TRIMMED` where neither log nor snapshots reach back, `TOO_MANY_QUERIES`, `EXPLAIN_FAILED`
   */
  async *silence(request: SilenceRequest, signal: AbortSignal): AsyncGenerator<ExplainStep<Silence>, void, undefined> {
    const { log, clock, snapshots } = this.options
    const { host, rule, service, withinMs } = request
    const partition = request.partition ?? (await this.partitionOf(host))
    if (partition >= log.partitions) {
      throw new RicciError('NO_PARTITION', `the log has ${log.partitions} partitions; there is no ${partition}`)
    }
    const untilMs = request.atMs ?? clock.wallMs()
    const question: SilenceQuestion = {
      ...{ host, rule, fromMs: untilMs - withinMs, untilMs },
      ...(service !== undefined && { service }),
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
    const incidents: Incident[] = []
    const waiting: PendingPage[] = []
    let cursor: string | undefined
    for (let part = 0; part < mostParts && (part === 0 || cursor !== undefined); part++) {
      const text = await this.options.incidents({ limit: incidentsAtATime, cursor })
      const answer = JSON.parse(text) as {
        incidents: { open: Incident[]; closed: Incident[] }
        pages: PendingPage[]
        cursor?: string
      }
      const { open, closed } = answer.incidents
      waiting.push(...answer.pages)
      incidents.push(...[...open, ...closed].filter((one) => isNamed(name, one, []) || one.rule === name))
      cursor = answer.cursor
    }
    const page = waiting.find(({ id }) => id === name || shortId(id) === name)
    const named = incidents.filter((one) => isNamed(name, one, waiting))
    const found = named.length > 0 ? named : incidents.filter(({ rule }) => rule === name)
    if (found.length > 1) {
      const told = found.slice(-mostNamed).map(({ id, summary }) => `\n  ${shortId(id)}  ${summary}`)
      throw new RicciError(
        'INCIDENT_AMBIGUOUS',
        `${found.length} incidents go by ${JSON.stringify(name)}; name one by its id:${told.join('')}`,
      )
    }
    const incident = found[0] ?? (await this.ofPage(page))
    if (incident === undefined) {
      throw new RicciError(
        'NO_INCIDENT',
        `no incident goes by ${JSON.stringify(name)}: it is neither open nor among the last 1,000 closed of its partition; \`ricci incidents\` lists them, a page without an incident has its own answer at its receiver`,
      )
    }
    return { incident, waiting }
  }

  /** A page that waits, of an incident that was not named otherwise. */
  private async ofPage(page: PendingPage | undefined): Promise<Incident | undefined> {
    return page?.incident === undefined ? undefined : (await this.find(page.incident)).incident
  }

  /** Where the events of a host lie: under the cluster that its events name, else under its own name. */
  private async partitionOf(host: string): Promise<number> {
    const { log, query } = this.options
    if (log.partitions === 1) return 0
    const { pages } = await query(`host = ${printText(host)} limit 1`)
    let text = ''
    for await (const page of pages) text += Buffer.from(page).toString()
    const event = text === '' ? undefined : (JSON.parse(text) as Event & { cluster?: string })
    return partitionOf(event?.cluster ?? host, log.partitions)
  }

  private async *work<Answer>(
    partition: number,
    job: ExplainSetup['job'],
    signal: AbortSignal,
  ): AsyncGenerator<ExplainStep<Answer>, void, undefined> {
    if (this.atWork >= maxAtOnce) {
      throw new RicciError(
        'TOO_MANY_QUERIES',
        `${maxAtOnce} explanations are being made already; ask again in a moment`,
      )
    }
    this.atWork++
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
      this.atWork--
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
