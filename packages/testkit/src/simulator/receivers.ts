import type { ReceiverClass, SendRequest, SendResult, Transport } from '@ricci/replica'
import type { SeededRandom } from '../random.ts'
import type { Process } from './process.ts'
import type { FaultKind, World } from './world.ts'

/** How a receiver answers at present. */
export type ReceiverMood = 'well' | 'error' | 'limited' | 'refusing' | 'hanging' | 'slow' | 'resetting' | 'dropping'

/** What one request did at its receiver, as the receiver itself wrote it down. */
export interface Arrival {
  readonly atMs: number
  readonly receiver: string
  readonly from: string
  readonly request: SendRequest
  /**
   * `opened`, `closed`: an incident of this key was opened or closed. `told`: people read it (blind receiver).
   * `repeat`: known already, nothing happened. `none`: turned away.
   */
  readonly effect: 'opened' | 'closed' | 'told' | 'repeat' | 'none'
  /** When the sender was given the answer; undefined if it never was. */
  answeredAtMs?: number
}

/** A real request ends at most 10 s after its attempt; one that hangs takes effect, if at all, well within that. */
const hangingEffectMs = 6_000
/** One that is slow takes effect as late as it may: so long after a send that began 2 s after its attempt. */
const slowEffectMs = 7_500

/**
 * A receiver of pages. Class A keeps one open incident per key (`idempotent`: and knows a request again by its Idempotency-Key);
 * class C tells people whatever comes in. Its list of arrivals is what the oracle judges by.
 */
export class SimReceiver {
  mood: ReceiverMood = 'well'
  readonly arrivals: Arrival[] = []
  readonly open = new Map<string, Arrival>()
  readonly #seen = new Set<string>()
  readonly #random: SeededRandom

  constructor(
    readonly world: World,
    readonly name: string,
    readonly receiverClass: ReceiverClass,
    readonly idempotent: boolean,
  ) {
    this.#random = world.random.fork(`receiver/${name}`)
  }

  /** A request's bytes are here. `answer` is called with what goes back, `onReset` when the connection ends instead, or neither. */
  take(
    request: SendRequest,
    from: string,
    answer: (result: SendResult, arrival: Arrival) => void,
    onReset: () => void,
  ): void {
    const random = this.#random
    const reply = (result: SendResult, arrival: Arrival): void =>
      this.world.after(random.between(1, 80), () => answer(result, arrival))
    switch (this.mood) {
      case 'well':
        return reply({ kind: 'delivered' }, this.#act(request, from))
      case 'error':
        this.#fault('receiver 500', request)
        return reply({ kind: 'failed', detail: '500' }, this.#arrive(request, from, 'none'))
      case 'limited':
        this.#fault('receiver 429', request)
        return reply(
          { kind: 'failed', detail: '429', retryAfterMs: Math.round(random.between(500, 20_000)) },
          this.#arrive(request, from, 'none'),
        )
      case 'refusing':
        this.#fault('receiver 400', request)
        return reply({ kind: 'refused', detail: '400' }, this.#arrive(request, from, 'none'))
      case 'hanging':
        this.#fault('receiver hangs', request)
        if (random.chance(0.5)) this.world.after(random.between(10, hangingEffectMs), () => this.#act(request, from))
        return
      case 'slow':
      case 'resetting':
        this.#fault('receiver acts late', request)
        this.world.after(random.between(slowEffectMs / 2, slowEffectMs), () => this.#act(request, from))
        if (this.mood === 'resetting') onReset()
        return
      case 'dropping':
        this.#fault('receiver drops answer', request)
        this.#act(request, from)
    }
  }

  #fault(kind: FaultKind, request: SendRequest): void {
    this.world.fault(kind, this.name, `${request.action} ${request.idempotencyKey}`)
  }

  #act(request: SendRequest, from: string): Arrival {
    if (this.receiverClass === 'C') return this.#arrive(request, from, 'told')
    if (this.idempotent && this.#seen.has(request.idempotencyKey)) return this.#arrive(request, from, 'repeat')
    this.#seen.add(request.idempotencyKey)
    const isOpen = this.open.has(request.dedupKey)
    if (request.action === 'resolve') {
      this.open.delete(request.dedupKey)
      return this.#arrive(request, from, isOpen ? 'closed' : 'repeat')
    }
    const arrival = this.#arrive(request, from, isOpen ? 'repeat' : 'opened')
    if (!isOpen) this.open.set(request.dedupKey, arrival)
    return arrival
  }

  #arrive(request: SendRequest, from: string, effect: Arrival['effect']): Arrival {
    const arrival: Arrival = { atMs: this.world.nowMs, receiver: this.name, from, request, effect }
    this.arrivals.push(arrival)
    const { action, dedupKey, idempotencyKey, members, possibleRepeat } = request
    this.world.trace.add(
      this.name,
      `${effect}: ${action} ${idempotencyKey} key ${dedupKey} from ${from}` +
        `${possibleRepeat ? ', perhaps a repeat' : ''}${members === undefined ? '' : `, digest of ${members.length}`}`,
    )
    return arrival
  }
}

/** What the network between instances and receivers does. */
export interface NetworkWeather {
  /** The request never arrives and nobody says so. */
  requestLost: number
  /** Connecting takes seconds. */
  slowConnect: number
  /** Told when a process is about to connect: between its decision to send and the request's first byte. */
  onConnecting?: (process: Process, request: SendRequest) => void
  /** Told of every request to the receiver `self`, whatever becomes of it. */
  onSelf?: (process: Process, request: SendRequest) => void
}

/** The way from one process to all receivers. */
export class SimTransport implements Transport {
  readonly #random: SeededRandom

  constructor(
    private readonly process: Process,
    private readonly receivers: ReadonlyMap<string, SimReceiver>,
    private readonly weather: NetworkWeather,
  ) {
    this.#random = process.world.random.fork(`transport/${process.name}`)
  }

  send(request: SendRequest, mayStart: () => boolean, signal: AbortSignal): Promise<SendResult> {
    const { process, weather } = this
    const { world } = process
    const random = this.#random
    return new Promise((resolve) => {
      if (!process.alive) return
      const receiver = this.receivers.get(request.receiver)
      if (receiver === undefined) throw new Error(`no receiver is named ${request.receiver}`)
      const connectMs = random.chance(weather.slowConnect) ? random.between(500, 4_000) : random.between(0.5, 30)
      weather.onConnecting?.(process, request)
      if (request.receiver === 'self') weather.onSelf?.(process, request)
      let started = false
      const outOfTime = (): void =>
        resolve(
          started ? { kind: 'unknown', detail: 'no answer in time' } : { kind: 'failed', detail: 'no connection' },
        )
      signal.addEventListener('abort', outOfTime)
      process.deliverAfter(connectMs, () => {
        if (signal.aborted) return
        if (!mayStart()) {
          world.trace.add(process.name, `did not start ${request.action} ${request.idempotencyKey}`)
          return resolve({ kind: 'failed', detail: 'not started: the send window has passed' })
        }
        started = true
        if (random.chance(weather.requestLost)) {
          return world.fault('request lost', process.name, `${request.action} ${request.idempotencyKey}`)
        }
        // From here on it is in the network's hands: the death of the sender no longer stops it.
        world.after(random.between(0.5, 150), () =>
          receiver.take(
            request,
            process.name,
            (result, arrival) =>
              process.deliver(() => {
                arrival.answeredAtMs = world.nowMs
                resolve(result)
              }),
            () => process.deliver(() => resolve({ kind: 'unknown', detail: 'the connection was reset' })),
          ),
        )
      })
    })
  }
}
