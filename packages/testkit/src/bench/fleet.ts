import { referenceEncode, type WireEvent } from '../codec/reference.ts'
import { SeededRandom } from '../random.ts'
import type { Event } from '@ricci/client'

export interface FleetOptions {
  readonly seed?: number
  /** Default 500, in clusters of 25. */
  readonly hosts?: number
  /** Default 300: 60 latencies, 32 of CPUs, the rest plain metrics. */
  readonly services?: number
  /** Host by host (as agents send), in one random order for all rounds, or in an order new each round. */
  readonly order?: 'agent' | 'fixed' | 'shuffled'
  /** Time of the first round, seconds since 1970; one and the same time unless told. */
  readonly startSeconds?: number
  /** Between two rounds; default {@link roundSeconds}. */
  readonly everySeconds?: number
}

/** The rounds of the measured fleet are this far apart. */
export const roundSeconds = 10
const defaultStartSeconds = 1_795_262_400 // 2026-11-21 12:00 UTC
const hostsPerCluster = 25
const latencies = 60
const cpuServices = 32

/**
 * The fleet that everything is measured with: 500 hosts in 20 clusters, 300 services each, so 150,000 keys; a round sends each
 * key once. One event in a hundred has a state other than `ok`, and a key's state changes at a round with probability 0.02
 * (an `ok` turns with 1/99, what is not turns back at once). One host in 50 has busy CPUs; latencies lie around a base of
 * their table, and one in 500 far above it. The same seed gives the same rounds on every machine.
 */
export class Fleet {
  readonly hosts: readonly string[]
  readonly clusters: readonly string[]
  readonly services: readonly Service[]
  private readonly bad: Uint8Array
  private readonly order: Int32Array
  private readonly random: SeededRandom
  private readonly shuffles: boolean
  private readonly startSeconds: number
  private readonly everySeconds: number
  private round = 0

  constructor(options: FleetOptions = {}) {
    this.random = new SeededRandom(options.seed ?? 1)
    const hosts = Array.from({ length: options.hosts ?? 500 }, (_, n) => {
      const cluster = `cluster-${String(Math.floor(n / hostsPerCluster)).padStart(2, '0')}`
      return { cluster, host: `node-${String(n).padStart(3, '0')}.${cluster}` }
    })
    this.hosts = hosts.map(({ host }) => host)
    this.clusters = hosts.map(({ cluster }) => cluster)
    this.services = Array.from({ length: options.services ?? 300 }, (_, n) => serviceOf(n))
    this.bad = new Uint8Array(this.keys)
    this.order = Int32Array.from({ length: this.keys }, (_, key) => key)
    this.startSeconds = options.startSeconds ?? defaultStartSeconds
    this.everySeconds = options.everySeconds ?? roundSeconds
    this.shuffles = options.order === 'shuffled'
    if (options.order === 'fixed') this.shuffle()
  }

  /** Events of a round. */
  get keys(): number {
    return this.hosts.length * this.services.length
  }

  /** The events of the next round, as they stand on the wire: whole seconds, a double, no `metric_f` and no microseconds. */
  *nextRound(): Generator<WireEvent> {
    if (this.shuffles) this.shuffle()
    const time = this.startSeconds + this.everySeconds * this.round++
    for (const key of this.order) yield this.event(key, time)
  }

  /** The next round as events for people. */
  *nextEvents(): Generator<Event> {
    for (const { metricD, attributes, ...event } of this.nextRound()) {
      yield {
        ...event,
        time: Number(event.time),
        metric: metricD,
        metricType: 'double',
        attributes: { cluster: attributes![0].value! },
      }
    }
  }

  /** The next round in Msgs of so many events, encoded by protobufjs as foreign senders do. */
  nextMessages(eventsPerMsg: number): Uint8Array[] {
    return [...this.messages(eventsPerMsg)]
  }

  /** The same, made one by one as they are taken: a round of a large fleet need not be held. */
  *messages(eventsPerMsg: number): Generator<Uint8Array> {
    let events: WireEvent[] = []
    for (const event of this.nextRound()) {
      if (events.push(event) < eventsPerMsg) continue
      yield referenceEncode({ events })
      events = []
    }
    if (events.length > 0) yield referenceEncode({ events })
  }

  private event(key: number, time: number): WireEvent {
    const { random } = this
    const hostIndex = Math.floor(key / this.services.length)
    const service = this.services[key % this.services.length]
    this.bad[key] = this.bad[key] === 0 && random.chance(1 / 99) ? (random.chance(1 / 3) ? 2 : 1) : 0
    const metricD = service.metric(random, hostIndex)
    return {
      time,
      state: states[this.bad[key]],
      service: service.name,
      host: this.hosts[hostIndex],
      description: `${service.unit} ${metricD.toFixed(2)}`,
      tags: service.tags,
      ttl: 120,
      attributes: [{ key: 'cluster', value: this.clusters[hostIndex] }],
      metricD,
    }
  }

  private shuffle(): void {
    for (let i = this.order.length - 1; i > 0; i--) {
      const j = this.random.below(i + 1)
      ;[this.order[i], this.order[j]] = [this.order[j], this.order[i]]
    }
  }
}

const states = ['ok', 'warning', 'critical']

interface Service {
  readonly name: string
  readonly tags: string[]
  readonly unit: string
  metric(random: SeededRandom, host: number): number
}

function serviceOf(n: number): Service {
  if (n < latencies) {
    const base = 5 + (n % 12)
    return {
      name: `cassandra.table.${n}.read_latency.p99`,
      tags: ['cassandra', 'latency'],
      unit: 'ms',
      metric: (random) => base * (0.5 + random.next()) * (random.chance(1 / 500) ? 20 : 1),
    }
  }
  if (n < latencies + cpuServices) {
    const kind = ['user', 'system', 'iowait', 'idle'][n % 4]
    return {
      name: `cpu.${(n - latencies) >> 2}.${kind}`,
      tags: ['system', 'cpu'],
      unit: 'fraction',
      metric: (random, host) => (host % 50 === 7 ? 0.88 + 0.06 * random.next() : 0.8 * random.next()),
    }
  }
  return {
    name: `application.module.metric.${n}`,
    tags: ['application', 'metric'],
    unit: 'count',
    metric: (random) => 1000 * random.next(),
  }
}
