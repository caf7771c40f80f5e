/** The agent: measures this machine at an interval and sends what it finds to a server, whatever becomes of the server. */
import {
  ClientError,
  CodecError,
  encodeMark,
  encodeMsg,
  halvesOf,
  isRefusedForNow,
  takenBytes,
  type Event,
  type Msg,
} from '@ricci/client'
import type { Clock, Timer } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import { type Batch, Outbox } from './outbox.ts'
import type { Measurement, Survey } from './probe.ts'
import { Producer } from './producer.ts'
import { probes } from './probes/index.ts'
import { type Machine, Sampler, thisMachine } from './sampler.ts'
import { ttlSeconds, type EventSource } from './sources.ts'

/** What the agent sends through: the servers, or a test's. */
export interface AgentClient {
  /** @param msg the bytes of a Msg */
  sendMsg(msg: Uint8Array): Promise<Msg>
}

export interface AgentOptions {
  readonly client: AgentClient
  /** Name of this machine in its events. */
  readonly host: string
  /** Unlike that of any other agent alive, restarts included: marks are told apart by it. */
  readonly producer: string
  readonly intervalMs: number
  readonly clock: Clock
  /** Told what goes wrong, in sentences, once per change. */
  readonly onProblem: (text: string) => void
  readonly machine?: Machine
  readonly platform?: NodeJS.Platform
  readonly maxBufferedEvents?: number
  /** What else this process says about itself, with each sample. */
  readonly own?: () => readonly Measurement[]
  /** What is measured besides, with each sample. */
  readonly surveys?: readonly Survey[]
  /** What gives events at a pace of its own; started and stopped by the agent. */
  readonly sources?: readonly EventSource[]
}

/** About 10 MB, and two hours of a machine's events at an interval of 10 s. */
const maxBufferedEvents = 50_000

/** After a failed send nothing is tried for so long, doubled with each further one … */
const retryMs = 1_000
/** … up to this: once the server takes events again, it has them before those it had expire. */
const longestRetryMs = 8_000

/** How long a stopping agent waits for answers that are due. */
const stopLimitMs = 1_000

/**
 * Starts measuring at once.
 * @throws RicciError `AGENT_UNSUPPORTED` where there is no /proc
 */
export function startAgent(options: AgentOptions): Agent {
  const agent = agentOf(options)
  agent.start()
  return agent
}

/**
 * What an agent would send: everything measured twice, a second apart, so that there are rates, and each source asked once.
 * @throws RicciError `AGENT_UNSUPPORTED` where there is no /proc
 */
export function wouldSend(
  options: Omit<AgentOptions, 'client' | 'producer' | 'intervalMs'>,
): Promise<readonly Event[]> {
  const client = { sendMsg: () => Promise.reject(new Error('nothing is sent')) }
  return agentOf({ ...options, client, producer: '', intervalMs: lookMs }).look()
}

/** Between two looks of {@link wouldSend}. */
const lookMs = 1_000

function agentOf(options: AgentOptions): Agent {
  const platform = options.platform ?? process.platform
  if (platform !== 'linux') {
    throw new RicciError(
      'AGENT_UNSUPPORTED',
      `the agent reads /proc, which ${platform} does not have; run it on Linux, or send events with a Riemann client`,
    )
  }
  return new Agent(options)
}

/**
 * Measures and sends. Each sample is one Msg with a producer mark; one Msg is on its way at a time. A Msg whose fate is unknown
 * is sent again under the same mark, which makes that harmless.
 */
export class Agent {
  readonly #options: AgentOptions
  readonly #sampler: Sampler
  readonly #producer: Producer
  readonly #outbox: Outbox
  readonly #ttl: number
  #startedMs = 0
  #samples = 0
  #timer: Timer | undefined
  #sampling: Promise<void> = Promise.resolve()
  #sending: Promise<void> | undefined
  #retry: Timer | undefined
  #stopped: Promise<void> | undefined
  /** Sends in a row that the server did not take. */
  #failures = 0
  #sent = 0
  #refused = 0
  /** What a server said that it takes in one message; the least of all that said so. */
  #takenBytes = Infinity

  constructor(options: AgentOptions) {
    this.#options = options
    this.#sampler = new Sampler(options.machine ?? thisMachine, options.onProblem, probes, options.surveys)
    this.#producer = new Producer(options.producer)
    this.#outbox = new Outbox(options.maxBufferedEvents ?? maxBufferedEvents)
    this.#ttl = ttlSeconds(options.intervalMs)
  }

  /** Events acknowledged, waiting, dropped because the buffer was full, and refused by the server. */
  get stats(): {
    readonly sent: number
    readonly buffered: number
    readonly dropped: number
    readonly refused: number
  } {
    return { sent: this.#sent, buffered: this.#outbox.events, dropped: this.#outbox.dropped, refused: this.#refused }
  }

  start(): void {
    this.#startedMs = this.#options.clock.monotonicMs()
    this.#sample()
    for (const source of this.#options.sources ?? []) source.start((events) => this.#take(events))
  }

  /** See {@link wouldSend}; instead of a start. */
  async look(): Promise<readonly Event[]> {
    const { clock, sources = [], intervalMs } = this.#options
    const asked = Promise.all(sources.map((source) => source.once()))
    await this.#sampler.sample(clock.monotonicMs())
    await new Promise<void>((resolve) => clock.setTimer(intervalMs, resolve))
    const measured = await this.#sampler.sample(clock.monotonicMs())
    const events = measured.map((measurement) => this.#event(measurement, clock.wallMs()))
    return [...events, ...(await asked).flatMap((given) => this.#completed(given))]
  }

  #take(events: readonly Event[]): void {
    this.#add(this.#completed(events))
  }

  /** Events of a source: what they lack is as in a sample. */
  #completed(events: readonly Event[]): Event[] {
    const { host, clock } = this.#options
    const time = clock.wallMs() / 1000
    return events.map((event) => ({ time, ttl: this.#ttl, tags: ['agent'], ...event, host }))
  }

  /** Ends measuring, and waits a second for what is on its way. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#end()
    return this.#stopped
  }

  async #end(): Promise<void> {
    const { clock } = this.#options
    this.#timer?.cancel()
    this.#retry?.cancel()
    await Promise.all([this.#sampling, ...(this.#options.sources ?? []).map((source) => source.stop())])
    let limit: Timer | undefined
    const late = new Promise<void>((resolve) => (limit = clock.setTimer(stopLimitMs, resolve)))
    await Promise.race([this.#sending, late])
    limit?.cancel()
  }

  /** Samples now, and again on the grid of intervals: a late sample does not move the later ones. */
  #sample(): void {
    const { clock, intervalMs } = this.#options
    this.#sampling = this.#sampling.then(() => this.#measure())
    const elapsedMs = clock.monotonicMs() - this.#startedMs
    this.#samples = Math.max(this.#samples + 1, Math.floor(elapsedMs / intervalMs) + 1)
    this.#timer = clock.setTimer(this.#samples * intervalMs - elapsedMs, () => this.#sample())
  }

  async #measure(): Promise<void> {
    const { clock } = this.#options
    const measurements = await this.#sampler.sample(clock.monotonicMs())
    if (this.#stopped !== undefined) return
    this.#add([...measurements, ...this.#own()].map((measurement) => this.#event(measurement, clock.wallMs())))
  }

  #add(events: readonly Event[]): void {
    const { bytes, count } = this.#encoded(events)
    if (count > 0) this.#outbox.add(bytes, count)
    this.#send()
  }

  /** What cannot be put into bytes never can, and keeps nothing else out. */
  #encoded(events: readonly Event[]): { bytes: Uint8Array; count: number } {
    try {
      return { bytes: encodeMsg({ events }), count: events.length }
    } catch (error) {
      if (!(error instanceof CodecError)) throw error
      if (events.length > 1) return this.#encoded(events.filter((event) => this.#encoded([event]).count > 0))
      this.#refused++
      this.#options.onProblem(`an event of service ${events[0].service} cannot be sent: ${error.message}`)
      return { bytes: new Uint8Array(0), count: 0 }
    }
  }

  /** What the agent says about itself. */
  #own(): Measurement[] {
    const { buffered, dropped } = this.stats
    return [
      { service: 'ricci agent buffered', metric: buffered },
      { service: 'ricci agent dropped', metric: dropped },
      ...(this.#options.own?.() ?? []),
    ]
  }

  #event(measurement: Measurement, wallMs: number): Event {
    const { host } = this.#options
    return { host, ...measurement, metricType: 'double', time: wallMs / 1000, ttl: this.#ttl, tags: ['agent'] }
  }

  #send(): void {
    if (this.#sending !== undefined || this.#retry !== undefined) return
    this.#sending = this.#drain().finally(() => (this.#sending = undefined))
  }

  /** Sends until nothing waits or something fails. */
  async #drain(): Promise<void> {
    for (let batch = this.#outbox.take(); batch !== undefined; batch = this.#outbox.take()) {
      const parts = [batch]
      for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
        try {
          parts.unshift(...(await this.#deliver(part)))
        } catch (error) {
          for (const other of parts) this.#outbox.putBack(other)
          this.#failed(part, error as Error)
          return
        }
        if (this.#stopped !== undefined) return
      }
    }
  }

  /** Gives what is to be sent in its place: its halves, where a server takes less at once. */
  async #deliver(batch: Batch): Promise<readonly Batch[]> {
    const { client, clock, onProblem } = this.#options
    if (batch.bytes.length > this.#takenBytes && batch.events > 1) return halved(batch)
    const sentAtMs = clock.wallMs()
    batch.mark ??= this.#producer.next(sentAtMs)
    // fields of a Msg may stand in any order
    const reply = await client.sendMsg(Buffer.concat([batch.bytes, encodeMark({ ...batch.mark, sentAtMs })]))
    if (isRefusedForNow(reply.error)) throw new ClientError('REFUSED', reply.error!, true)
    const taken = takenBytes(reply.error)
    if (taken !== undefined) {
      this.#takenBytes = Math.min(this.#takenBytes, taken)
      if (batch.events > 1) return halved(batch)
    }
    if (this.#failures > 0) {
      this.#failures = 0
      onProblem(`the server takes events again; ${this.#outbox.events} that waited follow`)
    }
    if (reply.ok === false) {
      this.#refused += batch.events
      onProblem(`the server refused ${batch.events} events: ${reply.error ?? 'without a reason'}`)
    } else {
      this.#sent += batch.events
    }
    return []
  }

  #failed(batch: Batch, error: Error): void {
    const { clock, onProblem } = this.#options
    if (this.#stopped !== undefined) return
    if (error instanceof ClientError && !error.retriable) {
      this.#refused += batch.events
      onProblem(`${batch.events} events could not be sent: ${error.message}`)
    } else {
      this.#outbox.putBack(batch)
      if (this.#failures++ === 0) onProblem(`events wait in memory until the server takes them: ${error.message}`)
    }
    this.#retry = clock.setTimer(Math.min(longestRetryMs, retryMs * 2 ** Math.max(0, this.#failures - 1)), () => {
      this.#retry = undefined
      this.#send()
    })
  }
}

/** The first keeps a mark that was given: its number would be missed. */
function halved({ bytes, events, order, mark }: Batch): readonly Batch[] {
  const [first, second] = halvesOf(bytes)!
  const middle = events >> 1
  return [
    { bytes: first, events: middle, order, mark },
    { bytes: second, events: events - middle, order },
  ]
}
