/**
 * A receiver of pages at the other end of the webhook, scripted, keyed (class A) or blind (class C): it keeps its own list of what was asked of it
 * and of what took effect, and is as awkward as real ones are. It answers late, says 503, takes a request to heart and loses the
 * answer, or acts long after whoever asked has died.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { SeededRandom } from '../random.ts'

/** What was asked. */
export interface PageRequest {
  /** The `Idempotency-Key`. */
  readonly id: string
  readonly action: string
  readonly dedupKey: string
  readonly rule: string
  readonly host: string
  /** Its sender says that this may have been told before. */
  readonly possibleRepeat: boolean
  /** On the machine's monotonic clock, which all processes share. */
  readonly arrivedMs: number
  /** When its answer had left. */
  answeredMs?: number
  /** Effects that stood in the list when it arrived or, since then, when it was acted on. */
  effectsBefore: number
  status: number | undefined
}

/** What took effect: at a keyed receiver once for each `Idempotency-Key`. */
export interface Effect {
  readonly id: string
  readonly action: string
  readonly dedupKey: string
  readonly rule: string
  readonly host: string
}

/** When a request takes effect: as it arrives, as it is answered (or later, if the asker is gone by then), or only if it is answered. */
type Fate = 'on-arrival' | 'whatever-comes' | 'if-answered' | 'unavailable'

/** Answers take up to this long when nobody asked for more: longer than the daemon needs for its next record, so that they overlap. */
const slowestAnswerMs = 150
/** A request whose asker died may be acted on so much later: longer than a restart, well within the 10 s a send may take. */
const latestEffectMs = 6_000
/** This share of pages is answered 503 the first time, when nobody asked for less. */
const unavailableShare = 0.08

/** Now, on the clock of {@link PageRequest.arrivedMs}. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6

interface Hold {
  readonly matches: (request: PageRequest) => boolean
  readonly arrived: (request: PageRequest) => void
}

export class Pager {
  readonly requests: PageRequest[] = []
  readonly effects: Effect[] = []
  /** Requests that came under a key that had taken effect already. */
  repeats = 0
  /** Bodies that were no pages, or whose `Idempotency-Key` was missing. */
  readonly strange: string[] = []
  /** Requests without an answer yet, whose asker still waits. */
  open = 0
  private readonly taken = new Set<string>()
  private readonly failedOnce = new Set<string>()
  private readonly holds: Hold[] = []
  private readonly timers = new Set<NodeJS.Timeout>()
  private readonly listeners = new Set<() => void>()

  private constructor(
    private readonly server: Server,
    private readonly random: SeededRandom,
    private readonly keyed: boolean,
    private readonly slowestMs: number,
    private readonly unavailable: number,
  ) {
    server.on('request', (request, response) => void this.take(request, response))
  }

  /**
   * @param receiverClass `A` knows a request again by its key; `C` tells people whatever comes in
   * @param slowestMs how long an answer takes at most
   * @param unavailable the share of pages that are refused for now at first: whoever sends them pauses
   */
  static async start(
    random: SeededRandom,
    receiverClass: 'A' | 'C',
    slowestMs = slowestAnswerMs,
    unavailable = unavailableShare,
  ): Promise<Pager> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new Pager(server, random, receiverClass === 'A', slowestMs, unavailable)
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/pages`
  }

  /** The next request that matches is left without an answer for good; resolves when it has arrived. */
  hold(matches: (request: PageRequest) => boolean): Promise<PageRequest> {
    return new Promise((arrived) => this.holds.push({ matches, arrived }))
  }

  /** Resolves at the next thing that happens here: a request, an effect, an answer. */
  next(): Promise<void> {
    return new Promise((resolve) => this.listeners.add(resolve))
  }

  /** Resolves with the next answer that has left for a request that matches. */
  async answered(matches: (request: PageRequest) => boolean): Promise<void> {
    const before = new Set(this.requests.filter(({ status }) => status === 200))
    while (!this.requests.some((request) => request.status === 200 && !before.has(request) && matches(request))) {
      await this.next()
    }
  }

  /** Whether anything took effect. */
  has(action: string, rule: string, host: string): boolean {
    return this.effects.some((effect) => effect.action === action && effect.rule === rule && effect.host === host)
  }

  async close(): Promise<void> {
    for (const timer of this.timers) clearTimeout(timer)
    this.timers.clear()
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = ''
    try {
      for await (const chunk of incoming.setEncoding('utf8')) body += chunk
    } catch {
      return // cut off in the middle: nothing was asked
    }
    const request = this.read(incoming, body)
    if (request === undefined) {
      response.writeHead(400).end()
      return
    }
    const fate = this.fateOf(request)
    this.requests.push(request)
    if (this.taken.has(request.id)) this.repeats++
    this.open++
    if (fate === 'on-arrival') this.effect(request)
    response.on('close', () => {
      this.open--
      if (request.status === undefined && fate === 'whatever-comes') {
        this.later(this.random.between(0, latestEffectMs), () => this.effect(request))
      }
    })
    response.on('finish', () => {
      request.status = response.statusCode
      request.answeredMs = monotonicMs()
      this.tell()
    })
    const at = this.holds.findIndex(({ matches }) => matches(request))
    if (at >= 0) this.holds.splice(at, 1)[0].arrived(request)
    else this.later(this.random.between(0, this.slowestMs), () => this.answer(request, fate, response))
    this.tell()
  }

  private answer(request: PageRequest, fate: Fate, response: ServerResponse): void {
    if (response.destroyed) return
    if (fate === 'unavailable') {
      response.writeHead(503).end('try again')
      return
    }
    if (fate !== 'on-arrival') this.effect(request)
    response.writeHead(200).end()
  }

  private effect(request: PageRequest): void {
    const { id, action, dedupKey, rule, host } = request
    request.effectsBefore = this.effects.length
    if (this.keyed && this.taken.has(id)) return
    this.taken.add(id)
    this.effects.push({ id, action, dedupKey, rule, host })
    this.tell()
  }

  private read(incoming: IncomingMessage, body: string): PageRequest | undefined {
    const key = incoming.headers['idempotency-key']
    try {
      const { possibleRepeat, ...texts } = JSON.parse(body) as Record<string, unknown>
      const { action, dedupKey, rule, host } = texts as Record<string, string>
      if (typeof key === 'string' && typeof action === 'string' && typeof dedupKey === 'string') {
        return {
          id: key,
          action,
          dedupKey,
          rule,
          host,
          possibleRepeat: possibleRepeat === true,
          arrivedMs: monotonicMs(),
          effectsBefore: this.effects.length,
          status: undefined,
        }
      }
    } catch {
      // told below
    }
    this.strange.push(`${key}: ${body.slice(0, 200)}`)
    return undefined
  }

  private fateOf({ id }: PageRequest): Fate {
    const draw = this.random.next()
    if (draw < this.unavailable && !this.failedOnce.has(id) && !this.taken.has(id)) {
      this.failedOnce.add(id)
      return 'unavailable'
    }
    return draw < 0.4 ? 'on-arrival' : draw < 0.75 ? 'whatever-comes' : 'if-answered'
  }

  private later(delayMs: number, callback: () => void): void {
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      callback()
    }, delayMs)
    this.timers.add(timer)
  }

  private tell(): void {
    const told = [...this.listeners]
    this.listeners.clear()
    for (const tell of told) tell()
  }
}
