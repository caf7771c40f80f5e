import { readAnswer, type ReceiverClass, type SendRequest, type SendResult, type Transport } from '@ricci/replica'
import type { SeededRandom } from '../random.ts'
import type { Process } from './process.ts'
import type { FaultKind, World } from './world.ts'

/** How a receiver answers at present. */
export type ReceiverMood =
  'well' | 'error' | 'gateway' | 'limited' | 'refusing' | 'hanging' | 'slow' | 'resetting' | 'dropping' | 'away'

/** What one request did at its receiver, as the receiver itself wrote it down. */
export interface Arrival {
  readonly atMs: number
  /** When the request's first byte left its sender. */
  readonly begunAtMs: number
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
  /** What that said of it. */
  answer?: SendResult['kind']
  /** How long the answer asked its sender to wait. */
  retryAfterMs?: number
  /** It took effect later than any sender reckons with: what its sender says of it afterwards makes somebody resolve again. */
  readonly tooLate?: true
}

/** A request that its receiver has not acted on yet. */
export interface Held {
  /** Acts now; the answer goes back to whoever still waits for one. */
  act(): void
}

/** A real request ends at most 10 s after its attempt; one that hangs takes effect, if at all, well within that. */
const hangingEffectMs = 6_000
/** One that is slow takes effect as late as it may: so long after a send that began 2 s after its attempt. */
const slowEffectMs = 7_500

/**
 * A receiver of pages. Class A keeps one open incident per key (`idempotent`: and knows a request again by its Idempotency-Key);
 * classes B and C tell people whatever comes in, and B says afterwards what it was told. Its list of arrivals is what the oracle judges by.
 */
export class SimReceiver {
  mood: ReceiverMood = 'well'
  /** Nobody can connect to it, whatever its mood. */
  down = false
  /** Takes the next request and keeps it. */
  hold: ((held: Held) => void) | undefined
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

  /** Whether it was told of a page, class B only; undefined where it cannot say at present. */
  lookUp(id: string): boolean | undefined {
    if (this.down || this.mood === 'away') return undefined
    // who reads may be served while who writes is not
    if (this.mood !== 'well' && this.#random.chance(0.5)) return undefined
    return this.#seen.has(id)
  }

  /** A request's bytes are here. `answer` is called with what goes back, `onReset` when the connection ends instead, or neither. */
  take(
    request: SendRequest,
    from: string,
    begunAtMs: number,
    answer: (result: SendResult, arrival: Arrival) => void,
    onReset: () => void,
  ): void {
    const random = this.#random
    const call: Call = { request, from, begunAtMs }
    const reply = (status: number, arrival: Arrival, retryAfterMs?: number): void => {
      const result = readAnswer(status, `HTTP ${status}`, retryAfterMs)
      this.world.after(random.between(1, 80), () => answer(result, arrival))
    }
    const { hold } = this
    if (hold !== undefined) {
      this.hold = undefined
      return hold({
        act: () => {
          this.#fault('receiver acts too late', request)
          reply(200, this.#act(call, true))
        },
      })
    }
    switch (this.mood) {
      case 'well':
        return reply(200, this.#act(call))
      case 'error':
        this.#fault('receiver 500', request)
        return reply(random.pick([500, 503]), this.#arrive(call, 'none'))
      case 'gateway':
        // Its upstream goes on working, and acts now, or later, or not at all.
        this.#fault('receiver 504', request)
        if (random.chance(0.6)) return reply(504, this.#act(call))
        if (random.chance(0.5)) this.world.after(random.between(10, hangingEffectMs), () => this.#act(call))
        return reply(random.pick([502, 504, 408]), this.#arrive(call, 'none'))
      case 'limited':
        this.#fault('receiver 429', request)
        return this.#limit(call, reply)
      case 'refusing':
        this.#fault('receiver 400', request)
        return reply(400, this.#arrive(call, 'none'))
      case 'hanging':
        this.#fault('receiver hangs', request)
        if (random.chance(0.5)) this.world.after(random.between(10, hangingEffectMs), () => this.#act(call))
        return
      case 'slow':
      case 'resetting':
        this.#fault('receiver acts late', request)
        this.world.after(random.between(slowEffectMs / 2, slowEffectMs), () => this.#act(call))
        if (this.mood === 'resetting') onReset()
        return
      case 'dropping':
        this.#fault('receiver drops answer', request)
        this.#act(call)
        return
      case 'away':
        // It went while the request was on its way.
        return this.#fault('receiver away', request)
    }
  }

  #limit(call: Call, reply: (status: number, arrival: Arrival, retryAfterMs?: number) => void): void {
    const retryAfterMs = Math.round(this.#random.between(500, 20_000))
    const arrival = this.#arrive(call, 'none')
    arrival.retryAfterMs = retryAfterMs
    reply(429, arrival, retryAfterMs)
  }

  #fault(kind: FaultKind, request: SendRequest): void {
    this.world.fault(kind, this.name, `${request.action} ${request.idempotencyKey}`)
  }

  #act(call: Call, tooLate = false): Arrival {
    const { request } = call
    if (this.receiverClass === 'C') return this.#arrive(call, 'told')
    if (this.receiverClass === 'B') {
      this.#seen.add(request.idempotencyKey)
      return this.#arrive(call, 'told')
    }
    if (this.idempotent && this.#seen.has(request.idempotencyKey)) return this.#arrive(call, 'repeat')
    this.#seen.add(request.idempotencyKey)
    const isOpen = this.open.has(request.dedupKey)
    if (request.action === 'resolve') {
      this.open.delete(request.dedupKey)
      return this.#arrive(call, isOpen ? 'closed' : 'repeat')
    }
    const arrival = this.#arrive(call, isOpen ? 'repeat' : 'opened', tooLate)
    if (!isOpen) this.open.set(request.dedupKey, arrival)
    return arrival
  }

  #arrive(call: Call, effect: Arrival['effect'], tooLate = false): Arrival {
    const { request, from } = call
    const late = tooLate ? { tooLate: true as const } : {}
    const arrival: Arrival = { atMs: this.world.nowMs, receiver: this.name, ...call, effect, ...late }
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

/** A request as it reached its receiver. */
type Call = Pick<Arrival, 'request' | 'from' | 'begunAtMs'>

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
      if (receiver.receiverClass === 'B' && request.possibleRepeat) {
        const found = receiver.lookUp(request.idempotencyKey)
        world.exercise('look-up')
        world.trace.add(process.name, `looks up ${request.idempotencyKey}: ${found}`)
        if (found !== false) {
          const answer: SendResult = found
            ? { kind: 'delivered', detail: 'it was there' }
            : { kind: 'failed', detail: 'nothing was sent: it could not be looked up' }
          process.deliverAfter(connectMs, () => resolve(answer))
          return
        }
      }
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
        if (receiver.down || receiver.mood === 'away') {
          world.fault('receiver away', receiver.name, `${request.action} ${request.idempotencyKey}`)
          return resolve({ kind: 'failed', detail: 'connection refused' })
        }
        started = true
        const begunAtMs = world.nowMs
        if (random.chance(weather.requestLost)) {
          return world.fault('request lost', process.name, `${request.action} ${request.idempotencyKey}`)
        }
        // From here on it is in the network's hands: the death of the sender no longer stops it.
        world.after(random.between(0.5, 150), () =>
          receiver.take(
            request,
            process.name,
            begunAtMs,
            (result, arrival) =>
              process.deliver(() => {
                arrival.answeredAtMs = world.nowMs
                arrival.answer = result.kind
                resolve(result)
              }),
            () => process.deliver(() => resolve({ kind: 'unknown', detail: 'the connection was reset' })),
          ),
        )
      })
    })
  }
}
