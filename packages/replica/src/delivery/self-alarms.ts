import type { Mutation, PendingPage } from '@ricci/engine'
import { selfAlarmMs } from '../limits.ts'
import type { Clock, Random, SendRequest, Timer } from '../ports.ts'
import type { Receiver } from '../options.ts'
import { retryDelayMs } from './backoff.ts'
import { SendWindow } from './send-window.ts'

/** Alarms about the log itself, which no record could carry. */
export type SelfAlarmName = 'event-path' | 'log-unavailable' | 'cannot-own'

/** Decided pages named in an alarm: who reads it wants the worst, not all. */
const waitingNamed = 20

export interface SelfAlarmsOptions {
  readonly logId: string
  readonly instance: string
  readonly partition: number
  readonly clock: Clock
  readonly random: Random
  /** The receiver named `self`; without one the alarms are only told to `onAlarm`. */
  readonly receiver: () => Receiver | undefined
  /** Decided pages that wait meanwhile. */
  readonly waiting: () => Iterable<Readonly<PendingPage>>
  readonly onAlarm: (name: string, detail: string) => void
  /** Tests only. */
  readonly mutations?: ReadonlySet<Mutation>
}

const names: readonly SelfAlarmName[] = ['event-path', 'log-unavailable', 'cannot-own']

interface State {
  /** When it is to be told, if the trouble goes on. */
  dueMs: number
  detail: string
  wanted: 'trigger' | 'resolve' | undefined
  /** What the receiver confirmed last. */
  confirmed: 'trigger' | 'resolve' | undefined
  /** A trigger went out and no resolve was confirmed since: there may be something to take back. */
  mayBeOpen: boolean
  sending: boolean
  failures: number
  /** Wall time of the occurrence: a new one is a new request. */
  occurredAtMs: number
  timer: Timer | undefined
  window: SendWindow | undefined
}

/**
 * The three alarms that cannot travel a broken log are sent by the instance itself, outside the log, 15 s after the trouble
 * began, with the decided pages that wait; and taken back when it has ended. Keyed by log and name: several instances that
 * notice the same are one incident.
 */
export class SelfAlarms {
  readonly #options: SelfAlarmsOptions
  readonly #states = new Map<SelfAlarmName, State>()
  #stopped = false

  constructor(options: SelfAlarmsOptions) {
    this.#options = options
  }

  /**
   * Whether the trouble is there now. Called as often as one likes, and when {@link nextDueMs} says.
   * @param sinceMs monotonic time at which it began; undefined when there is none
   * @param isOurs false while another is to tell of it. What was told already stands all the same: the key is everybody's, and to take
   *   it back would take back what the other told.
   */
  is(name: SelfAlarmName, sinceMs: number | undefined, detail: string, isOurs = true): void {
    if (this.#stopped || this.#options.mutations?.has('self-alarm') === true) return
    const state = this.#stateOf(name)
    state.dueMs = Infinity
    state.detail = detail
    if (sinceMs === undefined) {
      if (state.wanted === 'trigger') this.#want(name, state, 'resolve')
      return
    }
    if (state.wanted === 'trigger' || !isOurs) return
    state.dueMs = sinceMs + selfAlarmMs
    if (this.#options.clock.monotonicMs() < state.dueMs) return
    state.dueMs = Infinity
    state.occurredAtMs = Math.round(this.#options.clock.wallMs())
    this.#options.onAlarm(name, detail)
    this.#want(name, state, 'trigger')
  }

  /** Monotonic time at which the next alarm is to be sent if its trouble goes on; Infinity when there is none. */
  nextDueMs(): number {
    return Math.min(Infinity, ...[...this.#states.values()].map(({ dueMs }) => dueMs))
  }

  /**
   * An owner has found everything in order: what anybody told before is taken back. What was told is written nowhere (there was no
   * log to write it to), so each ownership takes it back once; at a keyed receiver that does nothing where nothing is open.
   */
  allIsWell(): void {
    for (const name of names) {
      const state = this.#stateOf(name)
      if (this.#stopped || (state.wanted === 'resolve' && state.mayBeOpen)) continue
      state.mayBeOpen = true
      state.confirmed = undefined
      state.detail = 'the log takes records, gives them back, and has an owner'
      state.occurredAtMs = Math.round(this.#options.clock.wallMs())
      this.#want(name, state, 'resolve')
    }
  }

  /** Sends nothing more. What the receiver was told stands: an instance that stops has not mended anything. */
  stop(): void {
    this.#stopped = true
    for (const { timer, window } of this.#states.values()) {
      timer?.cancel()
      window?.cancel()
    }
  }

  #want(name: SelfAlarmName, state: State, action: 'trigger' | 'resolve'): void {
    state.wanted = action
    state.failures = 0
    state.timer?.cancel()
    if (!state.sending) void this.#send(name, state)
  }

  async #send(name: SelfAlarmName, state: State): Promise<void> {
    const { clock, random } = this.#options
    const receiver = this.#options.receiver()
    const action = state.wanted
    if (receiver === undefined || action === undefined || action === state.confirmed || this.#stopped) return
    if (action === 'resolve' && !state.mayBeOpen) return
    const window = new SendWindow(clock)
    state.window = window
    state.sending = true
    if (action === 'trigger') state.mayBeOpen = true
    // However it ends, what the receiver was told before holds no longer for sure.
    state.confirmed = undefined
    const mayStart = (): boolean => !this.#stopped && window.mayBegin()
    const result = await window.send(receiver.transport, this.#request(name, state, action), mayStart)
    // Refused is refused: asking again would change nothing, and there is no other way to tell.
    const delivered = result.kind === 'delivered' || result.kind === 'refused'
    if (result.kind === 'refused') this.#options.onAlarm('self-refused', result.detail)
    const retryAfterMs = result.kind === 'failed' || result.kind === 'unknown' ? (result.retryAfterMs ?? 0) : 0
    state.sending = false
    if (delivered) {
      state.confirmed = action
      if (action === 'resolve') state.mayBeOpen = false
    }
    if (this.#stopped || state.wanted === state.confirmed) return
    state.failures = delivered ? 0 : state.failures + 1
    const delayMs = delivered ? 0 : retryDelayMs(state.failures, random, retryAfterMs)
    state.timer = clock.setTimer(delayMs, () => void this.#send(name, state))
  }

  #request(name: SelfAlarmName, state: State, action: 'trigger' | 'resolve'): SendRequest {
    const { logId, instance, partition, clock } = this.#options
    const waiting = [...this.#options.waiting()].filter((page) => page.action !== 'resolve')
    const more = waiting.length === 0 ? '' : `; ${waiting.length} decided pages wait: ${waiting[0].summary}`
    const key = `${logId}.${name}`
    return {
      receiver: 'self',
      idempotencyKey: `${key}.${instance}.${state.occurredAtMs}.${action}`,
      dedupKey: key,
      action,
      severity: 'critical',
      summary: `${name}: ${state.detail}${more}`.slice(0, 1_000),
      host: instance,
      service: `ricci ${name}`,
      rule: name,
      decidedAtMs: Math.round(clock.wallMs()),
      provenance: {
        instance,
        partition,
        detail: state.detail,
        waiting: waiting
          .slice(0, waitingNamed)
          .map(({ id, rule, key: of, severity, summary }) => ({ id, rule, key: of, severity, summary })),
      },
      possibleRepeat: false,
    }
  }

  #stateOf(name: SelfAlarmName): State {
    let state = this.#states.get(name)
    if (state === undefined) {
      state = {
        dueMs: Infinity,
        detail: '',
        wanted: undefined,
        confirmed: undefined,
        mayBeOpen: false,
        sending: false,
        failures: 0,
        occurredAtMs: 0,
        timer: undefined,
        window: undefined,
      }
      this.#states.set(name, state)
    }
    return state
  }
}
