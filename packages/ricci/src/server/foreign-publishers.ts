/**
 * What a server of a cluster does for publishers that are not Ricci: it empties the inboxes that they write to, proves their way in once a
 * second, and watches that retention leaves what restores need.
 */
import { defaultLimits } from '@ricci/client'
import { partitionOf, type Clock, type SnapshotPort } from '@ricci/replica'
import { headWith, oneProducer, Recorder } from '../intake/recorder.ts'
import { Canary } from '../log/rabbitmq/canary.ts'
import { EventsSender } from '../log/rabbitmq/events-sender.ts'
import { Inboxes } from '../log/rabbitmq/inbox.ts'
import type { RabbitLog, RabbitLogOptions } from '../log/rabbitmq/rabbit-log.ts'
import { RetentionWatch } from '../log/rabbitmq/retention-watch.ts'
import { defaultTopology } from '../log/rabbitmq/topology.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'

export interface ForeignPublishersOptions {
  readonly log: RabbitLog
  /** How the log was opened. */
  readonly rabbit: RabbitLogOptions
  /** Names of producers of this instance begin with it. */
  readonly instance: string
  /** What tells this start of the instance from others; see `nextIncarnation`. */
  readonly identity: string
  readonly incarnation: number
  readonly maxFrameBytes: number
  /** This instance's own. */
  readonly snapshots: SnapshotPort
  /** Partitions that this instance runs, and of these the ones that it owns. */
  readonly runs: () => readonly number[]
  readonly owns: () => readonly number[]
  readonly clock: Clock
  readonly telemetry: Telemetry
}

export class ForeignPublishers {
  private readonly inboxes: Inboxes
  private readonly sender: EventsSender
  private readonly canary: Canary
  private readonly retention: RetentionWatch

  constructor(options: ForeignPublishersOptions) {
    const { log, rabbit, instance, identity, incarnation, maxFrameBytes, snapshots, clock, telemetry } = options
    const { urls, tls, name } = rabbit
    const topology = { ...defaultTopology, ...rabbit.topology }
    const route = (key: string): number => partitionOf(key, log.partitions)
    const warn = (what: string): void => telemetry.log.warn(`inboxes: ${what}`)
    // sequences of their own: what waits here while the log refuses it must not be taken for lost
    const recorders = Array.from(
      { length: log.partitions },
      () => new Recorder(oneProducer(`${instance}/inbox-${identity}`, incarnation)),
    )
    this.inboxes = new Inboxes({
      ...{ urls, tls, name, clock, topology, route },
      head: (partition, marked) => (marked ? headWith(clock.wallMs()) : recorders[partition].head(clock.wallMs())),
      append: (partition, records) => log.publish(partition, records),
      limits: { ...defaultLimits, maxFrameBytes },
      onRefused: (why) => telemetry.malformed('amqp', 'an inbox', why),
      onTrouble: warn,
    })
    this.sender = new EventsSender({ urls, tls, name: `${name} proves the way in`, clock, topology })
    this.canary = new Canary({
      producer: `${instance}/canary-${identity}`,
      ...{ clock, route, partitions: options.owns },
      send: (key, msg) => this.sender.send(key, msg),
      watch: (partition, listener) => log.watch(partition, listener),
      onAlarm: (detail) => telemetry.alarm('event-path', detail),
    })
    this.retention = new RetentionWatch({
      ...{ clock, partitions: options.runs },
      beginnings: (partition) => log.beginnings(partition),
      end: (partition) => log.end(partition),
      needed: async (partition) => {
        const offsets = (await snapshots.list(partition)).map(({ offset }) => offset)
        return offsets.length === 0 ? undefined : Math.min(...offsets) + 1
      },
      onAlarm: (detail) => telemetry.alarm('retention-margin', detail),
    })
  }

  start(): void {
    this.inboxes.start()
    this.canary.start()
    this.retention.start()
  }

  /** Why the way in of others is not to be trusted; undefined while it is. */
  get trouble(): string | undefined {
    return this.canary.trouble
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.canary.stop()
    await Promise.all([this.inboxes.stop(), this.retention.stop(), this.sender.close()])
  }
}
