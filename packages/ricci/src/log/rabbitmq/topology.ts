/** What lies in the virtual host: names and declarations, the same from every instance, so that each may make them and none changes them. */
import type { AMQPChannel } from '@cloudamqp/amqp-client'
import { deliveryLimit, inboxBytes, refusedBytes, refusedRecords } from './limits.ts'

/** What can be chosen when a log is made, and not changed later. */
export interface Topology {
  /** Streams, fixed for the life of the log. */
  readonly partitions: number
  /** What is older may go, in ms; by whole segments. */
  readonly maxAgeMs: number
  /** What is more may go, for each partition; by whole segments. */
  readonly maxBytes: number
  readonly segmentBytes: number
  /** Replicas of each stream and queue; a cluster of fewer brokers makes fewer. */
  readonly replicas: number
  /** Queues of what others publish: 3 to 8. More can be made later, fewer not, for those left over nobody would empty. */
  readonly inboxes: number
}

/** DESIGN section 6; segments as the reference measured them. */
export const defaultTopology: Topology = {
  partitions: 32,
  maxAgeMs: 24 * 3_600_000,
  maxBytes: 20_000_000_000,
  segmentBytes: 50_000_000,
  replicas: 3,
  inboxes: 3,
}

/** The exchange by which records reach their partition; the routing key is its number. */
export const logExchange = 'ricci.log'

/** A stream of one record: who the log is. */
export const identityStream = 'ricci.id'

/** Where those publish who are not Ricci: a Riemann Msg, with the id of its cluster as routing key. */
export const eventsExchange = 'ricci.events'

/** Takes what of that was no Msg, so that people can look at it: an exchange and its one queue. */
export const refusedName = 'ricci.refused'

/** A queue of what others publish. */
export function inboxOf(inbox: number): string {
  return `ricci.inbox.${inbox}`
}

/** The stream of a partition. */
export function streamOf(partition: number): string {
  return `ricci.p${String(partition).padStart(2, '0')}`
}

/**
 * Declares the exchange and every stream. Declaring again what is there changes nothing; what is there otherwise is refused (406).
 * @param within what bounds the time of each step: there are as many as partitions
 */
export async function declareLog(
  channel: AMQPChannel,
  topology: Topology,
  within: (step: () => Promise<void>) => Promise<void>,
): Promise<void> {
  await within(async () => {
    await channel.exchangeDeclare(logExchange, 'direct', { durable: true, autoDelete: false })
    await channel.queueDeclare(identityStream, { durable: true, autoDelete: false }, stream(topology))
    await channel.queueBind(identityStream, logExchange, identityStream)
  })
  for (let partition = 0; partition < topology.partitions; partition++) {
    await within(() => declarePartition(channel, partition, topology))
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

/**
 * Declares the way in for those who are not Ricci: the exchange that divides keys over inboxes, the inboxes, and what takes the refused.
 * Which key goes to which inbox changes whenever all brokers were down, and means nothing: who empties an inbox goes by the key.
 */
export async function declareInboxes(channel: AMQPChannel, topology: Topology): Promise<void> {
  const durable = { durable: true, autoDelete: false }
  await channel.exchangeDeclare(refusedName, 'fanout', durable)
  const refused = {
    ...quorum(topology),
    'x-max-length': refusedRecords,
    'x-max-length-bytes': refusedBytes,
    'x-overflow': 'drop-head',
  }
  await channel.queueDeclare(refusedName, durable, refused)
  await channel.queueBind(refusedName, refusedName, '')
  await channel.exchangeDeclare(eventsExchange, 'x-consistent-hash', durable)
  const inbox = {
    ...quorum(topology),
    // one instance at a time, so that the order of a key is kept; no fence: two may be given the same
    'x-single-active-consumer': true,
    'x-dead-letter-exchange': refusedName,
    'x-delivery-limit': deliveryLimit,
    'x-max-length-bytes': inboxBytes,
    // who publishes with confirms is told; nothing that was taken is dropped
    'x-overflow': 'reject-publish',
  }
  for (let index = 0; index < topology.inboxes; index++) {
    await channel.queueDeclare(inboxOf(index), durable, inbox)
    await channel.queueBind(inboxOf(index), eventsExchange, '1')
  }
}

function quorum({ replicas }: Topology): Record<string, string | number> {
  return {
    'x-queue-type': 'quorum',
    'x-quorum-initial-group-size': replicas,
    'x-queue-leader-locator': 'least-leaders',
  }
}

function stream({ replicas }: Topology): Record<string, string | number> {
  return { 'x-queue-type': 'stream', 'x-initial-cluster-size': replicas, 'x-queue-leader-locator': 'least-leaders' }
}
