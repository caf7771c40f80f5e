/** Puts together how a server is, from its parts. */
import type { Clock } from '@ricci/replica'
import type { Readiness } from '../http/backend.ts'
import type { Intake } from '../intake/intake.ts'
import type { ReceiverHealth } from '../receivers/health.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Backends } from './backends.ts'
import type { Partitions } from './partitions.ts'
import type { ServerRules } from './server-rules.ts'
import type { Addresses, ServerStatus } from './status.ts'

/** What of a server its status is made of. */
export interface StatusParts {
  readonly backends: Pick<Backends, 'log' | 'place'>
  readonly running: Partitions
  readonly intake: Pick<Intake, 'connections' | 'queuedBytes' | 'lag'>
}

/** What of a server is there before its parts are. */
export interface StatusHead {
  readonly instance: string
  readonly version: string
  readonly startedMs: number
  readonly clock: Pick<Clock, 'monotonicMs' | 'wallMs'>
  readonly readiness: Readiness
  readonly listen: Addresses
  readonly rules: Pick<ServerRules, 'status'>
  readonly receivers: { health(): readonly ReceiverHealth[] }
  readonly telemetry: Telemetry
}

/** How a server is now; engines that do not answer soon are told of as they were. */
export async function statusOf({ backends, running, intake }: StatusParts, head: StatusHead): Promise<ServerStatus> {
  const { instance, version, readiness, listen, telemetry, clock } = head
  const partitions = running.all()
  const statuses = await Promise.all(partitions.map((partition) => partition.status()))
  const { tally, metrics } = telemetry
  return {
    instance,
    version,
    upMs: clock.monotonicMs() - head.startedMs,
    wallMs: clock.wallMs(),
    ...readiness,
    listen,
    log: { id: backends.log.id, place: backends.place, partitions: backends.log.partitions },
    partitions: statuses,
    rules: head.rules.status(partitions),
    intake: {
      connections: intake.connections,
      messages: tally.tcpMessages + tally.udpMessages,
      events: tally.tcpEvents + tally.udpEvents,
      queuedBytes: intake.queuedBytes,
      heldAcks: intake.lag.heldMessages,
      lagBytes: intake.lag.lagBytes,
      lagMs: intake.lag.lagMs,
    },
    receivers: head.receivers.health(),
    alarms: telemetry.recentAlarms(),
    dropped: await droppedOf(metrics),
  }
}

/** What was not taken in, by reason: of what could not be answered, and of what was no message. */
export async function droppedOf({
  dropped,
  malformed,
}: Pick<Metrics, 'dropped' | 'malformed'>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  const add = (reason: string, value: number): void => void (counts[reason] = (counts[reason] ?? 0) + value)
  for (const { labels, value } of (await dropped.get()).values) if (value > 0) add(String(labels.reason), value)
  for (const { value } of (await malformed.get()).values) if (value > 0) add('malformed', value)
  return counts
}
