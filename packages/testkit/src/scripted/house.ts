/** One log, one store, and as many replicas as a test wants, on a virtual clock; what goes wrong is the test's to say. */
import assert from 'node:assert/strict'
import { encodeMsg } from '@ricci/client'
import {
  createEngine,
  forward,
  incident,
  index,
  rules,
  semanticsOf,
  type Engine,
  type RulesDescription,
  type RulesRecord,
  type SkipRecord,
} from '@ricci/engine'
import {
  InThreadHost,
  Replica,
  type Clock,
  type HostEvents,
  type HostFailure,
  type LogPort,
  type ReceiverClass,
  type ReplicaState,
  type SendRequest,
  type Timer,
} from '@ricci/replica'
import { VirtualClock } from '../clock.ts'
import { SeededRandom } from '../random.ts'
import { ScriptedCoordination, ScriptedLog, ScriptedSink, ScriptedSnapshots, ScriptedTransport } from './ports.ts'

const down = incident('down', { bad: 'state = "down"', key: 'host', to: 'oncall' })
const description = rules(index(), down)
const flowing = rules(index(), down, forward('upstream'))
const rulesRecord: RulesRecord = {
  kind: 'rules',
  hash: 'rules',
  settings: { graceMs: 0, fallbackReceiver: 'fallback' },
  semantics: 1,
  bundle: new Uint8Array(0),
}

/** A process: its clock and its way to the log end when it is killed. */
class Process {
  alive = true
  readonly clock: Clock
  readonly log: LogPort
  readonly timers: Timer[] = []
  failHost: (failure: HostFailure) => void = () => undefined

  constructor(
    house: House,
    readonly instance: string,
  ) {
    this.clock = {
      monotonicMs: () => house.clock.monotonicMs() + (house.workedMs.get(instance) ?? 0),
      wallMs: () => house.clock.wallMs(),
      setTimer: (delayMs, callback) => {
        const timer = house.clock.setTimer(delayMs, () => (this.alive ? callback() : undefined))
        this.timers.push(timer)
        return timer
      },
    }
    const log = house.log
    this.log = {
      id: log.id,
      partitions: 1,
      append: (partition, records) => (this.alive ? log.append(partition, records) : new Promise(() => undefined)),
      read: async function* (partition, from, signal) {
        for await (const batch of log.read(partition, from, signal)) {
          if (house.deaf === instance) return await aborted(signal)
          yield batch
        }
      },
      endOf: () => log.endOf(),
      range: () => log.range(),
      wantsSnapshot: () => log.wantsSnapshot(),
      close: () => Promise.resolve(),
    }
  }
}

/** What goes on around replicas. `close` sees to it that nothing is left behind. */
export class House {
  readonly clock = new VirtualClock()
  readonly log = new ScriptedLog()
  readonly coordination = new ScriptedCoordination()
  readonly snapshots = new ScriptedSnapshots()
  readonly oncall = new ScriptedTransport()
  readonly fallback = new ScriptedTransport()
  readonly self = new ScriptedTransport()
  /** Gets all events, where its rules forward them. */
  readonly upstream = new ScriptedSink()
  readonly sinks = new Map([['upstream', this.upstream]])
  readonly #description: RulesDescription
  readonly alarms: string[] = []
  readonly replicas: Replica[] = []
  readonly #processes = new Map<Replica, Process>()
  receiverClass: ReceiverClass = 'A'
  blindPolicy: 'repeat' | 'miss' = 'repeat'
  /** By instance, the time that its engines took, on top of what has passed for all. */
  readonly workedMs = new Map<string, number>()
  /** Whose engine gives hashes unlike all others. */
  wrong = ''
  /** Whose readers are given nothing, and hear no error. */
  deaf = ''
  /** Told of each engine that is made, with the way to the replica that it reports to. */
  onEngine: (engine: Engine, events: HostEvents, skips: readonly SkipRecord[], instance: string) => void = () =>
    undefined

  /** @param flows whether all events are sent to a sink */
  constructor({ flows = false } = {}) {
    this.#description = flows ? flowing : description
  }

  replica(instance: string): Replica {
    const process = new Process(this, instance)
    const replica = new Replica({
      instance,
      partition: 0,
      log: process.log,
      coordination: this.coordination.as(instance),
      snapshots: this.snapshots,
      hostFactory: (events) => {
        process.failHost = (failure) => events.onFailure(failure)
        return new InThreadHost(
          {
            onProgress: (progress) => (process.alive ? events.onProgress(progress) : undefined),
            onFailure: (failure) => (process.alive ? events.onFailure(failure) : undefined),
          },
          {
            log: process.log,
            partition: 0,
            clock: process.clock,
            createEngine: (from) => {
              const engine = createEngine({
                logId: this.log.id,
                partition: 0,
                loadRules: () => this.#description,
                ...from,
              })
              const { hashes } = engine
              engine.hashes = () => ({
                ...hashes.call(engine),
                ...(this.wrong === instance ? { decisions: 'wrong' } : {}),
              })
              this.onEngine(engine, events, from.skips, instance)
              return engine
            },
          },
        )
      },
      transports: new Map([
        ['oncall', { transport: this.oncall, class: this.receiverClass, blindPolicy: this.blindPolicy }],
        ['fallback', { transport: this.fallback, class: 'A' }],
        ['self', { transport: this.self, class: 'A' }],
      ]),
      sinks: this.sinks,
      clock: process.clock,
      random: new SeededRandom(instance),
      rules: { ...rulesRecord, semantics: semanticsOf(this.#description) },
      onStanding: (standing) => {
        if (!process.alive) return
        this.coordination.as(instance).publish({ draining: false, version: '', partitions: { 0: standing } })
      },
      onAlarm: (name, detail) => this.alarms.push(`${instance} ${name}: ${detail}`),
    })
    this.replicas.push(replica)
    this.#processes.set(replica, process)
    return replica
  }

  /** The engine that a replica runs now gives up. */
  failHost(replica: Replica, failure: HostFailure): void {
    this.#processes.get(replica)!.failHost(failure)
  }

  /** Its process ends without a word; its lease lapses at once. */
  kill(replica: Replica): void {
    const process = this.#processes.get(replica)!
    process.alive = false
    for (const timer of process.timers) timer.cancel()
    this.replicas.splice(this.replicas.indexOf(replica), 1)
    this.coordination.left(process.instance)
    this.coordination.takeAway(false, true)
  }

  /** What the receiver of alarms about the log was sent of one action. */
  told(action: SendRequest['action']): SendRequest[] {
    return this.self.sent.filter((request) => request.action === action)
  }

  event(host: string, state: string): void {
    const events = [{ host, service: 's', state, time: this.clock.wallMs() / 1_000 }]
    this.log.add({ kind: 'events', receivedAtMs: this.clock.wallMs(), msg: encodeMsg({ events }) })
  }

  /** Starts a replica and waits until it is in a state. */
  async started(replica: Replica, state: ReplicaState): Promise<Replica> {
    void replica.start()
    await this.until(`${state}`, () => replica.state === state)
    return replica
  }

  /** An owner with its rules in force. */
  async owner(instance = 'a'): Promise<Replica> {
    const replica = await this.started(this.replica(instance), 'owning')
    await this.until('the rules are in force', () => replica.stats().rulesHash === 'rules')
    return replica
  }

  async until(what: string, condition: () => boolean, limitMs = 20_000): Promise<void> {
    if (await this.clock.advanceUntil(condition, limitMs)) return
    const stats = this.replicas.map((replica) => JSON.stringify(replica.stats()))
    assert.fail([`it never happened: ${what}`, ...this.alarms, ...stats, ...this.oncall.lines].join('\n'))
  }

  async stopped(replica: Replica): Promise<void> {
    let stopped = false
    void replica.stop().then(() => (stopped = true))
    await this.until('it stops', () => stopped, 60_000)
    this.coordination.left(this.#processes.get(replica)!.instance)
    this.replicas.splice(this.replicas.indexOf(replica), 1)
  }

  async close(): Promise<void> {
    for (const replica of [...this.replicas]) await this.stopped(replica)
    await this.clock.advance(5_000)
    assert.equal(this.clock.pendingTimers, 0, 'no timer is left behind')
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
