/** Who a log is: a random id and the number of its partitions, in the first record of a stream that never loses one. */
import { ReplicaError, type Clock } from '@ricci/replica'
import type { Brokers } from './brokers.ts'
import { answered, type BrokerConnection } from './connection.ts'
import { StreamConsumer, type Delivered } from './consumer.ts'
import { emptyMs } from './limits.ts'
import { declareLog, identityStream, logExchange, type Topology } from './topology.ts'

interface Identity {
  readonly id: string
  readonly partitions: number
}

/** Between two looks at a stream that shows nothing. */
const lookMs = 20

/**
 * Makes the log where there is none; gives its id. Of those who make it at once, the first in the stream's order decides.
 * @throws ReplicaError `LOG_FAILED` where it is another log than was asked for; `LOG_UNAVAILABLE`
 */
export async function claimIdentity(
  toPublish: Brokers,
  toRead: Brokers,
  topology: Topology,
  clock: Clock,
  randomBytes: (count: number) => Uint8Array,
): Promise<string> {
  const { connection } = await toPublish.connect(0)
  await declare(connection, topology)
  const reading = await toRead.connect(0)
  const consumer = await StreamConsumer.open(reading.connection, identityStream, 'first', 1)
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
    await declareLog(channel, topology)
    await channel.close()
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

/** The first record of a stream, or undefined where it holds none. */
export async function firstOf(consumer: StreamConsumer, clock: Clock): Promise<Delivered | undefined> {
  const sinceMs = clock.monotonicMs()
  for (;;) {
    const count = await consumer.roundTrip()
    const [record] = consumer.taken()
    if (record !== undefined) return record
    if (count === 0 && clock.monotonicMs() - sinceMs > emptyMs) return undefined
    await new Promise<void>((resolve) => clock.setTimer(lookMs, resolve))
  }
}

function checked(bytes: Uint8Array, { partitions }: Topology): string {
  const found = JSON.parse(new TextDecoder().decode(bytes)) as Identity
  if (found.partitions === partitions) return found.id
  const why = `the log on these brokers has ${found.partitions} partitions, not ${partitions}: their number is fixed when a log is made. Set it to ${found.partitions}, or use another virtual host`
  throw new ReplicaError('LOG_FAILED', why, false)
}
