/**
 * Answers for the whole cluster: what runs here is asked here, the rest of its owners, else of who stands by. Whose partitions are missing is
 * known before the first page; pages pass through as they are read.
 */
import { maxReplyBytes } from '@ricci/client'
import { parseQuery } from '@ricci/engine'
import type { Clock } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import { queryWaitMs } from '../intake/limits.ts'
import type { QueryPort } from '../intake/queries.ts'
import type { AnswerForm } from '../server/worker-protocol.ts'
import { leave } from './as-they-come.ts'
import type { PeerClient } from './client.ts'
import { cover, isUnowned, type Candidate, type Covered } from './coverage.ts'
import type { EnginePartitions } from './engine-partitions.ts'
import { marginMs } from './limits.ts'
import { holdersOf, type PeerMember } from './members.ts'
import { formOfSources, merged } from './merge.ts'
import type { Freshness, Missing, PartitionsBackend, PeerAnswer } from './protocol.ts'

export interface QueryFanOutOptions {
  readonly instance: string
  /** How many there are in all. */
  readonly partitions: number
  readonly local: Pick<EnginePartitions, 'runs'> & PartitionsBackend
  readonly members: () => readonly PeerMember[]
  readonly client: Pick<PeerClient, 'at'>
  readonly clock: Clock
}

/** An answer of the whole cluster, or of what could be reached of it. */
export interface ClusterAnswer {
  /** Partitions that nobody answered for, in ascending order; what their events would have been is not in the pages. */
  readonly missing: readonly Missing[]
  /** How far each of the others was applied. */
  readonly fresh: readonly Freshness[]
  /** Ends early with an error when somebody who answers goes away. To be read, or left. */
  readonly pages: AsyncIterable<Uint8Array>
}

export class QueryFanOut implements QueryPort {
  constructor(private readonly options: QueryFanOutOptions) {}

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
   * @throws RicciError `NOT_EVALUATED` when nobody answers; QueryError
   */
  async answer(query: string, form: AnswerForm, sinceMs: number, limit?: number): Promise<ClusterAnswer> {
    const { partitions, clock } = this.options
    const parsed = parseQuery(query)
    const sort = partitions > 1 ? parsed.sort : undefined
    const most = Math.min(limit ?? Infinity, parsed.limit ?? Infinity)
    const deadlineMs = sinceMs + queryWaitMs
    const gone = new AbortController()
    const covered = await cover<PeerAnswer>({
      partitions: Array.from({ length: partitions }, (_, partition) => partition),
      candidates: (partition) =>
        this.candidates(partition, (backend, asked, signal) => {
          const waitMs = deadlineMs - clock.monotonicMs() - marginMs
          const request = { query, form: formOfSources(sort, form), partitions: asked, limit, waitMs }
          return backend.query(request, signal)
        }),
      clock,
      deadlineMs,
      signal: gone.signal,
    })
    const { answers, missing } = covered
    if (answers.length === 0) throw notEvaluated(missing, partitions)
    const pages = merged({
      sources: answers.map((answer) => () => answer.pages),
      sort,
      form,
      limit: most === Infinity ? undefined : most,
      atOnce: answers.length,
    })
    const fresh = answers.flatMap((answer) => answer.fresh).sort((a, b) => a.partition - b.partition)
    return { missing, fresh, pages: new ClusterPages(pages, covered) }
  }

  /** Who can be asked for a partition: this instance, the owner, who stands by. */
  private candidates<Answer>(
    partition: number,
    ask: (backend: PartitionsBackend, partitions: readonly number[], signal: AbortSignal) => Promise<Answer>,
  ): readonly Candidate<Answer>[] {
    const { instance, local, members, client } = this.options
    const found: Candidate<Answer>[] = []
    const add = (id: string, backend: () => PartitionsBackend): void => {
      found.push({ id, ask: (partitions, signal) => ask(backend(), partitions, signal) })
    }
    if (local.runs(partition)) add(instance, () => local)
    for (const { instance: other, data } of holdersOf(partition, members())) {
      const { peers } = data
      if (other !== instance && peers !== undefined) add(other, () => client.at(peers))
    }
    return found
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

/** For people: whose events are not in an answer, and why; undefined where all are. */
export function missingSentence(missing: readonly Missing[]): string | undefined {
  if (missing.length === 0) return undefined
  const parts = [
    [missing.filter(isUnowned), 'has no owner', 'have no owner'],
    [missing.filter((one) => !isUnowned(one)), 'did not answer in time', 'did not answer in time'],
  ] as const
  const said = parts.flatMap(([some, one, several]) => {
    if (some.length === 0) return []
    const names = some.map(({ partition }) => partition).join(', ')
    return [some.length === 1 ? `partition ${names} ${one}` : `partitions ${names} ${several}`]
  })
  return said.join('; ')
}

function notEvaluated(missing: readonly Missing[], partitions: number): RicciError {
  const why = partitions === 1 ? '' : `: ${missingSentence(missing)}`
  return new RicciError('NOT_EVALUATED', `not evaluated yet${why}`)
}
