/** Who a log is: a random id and the number of its partitions, in the first record of a stream that never loses one. */
import { ReplicaError, type Clock } from '@ricci/replica'
import type { Brokers } from './brokers.ts'
import { answered, unavailable, type BrokerConnection } from './connection.ts'
import { StreamConsumer, type Delivered } from './consumer.ts'
import { answerMs, declareMs, emptyMs, identityTries } from './limits.ts'
import { declareLog, identityStream, logExchange, type Topology } from './topology.ts'

interface Identity {
  readonly id: string
  readonly partitions: number
}

/** Between two looks at a stream that shows nothing. */
const lookMs = 20

/**
 * What a broker says of a queue or stream that it knows and cannot use: measured, the stream of the id stayed so after brokers had been killed one after
 * another, while those of all partitions were well.
 */
const isDown = /home node '.*' of durable queue 'ricci\.id' .*is down or inaccessible/

/**
 * Makes the log where there is none; gives its id. Of those who make it at once, the first in the stream's order decides.
 * @param knownId what it was found to be before: it counts where its stream is there and cannot be read
 * @throws ReplicaError `LOG_FAILED` where it is another log than was asked for; `LOG_UNAVAILABLE`
 */
export async function claimIdentity(
  toPublish: Brokers,
  toRead: Brokers,
  topology: Topology,
  clock: Clock,
  randomBytes: (count: number) => Uint8Array,
  knownId?: string,
): Promise<string> {
  for (let tries = 1, from = 0; ; tries++) {
    const { broker, connection } = await toPublish.connect(from)
    const reading = await toRead.connect(from)
    try {
      return await claimAt(connection, reading.connection, topology, clock, randomBytes)
    } catch (error) {
      // one that takes a connection may answer nothing else: it was frozen, or is cut off
      const isLast = !(error instanceof ReplicaError) || !error.retriable || tries === identityTries
      if (isLast && knownId !== undefined && isDown.test((error as Error).message)) return knownId
      if (isLast) throw error
      from = broker + 1
    }
  }
}

async function claimAt(
  connection: BrokerConnection,
  reading: BrokerConnection,
  topology: Topology,
  clock: Clock,
  randomBytes: (count: number) => Uint8Array,
): Promise<string> {
  await declare(connection, topology)
  const consumer = await StreamConsumer.open(reading, identityStream, 'first', 1)
  try {
    let found = await firstOf(consumer, clock)
    if (found === undefined) {
      const id = Buffer.from(randomBytes(16)).toString('hex')
      const mine: Identity = { id, partitions: topology.partitions }
      await connection.ask(() => announce(connection, mine), 'has not taken the id of the log')
      const [record] = await answered(clock, consumer.next(), 'the id of the log was not read back')
      found = record
    }
    return checked(found.bytes, topology)
  } finally {
    consumer.end()
  }
}

async function declare(connection: BrokerConnection, topology: Topology): Promise<void> {
  const channel = await connection.channel()
  try {
    await declareLog(channel, topology, (step) => connection.ask(step, 'does not declare the log', declareMs))
    await connection.ask(() => channel.close(), 'does not close a channel')
  } catch (error) {
    const said = (error as Error).message
    if (!/PRECONDITION_FAILED|inequivalent/.test(said)) throw new ReplicaError('LOG_UNAVAILABLE', said, true)
    const why = `the log on these brokers was made with other settings: ${said}. Use the settings it was made with, or another virtual host`
    throw new ReplicaError('LOG_FAILED', why, false)
  }
}

async function announce(connection: BrokerConnection, identity: Identity): Promise<void> {
  const channel = await connection.channel()
  await channel.confirmSelect()
  const record = new TextEncoder().encode(JSON.stringify(identity))
  await channel.basicPublish(logExchange, identityStream, record, { deliveryMode: 2 }, true)
  await channel.close()
}

/** The first record of a stream, or undefined where it holds none. @throws ReplicaError `LOG_UNAVAILABLE` where it does not come */
export async function firstOf(consumer: StreamConsumer, clock: Clock): Promise<Delivered | undefined> {
  const sinceMs = clock.monotonicMs()
  for (;;) {
    const count = await consumer.roundTrip()
    const [record] = consumer.taken()
    if (record !== undefined) return record
    const tookMs = clock.monotonicMs() - sinceMs
    if (count === 0 && tookMs > emptyMs) return undefined
    if (tookMs > emptyMs + answerMs) throw unavailable(new Error('its first record does not come'), consumer.stream)
    await new Promise<void>((resolve) => clock.setTimer(lookMs, resolve))
  }
}

function checked(bytes: Uint8Array, { partitions }: Topology): string {
  const found = JSON.parse(new TextDecoder().decode(bytes)) as Identity
  if (found.partitions === partitions) return found.id
  const why = `the log on these brokers has ${found.partitions} partitions, not ${partitions}: their number is fixed when a log is made. Set it to ${found.partitions}, or use another virtual host`
  throw new ReplicaError('LOG_FAILED', why, false)
}
