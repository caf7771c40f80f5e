/** The worker's side of an engine host: carries an {@link EngineHost}'s reports and answers to the main thread. */
import type { MessagePort } from 'node:worker_threads'
import { type Event, MsgWriter } from '@ricci/client'
import type { Engine, QueryOptions, QueryPage } from '@ricci/engine'
import type { EngineHost, HostEvents } from '@ricci/replica'
import { jsonWriters } from './json.ts'
import { Watches } from './watches.ts'
import {
  betweenTexts,
  maxCredits,
  plainError,
  type FromWorker,
  type Inspection,
  type JsonShape,
  type ToWorker,
} from './worker-protocol.ts'

/** Rows looked at and events given at a time: 1 to 3 ms of work between which records are applied. */
const pageBudget = 20_000
const pageLimit = 2_000

type Ask = ToWorker & { readonly type: 'ask' }

/** An answer on its way, in pieces. */
interface Answer {
  credits: number
  wake?: () => void
  cancelled: boolean
}

/** What of the engine is not an {@link EngineHost}'s to give. */
export interface EngineWindow {
  /** Gives JSON text. */
  inspect(what: Inspection): string
  readonly changes: Engine['changes']
}

export class HostServer {
  private readonly host: EngineHost
  private readonly answers = new Map<number, Answer>()
  /** Questions that wait for the log to be applied so far. */
  private readonly waiting = new Map<number, Ask>()
  private readonly watches: Watches
  private applied = -1

  /**
   * @param wake there is more in the log
   */
  constructor(
    private readonly port: Pick<MessagePort, 'postMessage' | 'on'>,
    makeHost: (events: HostEvents) => EngineHost,
    private readonly wake: () => void,
    private readonly window: EngineWindow,
  ) {
    this.watches = new Watches({
      changes: window.changes,
      answer: (id, page) => this.post({ type: 'changes', id, page }, [page.lines.buffer as ArrayBuffer]),
      refuse: (id, error) => this.post({ type: 'error', id, error: plainError(error) }),
      nothing: (ids, before) => this.post({ type: 'no-changes', ids, before }),
    })
    this.host = makeHost({
      onProgress: (progress) => {
        this.applied = progress.appliedOffset
        this.post({ type: 'progress', progress })
        this.watches.applied()
        for (const [id, ask] of this.waiting) {
          if (ask.atLeast > this.applied) continue
          this.waiting.delete(id)
          this.begin(ask)
        }
      },
      onFailure: (failure) => this.post({ type: 'failure', failure }),
    })
    port.on('message', (message: ToWorker) => this.hear(message))
  }

  private hear(message: ToWorker): void {
    const { host } = this
    switch (message.type) {
      case 'start':
        host.start(message.from).then(
          () => this.post({ type: 'started' }),
          (error: unknown) => this.post({ type: 'start-failed', error: plainError(error) }),
        )
        return
      case 'wake':
        this.wake()
        return
      case 'query': {
        const { id, query, options } = message
        host.query(query, options).then(
          (page) => this.post({ type: 'page', id, page }),
          (error: unknown) => this.post({ type: 'error', id, error: plainError(error) }),
        )
        return
      }
      case 'ask':
        if (message.atLeast <= this.applied) this.begin(message)
        else this.waiting.set(message.id, message)
        return
      case 'credit': {
        const answer = this.answers.get(message.id)
        if (answer === undefined) return
        answer.credits++
        answer.wake?.()
        return
      }
      case 'cancel': {
        this.waiting.delete(message.id)
        this.watches.cancel(message.id)
        const answer = this.answers.get(message.id)
        if (answer === undefined) return
        answer.cancelled = true
        answer.wake?.()
        return
      }
      case 'changes':
        this.watches.ask(message.id, message.query, message.shape, message.from)
        return
      case 'inspect': {
        const { id, what } = message
        try {
          this.post({ type: 'text', id, text: this.window.inspect(what) })
        } catch (error) {
          this.post({ type: 'error', id, error: plainError(error) })
        }
        return
      }
      case 'flow-page': {
        const { id, sink, after, atMost } = message
        host.flowPage(sink, after, atMost).then(
          // each Msg is a copy of its own
          (page) =>
            this.post(
              { type: 'page', id, page },
              Array.from(page.batches, ({ msg }) => msg.buffer as ArrayBuffer),
            ),
          (error: unknown) => this.post({ type: 'error', id, error: plainError(error) }),
        )
        return
      }
      case 'hurry':
        host.hurry(message.on)
        return
      case 'cut-at-next-state-hash':
        host.cutAtNextStateHash()
        return
      case 'cut-now':
        host.cutNow()
        return
      case 'cut-soon':
        host.cutSoon()
        return
      case 'take-snapshot': {
        const slices = host.takeSnapshot()
        void this.give(message.id, slices ?? [])
      }
    }
  }

  private begin(ask: Ask): void {
    void this.give(ask.id, this.pages(ask))
  }

  /** The pages of an answer, encoded. Between two of them records are applied. */
  private async *pages({ query, form, limit, behind }: Ask): AsyncGenerator<Uint8Array, void, undefined> {
    let left = limit ?? Infinity
    for (let cursor: number | undefined = undefined; left > 0;) {
      const options: QueryOptions = { limit: Math.min(pageLimit, left), cursor, behind, budget: pageBudget }
      const page: QueryPage = await this.host.query(query, options)
      left -= page.events.length
      if (page.events.length > 0) yield form === 'msg' ? msgOf(page.events) : jsonOf(page.events, form)
      cursor = page.nextCursor
      if (cursor === undefined) return
      await nextTurn()
    }
  }

  /** Sends pieces as fast as they are taken. */
  private async give(id: number, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
    const answer: Answer = { credits: maxCredits, cancelled: false }
    this.answers.set(id, answer)
    try {
      for await (const piece of pieces) {
        while (answer.credits === 0 && !answer.cancelled) await new Promise<void>((resolve) => (answer.wake = resolve))
        if (answer.cancelled) return
        answer.credits--
        // a copy of its own: transferring a view takes the whole buffer along
        const bytes = piece.slice()
        this.post({ type: 'bytes', id, bytes }, [bytes.buffer])
      }
      this.post({ type: 'end', id })
    } catch (error) {
      this.post({ type: 'error', id, error: plainError(error) })
    } finally {
      this.answers.delete(id)
    }
  }

  private post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.port.postMessage(message, transfer)
  }
}

const encoder = new TextEncoder()

/** Events as a Msg. Whatever anybody sent or a rule made can be written, or one event would spoil the answer for all. */
function msgOf(events: readonly Event[]): Uint8Array {
  const writer = new MsgWriter()
  for (const event of events) writer.event(event, true)
  return writer.finish()
}

/** Events as JSON texts. */
function jsonOf(events: readonly Event[], shape: JsonShape): Uint8Array {
  return encoder.encode(events.map(jsonWriters[shape]).join(betweenTexts))
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
