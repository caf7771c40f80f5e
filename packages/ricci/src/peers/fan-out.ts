/**
 * Answers for the whole cluster: what runs here is asked here, the rest of its owners, else of who stands by. Whose partitions are missing is
 * known before the first page; pages pass through as they are read.
 */
import { maxReplyBytes } from '@ricci/client'
import { EngineError, parseQuery } from '@ricci/engine'
import { RicciError } from '../errors.ts'
import type { IncidentsRequest, WatchPage, WatchPlace } from '../http/backend.ts'
import { queryWaitMs } from '../intake/limits.ts'
import type { QueryPort } from '../intake/queries.ts'
import type { AnswerForm, JsonShape } from '../server/worker-protocol.ts'
import { leave } from './as-they-come.ts'
import { candidatesOf, type AmongOptions } from './candidates.ts'
import { cover, type Covered } from './coverage.ts'
import { listIncidents, openIncidents, type OpenIncidents } from './incidents.ts'
import { Keepers } from './keepers.ts'
import { marginMs, takeoverMs } from './limits.ts'
import { formOfSources, merged } from './merge.ts'
import { notEvaluated } from './missing.ts'
import { readCursor, writeCursor } from './query-cursor.ts'
import type { Freshness, Missing, PeerAnswer } from './protocol.ts'
import { ClusterWatch } from './watch.ts'

/** An answer of the whole cluster, or of what could be reached of it. */
export interface ClusterAnswer {
  /** Partitions that nobody answered for, in ascending order; what their events would have been is not in the pages. */
  readonly missing: readonly Missing[]
  /** How far each of the others was applied. */
  readonly fresh: readonly Freshness[]
  /** Where the next answer goes on, known once all pages were read; undefined where there is no more, or no cursor was asked for. */
  cursor(): string | undefined
  /** Ends early with an error when somebody who answers goes away. To be read, or left. */
  readonly pages: AsyncIterable<Uint8Array>
}

export class QueryFanOut implements QueryPort {
  private readonly keepers: Keepers

  constructor(private readonly options: AmongOptions) {
    this.keepers = new Keepers(options)
  }

  /** As a Riemann client asks: all or nothing. */
  async ask(query: string, sinceMs: number, took: (bytes: number) => boolean): Promise<readonly Uint8Array[]> {
    const answer = await this.answer(query, 'msg', sinceMs)
    if (answer.missing.length > 0) {
      leave([answer.pages[Symbol.asyncIterator]()])
      throw notEvaluated(answer.missing, this.options.partitions)
    }
    const pages: Uint8Array[] = []
    let bytes = 0
    for await (const page of answer.pages) {
      bytes += page.length
      if (bytes > maxReplyBytes) {
        throw new RicciError(
          'ANSWER_TOO_LARGE',
          `the answer is larger than ${maxReplyBytes} bytes; ask a narrower query, or add a limit`,
        )
      }
      if (!took(page.length)) break
      pages.push(page)
    }
    return pages
  }

  /**
   * Resolves once each partition is known to be answered for, or to be missing.
   * @param sinceMs monotonic time at which it arrived; it waits at most 5 s from then on
   * @param cursor of the answer before, or empty at first: sorted in any case, and where the limit ends it another cursor goes on
   * @throws RicciError `NOT_EVALUATED` when nobody answers; QueryError; EngineError `CURSOR_INVALID`
   */
  async answer(
    query: string,
    form: AnswerForm,
    sinceMs: number,
    limit?: number,
    cursor?: string,
  ): Promise<ClusterAnswer> {
    const { partitions, clock } = this.options
    const parsed = parseQuery(query)
    const goesOn = cursor === undefined ? undefined : readCursor(cursor)
    if (goesOn !== undefined && ![0, (parsed.sort ?? []).length + 2].includes(goesOn.behind.length)) {
      throw new EngineError('CURSOR_INVALID', 'the cursor is of a query with another sort; begin without one')
    }
    const sort = goesOn !== undefined ? (parsed.sort ?? []) : partitions > 1 ? parsed.sort : undefined
    const wanted = goesOn?.left ?? parsed.limit ?? Infinity
    const most = Math.min(limit ?? Infinity, wanted)
    // one more says that there is more
    const ofEach = goesOn === undefined ? limit : Math.min(most + 1, wanted)
    const deadlineMs = sinceMs + queryWaitMs
    const gone = new AbortController()
    const covered = await cover<PeerAnswer>({
      partitions: Array.from({ length: partitions }, (_, partition) => partition),
      candidates: (partition) =>
        candidatesOf(this.options, partition, (backend, asked, signal) => {
          const waitMs = deadlineMs - clock.monotonicMs() - marginMs
          const some = ofEach === Infinity ? undefined : ofEach
          const request = { query, form: formOfSources(sort, form), partitions: asked, limit: some, cursor, waitMs }
          return backend.query(request, signal)
        }),
      clock,
      deadlineMs,
      ownedByMs: Math.min(deadlineMs, clock.monotonicMs() + (this.options.takeoverMs ?? takeoverMs)),
      signal: gone.signal,
    })
    const { answers, missing } = covered
    if (answers.length === 0) throw notEvaluated(missing, partitions)
    let next: string | undefined
    const pages = merged({
      sources: answers.map((answer) => () => answer.pages),
      sort,
      form,
      limit: most === Infinity ? undefined : most,
      onCut: (behind) => {
        if (goesOn === undefined || wanted === most) return
        next = writeCursor({ behind, ...(wanted !== Infinity && { left: wanted - most }) })
      },
      atOnce: answers.length,
    })
    const fresh = answers.flatMap((answer) => answer.fresh).sort((a, b) => a.partition - b.partition)
    return { missing, fresh, cursor: () => next, pages: new ClusterPages(pages, covered) }
  }

  /**
   * A page of incidents and pages of all partitions, as JSON text; `missing` names partitions of which none are told.
   * @throws RicciError `NOT_EVALUATED` when nobody answers; EngineError `CURSOR_INVALID`
   */
  async incidents(request: IncidentsRequest): Promise<string> {
    const { listing, missing } = await listIncidents(this.options, request)
    if (missing.length === this.options.partitions) throw notEvaluated(missing, missing.length)
    return listing
  }

  /** All open incidents of all partitions, a part at a time. */
  open(): AsyncIterable<OpenIncidents> {
    return openIncidents(this.options)
  }

  /**
   * Resolves once the query is accepted by somebody; then yields changes of all partitions, those of one in their order, until the signal
   * aborts. When who runs a partition goes away, another is found, and it goes on there where it was; where that cannot be, the gap is told.
   * @param from where who watched before goes on: partitions that it does not name were missing there; without it, from now on
   * @throws RicciError `NOT_EVALUATED` when nobody runs any, `TOO_MANY_WATCHES`; QueryError
   */
  async watch(
    query: string,
    shape: JsonShape,
    signal: AbortSignal,
    from: readonly WatchPlace[] = [],
  ): Promise<AsyncIterable<WatchPage>> {
    parseQuery(query)
    return new ClusterWatch(this.options, query, shape, from, this.keepers, signal).begin()
  }
}

/** Pages that whoever asked may leave at any time, also before the first: what is on its way is ended then. */
class ClusterPages implements AsyncIterableIterator<Uint8Array> {
  private readonly pages: AsyncIterator<Uint8Array>
  private over = false

  constructor(
    pages: AsyncIterable<Uint8Array>,
    private readonly covered: Covered<PeerAnswer>,
  ) {
    this.pages = pages[Symbol.asyncIterator]()
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    try {
      const step = await this.pages.next()
      if (step.done === true) this.over = true
      return step
    } catch (error) {
      this.abandon()
      throw error
    }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.abandon()
    leave([this.pages])
    return { value: undefined, done: true }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  private abandon(): void {
    if (!this.over) this.covered.abandon()
    this.over = true
  }
}
