/** What lies in the virtual host: names and declarations, the same from every instance, so that each may make them and none changes them. */
import type { AMQPChannel } from '@cloudamqp/amqp-client'

/** What can be chosen when a log is made, and not changed later. */
export interface Topology {
  /** Streams, fixed for the life of the log. */
  readonly partitions: number
  /** What is older may go, in ms; by whole segments. */
  readonly maxAgeMs: number
  /** What is more may go, for each partition; by whole segments. */
  readonly maxBytes: number
  readonly segmentBytes: number
  /** Replicas of each stream; a cluster of fewer brokers makes fewer. */
  readonly replicas: number
}

/** DESIGN section 6; segments as the reference measured them. */
export const defaultTopology: Topology = {
  partitions: 32,
  maxAgeMs: 24 * 3_600_000,
  maxBytes: 20_000_000_000,
  segmentBytes: 50_000_000,
  replicas: 3,
}

/** The exchange by which records reach their partition; the routing key is its number. */
export const logExchange = 'ricci.log'

/** A stream of one record: who the log is. */
export const identityStream = 'ricci.id'

/** The stream of a partition. */
export function streamOf(partition: number): string {
  return `ricci.p${String(partition).padStart(2, '0')}`
}

/** Declares the exchange and every stream. Declaring again what is there changes nothing; what is there otherwise is refused (406). */
export async function declareLog(channel: AMQPChannel, topology: Topology): Promise<void> {
  await channel.exchangeDeclare(logExchange, 'direct', { durable: true, autoDelete: false })
  await channel.queueDeclare(identityStream, { durable: true, autoDelete: false }, stream(topology))
  await channel.queueBind(identityStream, logExchange, identityStream)
  for (let partition = 0; partition < topology.partitions; partition++) {
    await declarePartition(channel, partition, topology)
  }
}

/** Declares one partition's stream, and the way to it. */
export async function declarePartition(channel: AMQPChannel, partition: number, topology: Topology): Promise<void> {
  const limits = {
    'x-max-age': `${Math.ceil(topology.maxAgeMs / 1000)}s`,
    'x-max-length-bytes': topology.maxBytes,
    'x-stream-max-segment-size-bytes': topology.segmentBytes,
  }
  const name = streamOf(partition)
  await channel.queueDeclare(name, { durable: true, autoDelete: false }, { ...stream(topology), ...limits })
  await channel.queueBind(name, logExchange, String(partition))
}

function stream({ replicas }: Topology): Record<string, string | number> {
  return { 'x-queue-type': 'stream', 'x-initial-cluster-size': replicas, 'x-queue-leader-locator': 'least-leaders' }
}
