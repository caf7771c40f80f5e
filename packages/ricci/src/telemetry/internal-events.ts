/**
 * Every internal event of the server, one method each: it writes the log line and counts the metric, so that the two never
 * disagree. docs/telemetry.md lists them all; a test compares.
 */
import type { PendingPage, RulesReport } from '@ricci/engine'
import type { SendResult } from '@ricci/replica'
import type { RefusedReason } from '../peers/refusals.ts'
import { describeSwitch } from '../rules/switch-report.ts'
import { describeLogEvent, isAlarm, type LogEvent } from '../log/index.ts'
import type { Logger } from './logger.ts'
import type { Gauges, Metrics } from './metrics.ts'
import { RateLimit } from './rate-limit.ts'
import { RecentAlarms, type RecentAlarm } from './recent-alarms.ts'
import { Tally } from './tally.ts'

/** Of a page what log and metrics tell. */
export type ToldPage = Pick<PendingPage, 'action' | 'rule' | 'receiver' | 'summary'>

/** What became of a request to a receiver, and what comes of it. */
const undelivered = {
  failed: 'could not be delivered, and is tried again',
  unknown: 'may have been delivered, nobody knows',
  refused: 'was refused, and is not tried again; look at the settings of the receiver',
} as const

/** What becomes of a peer, or of what it sent, where that is no message. */
const refusals = {
  tcp: 'closed a connection',
  tls: 'closed a connection',
  udp: 'dropped a datagram',
  http: 'closed a connection',
  amqp: 'put a message among the refused',
  graphite: 'dropped a line',
  opentsdb: 'dropped a line',
} as const

/** Protocols of text lines. */
export type LineTransport = 'graphite' | 'opentsdb'

export type CloseReason = 'malformed' | 'idle' | 'stalled' | 'half-sent' | 'slow-reader' | 'too-many'
export type CallerRefusedReason = 'none' | 'unknown' | 'expired' | 'revoked' | 'weak' | 'too-many'
export type DropReason = 'too-large' | 'queue-full' | 'log-refused'

/** Turns an alarm into an event of this instance; set once there is an intake to take it. */
export type AlarmSink = (name: string, detail: string) => void

/** A peer that misbehaves must not fill the disk with lines: at most this many of a kind a minute, the rest is counted. */
const linesPerMinute = 20

export class InternalEvents {
  readonly tally = new Tally()
  readonly metrics: Metrics
  private gauges: Gauges = {}
  private sink: AlarmSink | undefined
  private readonly limit: RateLimit
  private readonly alarms = new RecentAlarms()

  constructor(
    readonly log: Logger,
    private readonly monotonicMs: () => number,
    metrics: (tally: Tally, gauges: () => Gauges) => Metrics,
  ) {
    this.metrics = metrics(this.tally, () => this.gauges)
    this.limit = new RateLimit(linesPerMinute, 60_000, monotonicMs)
  }

  /** Names the live values of whoever runs now; a stopped server takes them back with `{}`. */
  observe(gauges: Gauges): void {
    this.gauges = gauges
  }

  /** Where alarms become events. */
  alarmsTo(sink: AlarmSink | undefined): void {
    this.sink = sink
  }

  /** An alarm is three things at once: an event (host = the instance, service `ricci …`), a log line and a metric. */
  alarm(name: string, detail: string): void {
    this.metrics.alarms.inc({ name })
    this.alarms.note(name, detail, this.monotonicMs())
    this.log.error({ alarm: name }, detail)
    this.sink?.(name, detail)
  }

  /** Alarms of the last hour, the latest first. */
  recentAlarms(): readonly RecentAlarm[] {
    return this.alarms.told(this.monotonicMs())
  }

  malformed(transport: keyof typeof refusals, peer: string, why: string): void {
    this.metrics.malformed.inc({ transport })
    this.limited(`malformed-${transport}`, (more) => {
      this.log.warn({ peer, ...more }, `${refusals[transport]}: ${why}`)
    })
  }

  connectionClosed(reason: CloseReason, peer: string, why: string): void {
    this.metrics.closed.inc({ reason })
    if (reason === 'malformed') return // `malformed` has said so already
    this.limited(`closed-${reason}`, (more) => this.log.warn({ peer, ...more }, `closed a connection: ${why}`))
  }

  /** Somebody who is not one of the cluster, or does not speak as one, connected where its servers talk to each other. */
  peerRefused(reason: RefusedReason, peer: string | undefined, why: string): void {
    this.metrics.peersRefused.inc({ reason })
    if (reason === 'left') return // as those do who look whether a port is open
    this.limited(`peer-${reason}`, (more) =>
      this.log.warn({ peer, ...more }, `refused a connection from ${peer ?? 'somebody who is gone'}: ${why}`),
    )
  }

  /** Somebody asked over HTTP without a token, with a wrong one or with one of a role that does not reach. */
  callerRefused(reason: CallerRefusedReason, peer: string, why: string): void {
    this.metrics.callersRefused.inc({ reason })
    this.limited(`caller-${reason}`, (more) => this.log.warn({ peer, ...more }, `refused a caller over HTTP: ${why}`))
  }

  /** An entry of the audit could not be written: it stands in the log instead. */
  auditFailed(entry: object, error: Error): void {
    this.metrics.auditFailures.inc()
    this.log.error({ entry, err: error }, 'an entry of the audit could not be written; this line has it')
  }

  dropped(reason: DropReason, why: string): void {
    this.metrics.dropped.inc({ reason })
    this.limited(`dropped-${reason}`, (more) =>
      this.log.warn(more, `dropped what came without a way to answer: ${why}`),
    )
  }

  appendFailed(code: string, error: Error): void {
    this.metrics.appendFailures.inc({ code })
    this.limited(`append-${code}`, (more) => this.log.error({ code, ...more }, error.message))
  }

  notEvaluated(): void {
    this.metrics.notEvaluated.inc()
    this.limited('not-evaluated', (more) =>
      this.log.warn(more, 'a query was given up: the engine had not applied the log within 5 s'),
    )
  }

  engineReplaced(reason: string, detail: string): void {
    this.metrics.engineRestarts.inc({ reason })
    this.log.error({ reason }, detail)
  }

  ruleError(path: string, text: string): void {
    this.metrics.ruleErrors.inc()
    this.limited(`rule-${path}`, (more) => this.log.error({ operator: path, ...more }, `a rule threw: ${text}`))
  }

  rulesSwitched(hash: string, report: RulesReport): void {
    const { kept, fresh, dropped } = report
    this.metrics.rulesSwitches.inc()
    this.log.info(
      { hash: hash.slice(0, 12), kept, fresh, dropped },
      `the rules were switched: ${describeSwitch(report)}`,
    )
  }

  pageDecided(page: ToldPage): void {
    this.metrics.decided.inc({ action: page.action })
    this.log.info({ rule: page.rule, receiver: page.receiver }, `page decided: ${page.action} ${page.summary}`)
  }

  sent(receiver: string, { kind, detail }: SendResult): void {
    this.metrics.requests.inc({ receiver, result: kind })
    if (kind === 'delivered') return
    this.limited(`sent-${receiver}`, (more) => {
      this.log.warn({ receiver, result: kind, ...more }, `a page ${undelivered[kind]}: ${detail}`)
    })
  }

  pageSettled(page: ToldPage, result: string): void {
    this.metrics.settled.inc({ result })
    const text = `page ${result}: ${page.action} ${page.summary}`
    if (result === 'delivered' || result === 'overtaken') this.log.debug({ receiver: page.receiver }, text)
    else this.log.error({ receiver: page.receiver }, text)
  }

  logEvent(event: LogEvent): void {
    const text = describeLogEvent(event)
    if (isAlarm(event)) this.alarm(`log ${event.kind}`, text)
    else this.log.info(text)
  }

  /** @param alone whether nobody else could own what it does */
  replicaState(partition: number, from: string, to: string, why: string, alone: boolean): void {
    this.metrics.replicaStates.inc({ state: to })
    const where = { partition, from, to }
    // who owns is what is looked for in the night; the rest is how it came to it
    if (!alone && to === 'owning') this.log.info(where, `owns partition ${partition}: ${why}`)
    else if (!alone && from === 'owning') this.log.info(where, `owns partition ${partition} no more: ${why}`)
    else this.log.debug(where, `replica: ${why}`)
  }

  private limited(kind: string, write: (more: { suppressed?: number }) => void): void {
    const suppressed = this.limit.pass(kind)
    if (suppressed >= 0) write(suppressed > 0 ? { suppressed } : {})
  }
}
