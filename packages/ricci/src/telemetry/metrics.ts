import type { OperatorStats } from '@ricci/engine'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Tally } from './tally.ts'

/** Reads a live value when `/metrics` is asked. */
export type Gauges = Readonly<Partial<Record<LiveGauge, () => number>>> & {
  /** A series of each of {@link operatorMetrics} for each of these: who gives them bounds how many. */
  readonly operators?: () => readonly OperatorStats[]
}
export type LiveGauge = keyof typeof liveGauges | keyof typeof liveCounters

/** Every gauge that is read when asked, with its help text. Listed in docs/telemetry.md. */
const liveGauges = {
  ricci_intake_connections: 'Connections of Riemann, Graphite and OpenTSDB clients open now',
  ricci_http_connections: 'HTTP connections open now, WebSockets among them',
  ricci_intake_queued_bytes: 'Bytes taken in and not yet durable',
  ricci_intake_held_acks: 'Messages durable whose acknowledgement is held back because the engine lags',
  ricci_log_end_offset: 'Offset the next record of the log will get',
  ricci_engine_applied_offset: 'Offset of the last record the engine applied',
  ricci_engine_lag_bytes: 'Bytes in the log that the engine has not applied',
  ricci_engine_lag_seconds: 'Age of the oldest record that the engine has not applied',
  ricci_engine_generation: 'How many engine workers this process has started',
  ricci_engine_index_events: 'Events in the index',
  ricci_host_clock_skew_seconds: 'How far the clock of a host is away that is furthest from ours',
  ricci_engine_columns_bytes: "Bytes of the engine's columns",
  ricci_pages_pending: 'Pages decided and not settled',
  ricci_pages_oldest_seconds: 'Since the oldest of them was decided; 0 where there is none',
  ricci_engine_forks: 'Keys that operators keep state of',
  ricci_hosts_silent: 'Hosts of which every entry of the index has expired',
  ricci_event_loop_delay_seconds: 'By how much 99 of 100 turns of the main thread were late at most',
  ricci_flow_events: 'Events that wait for their sinks',
  ricci_flow_lag_seconds: 'How long the oldest of these has waited',
  ricci_replica_owning: '1 while this instance owns its partition',
} as const

/** The same for what only grows. */
const liveCounters = {
  ricci_engine_timers_fired_total: 'Timers of rules and index that fired, since the engines began',
  ricci_engine_refused_total: 'Keys and texts that found no room, and were left out',
  ricci_gc_seconds_total: 'Seconds that the main thread spent on collecting garbage',
  ricci_engine_repeated_messages_total: 'Messages dropped as repeats by their producer mark, since the log began',
  ricci_flow_dropped_events_total: 'Events dropped because a sink took too few, as far as their flows are known',
  ricci_flow_sent_events_total: 'Events that sinks took from this process',
  ricci_flow_refused_events_total: 'Events that sinks will never take',
  ricci_flow_failures_total: 'Requests to sinks that failed',
} as const

/** What operators of the rules take and hold, by their paths. */
const operatorMetrics = {
  ricci_operator_taken_total: ['Events, lists and values given to an operator', 'taken', Counter],
  ricci_operator_keys: ['Keys of which an operator keeps something', 'keys', Gauge],
  ricci_operator_bytes: ['Bytes of what an operator keeps', 'bytes', Gauge],
} as const

/** Every metric of a server, in a registry of its own so that two servers in one process do not mix. */
export class Metrics {
  readonly registry = new Registry()

  readonly malformed = this.counter('ricci_intake_malformed_total', 'Frames and datagrams refused as malformed', [
    'transport',
  ])
  readonly dropped = this.counter('ricci_intake_dropped_total', 'Datagrams dropped unread', ['reason'])
  readonly closed = this.counter('ricci_intake_connections_closed_total', 'Connections closed by the server', [
    'reason',
  ])
  readonly appendFailures = this.counter('ricci_intake_append_failures_total', 'Appends the log refused', ['code'])
  readonly notEvaluated = this.counter(
    'ricci_intake_not_evaluated_total',
    'Queries given up because the log was not applied in time',
  )
  readonly appendSeconds = new Histogram({
    name: 'ricci_log_append_seconds',
    help: 'Time from handing a group of records to the log until it is durable',
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2],
    registers: [this.registry],
  })
  readonly engineRestarts = this.counter('ricci_engine_restarts_total', 'Engine workers that were replaced', ['reason'])
  readonly ruleErrors = this.counter('ricci_rule_errors_total', 'Errors thrown by user functions in rules')
  readonly rulesSwitches = this.counter('ricci_rules_switches_total', 'Switches of rules that this process made')
  readonly decided = this.counter('ricci_pages_decided_total', 'Pages decided by the engine', ['action'])
  readonly requests = this.counter('ricci_page_requests_total', 'Requests to receivers', ['receiver', 'result'])
  readonly settled = this.counter('ricci_pages_settled_total', 'Pages settled', ['result'])
  readonly replicaStates = this.counter('ricci_replica_transitions_total', 'Changes of the replica’s state', ['state'])
  readonly alarms = this.counter('ricci_alarms_total', 'Alarms raised', ['name'])
  readonly peersRefused = this.counter(
    'ricci_peer_connections_refused_total',
    'Connections refused where servers of the cluster talk to each other',
    ['reason'],
  )
  readonly callersRefused = this.counter('ricci_http_callers_refused_total', 'Requests refused for their token', [
    'reason',
  ])
  readonly auditFailures = this.counter('ricci_audit_failures_total', 'Entries of the audit that could not be written')
  readonly httpRequests = this.counter('ricci_http_requests_total', 'HTTP requests answered', ['status'])

  constructor(tally: Tally, gauges: () => Gauges) {
    this.tallied('ricci_intake_messages_total', 'Messages taken in', {
      tcp: () => tally.tcpMessages,
      udp: () => tally.udpMessages,
    })
    this.tallied('ricci_intake_events_total', 'Events taken in', {
      tcp: () => tally.tcpEvents,
      udp: () => tally.udpEvents,
      http: () => tally.httpEvents,
      graphite: () => tally.graphiteEvents,
      opentsdb: () => tally.opentsdbEvents,
    })
    this.tallied('ricci_intake_bytes_total', 'Bytes of messages taken in', {
      tcp: () => tally.tcpBytes,
      udp: () => tally.udpBytes,
    })
    this.tallied('ricci_intake_queries_total', 'Queries of Riemann clients', { '': () => tally.queries })
    this.tallied('ricci_intake_pauses_total', 'Times that a connection was not read on until there was room', {
      '': () => tally.pauses,
    })
    this.tallied('ricci_log_records_total', 'Records of events appended to the log', {
      '': () => tally.appendedRecords,
    })
    this.tallied('ricci_log_appended_bytes_total', 'Bytes of events appended to the log', {
      '': () => tally.appendedBytes,
    })
    this.tallied('ricci_log_append_groups_total', 'Groups of records handed to the log', {
      '': () => tally.appendGroups,
    })
    const registers = [this.registry]
    for (const [name, help] of Object.entries(liveGauges) as [keyof typeof liveGauges, string][]) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          const read = gauges()[name]
          if (read !== undefined) this.set(read())
        },
      })
    }
    for (const [name, help] of Object.entries(liveCounters) as [keyof typeof liveCounters, string][]) {
      new Counter({
        name,
        help,
        registers,
        collect() {
          const read = gauges()[name]
          if (read === undefined) return
          this.reset()
          this.inc(read())
        },
      })
    }
    for (const [name, [help, figure, Kind]] of Object.entries(operatorMetrics)) {
      new Kind({
        name,
        help,
        labelNames: ['operator'],
        registers,
        collect() {
          this.reset()
          for (const one of gauges().operators?.() ?? []) this.inc({ operator: one.operator }, one[figure])
        },
      })
    }
    new Gauge({
      name: 'process_resident_memory_bytes',
      help: 'Resident memory',
      registers,
      collect() {
        this.set(process.memoryUsage.rss())
      },
    })
    new Counter({
      name: 'process_cpu_seconds_total',
      help: 'CPU time of all threads',
      registers,
      collect() {
        const { user, system } = process.cpuUsage()
        this.reset()
        this.inc((user + system) / 1e6)
      },
    })
  }

  private counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name, help, labelNames, registers: [this.registry] })
  }

  private tallied(name: string, help: string, values: Record<string, () => number>): void {
    const labelled = Object.keys(values).some((transport) => transport !== '')
    new Counter({
      name,
      help,
      labelNames: labelled ? ['transport'] : [],
      registers: [this.registry],
      collect() {
        this.reset()
        for (const [transport, read] of Object.entries(values)) this.inc(labelled ? { transport } : {}, read())
      },
    })
  }
}
