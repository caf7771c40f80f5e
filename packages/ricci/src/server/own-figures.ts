/** Figures of a running server, for `/metrics` and for its own events. */
import type { EngineStats } from '@ricci/engine'
import type { Clock } from '@ricci/replica'
import type { Intake } from '../intake/intake.ts'
import type { Gauges } from '../telemetry/metrics.ts'
import type { ProcessWatch } from '../telemetry/process-watch.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Backends } from './backends.ts'
import { flowGauges } from './flow-gauges.ts'
import { operatorFigures } from './operator-figures.ts'
import type { Partitions } from './partitions.ts'
import type { SelfFigures } from './self-events.ts'
import { droppedOf } from './server-status.ts'

/** What is measured. */
export interface Measured {
  readonly backends: Pick<Backends, 'end'>
  readonly running: Partitions
  readonly intake: Pick<Intake, 'connections' | 'queuedBytes' | 'lag'>
  readonly http: { readonly connections: number }
  readonly process: ProcessWatch
  readonly clock: Pick<Clock, 'wallMs'>
}

/** Read when `/metrics` is asked. */
export function gaugesOf({ backends, running, intake, http, process, clock }: Measured): Gauges {
  const stats = (of: (stats: EngineStats) => number): number => sumOfStats(running, of)
  const skewMs = (): number =>
    Math.max(0, ...running.all().map(({ engine }) => Math.abs(engine.stats?.skews[0]?.aheadMs ?? 0)))
  return {
    ricci_intake_connections: () => intake.connections,
    ricci_http_connections: () => http.connections,
    ricci_intake_queued_bytes: () => intake.queuedBytes,
    ricci_intake_held_acks: () => intake.lag.heldMessages,
    ricci_log_end_offset: () => running.sum(({ number }) => backends.end(number)),
    ricci_engine_applied_offset: () => running.sum(({ engine }) => engine.appliedOffset),
    ricci_engine_lag_bytes: () => intake.lag.lagBytes,
    ricci_engine_lag_seconds: () => intake.lag.lagMs / 1000,
    ricci_engine_generation: () => running.sum(({ engine }) => engine.generation),
    ricci_engine_repeated_messages_total: () => stats(({ repeats }) => repeats),
    ricci_engine_timers_fired_total: () => stats(({ timersFired }) => timersFired),
    ricci_engine_refused_total: () => stats(refusedIn),
    ricci_engine_index_events: () => stats(({ indexSize }) => indexSize),
    ricci_engine_forks: () => stats(({ forks }) => forks),
    ricci_hosts_silent: () => stats(({ silent }) => silent.count),
    ricci_host_clock_skew_seconds: () => skewMs() / 1000,
    ricci_engine_columns_bytes: () => stats(({ bytes }) => bytes),
    ricci_pages_pending: () => running.sum(({ engine }) => engine.pagesPending),
    ricci_pages_oldest_seconds: () => oldestPageMs(running, clock.wallMs()) / 1000,
    ricci_replica_owning: () => running.sum(({ replica }) => (replica.state === 'owning' ? 1 : 0)),
    ...flowGauges(running),
    operators: () => operatorFigures(running.all().map(({ engine }) => engine.operators)),
    ricci_event_loop_delay_seconds: () => process.delaySeconds,
    ricci_gc_seconds_total: () => process.gcSeconds,
  }
}

/** What a server's own events tell; the delays of its loop are measured anew from then on. */
export async function figuresOf(
  { running, intake, process: watched, clock }: Measured,
  { tally, metrics }: Pick<Telemetry, 'tally' | 'metrics'>,
): Promise<SelfFigures> {
  await Promise.all(running.all().map(({ engine }) => engine.refresh()))
  const dropped = Object.values(await droppedOf(metrics)).reduce((sum, count) => sum + count, 0)
  const loopDelayMs = watched.delaySeconds * 1000
  watched.forget()
  return {
    tcpConnections: intake.connections,
    tcpEvents: tally.tcpEvents,
    udpEvents: tally.udpEvents,
    events: tally.tcpEvents + tally.udpEvents + tally.httpEvents + tally.graphiteEvents + tally.opentsdbEvents,
    applied: running.sum(({ engine }) => engine.appliedOffset + 1),
    indexSize: sumOfStats(running, ({ indexSize }) => indexSize),
    lagMs: intake.lag.lagMs,
    lagBytes: intake.lag.lagBytes,
    pagesPending: running.sum(({ engine }) => engine.pagesPending),
    oldestPageMs: oldestPageMs(running, clock.wallMs()),
    silentHosts: sumOfStats(running, ({ silent }) => silent.count),
    refused: sumOfStats(running, refusedIn),
    dropped,
    ruleErrors: sumOfStats(running, ({ ruleErrors }) => ruleErrors),
    timers: sumOfStats(running, ({ timersFired }) => timersFired),
    loopDelayMs,
    gcMs: watched.gcSeconds * 1000,
    memoryBytes: process.memoryUsage.rss(),
  }
}

function sumOfStats(running: Partitions, of: (stats: EngineStats) => number): number {
  return running.sum(({ engine }) => (engine.stats === undefined ? 0 : of(engine.stats)))
}

function refusedIn({ refusedForks, refusedTexts }: EngineStats): number {
  return refusedForks + refusedTexts
}

/** How long the page waits that was decided first. */
function oldestPageMs(running: Partitions, nowMs: number): number {
  const decided = running.all().flatMap(({ engine }) => engine.oldestPageMs ?? [])
  return decided.length === 0 ? 0 : Math.max(0, nowMs - Math.min(...decided))
}
