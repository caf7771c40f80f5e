/**
 * The log as it lies in RabbitMQ, read by nobody's code but this: every broker's copy of a partition's stream from its first record on, compared with one
 * another.
 */
import { crc32 } from 'node:zlib'
import type { AMQPMessage } from '@cloudamqp/amqp-client'
import type { StoredRecord } from '@ricci/replica'
import type { RabbitCluster } from '../../servers/rabbitmq.ts'
import { pause } from '../../servers/wait.ts'
import { PlainClient } from '../../servers/plain-client.ts'

/** Records under way to the reader; each quarter of them is acknowledged. */
const credit = 200
/** A copy from which nothing has come for so long has been read to its end. */
const quietMs = 1_500
/** Copies that differ in length are read again: a broker that was away may still be catching up. */
const attempts = 8

/** What the brokers hold of a partition. */
export interface Copies {
  readonly records: readonly StoredRecord[]
  /** Brokers that were read from. */
  readonly brokers: number
  /** What they differ in, and brokers that cannot be read from. */
  readonly wrong: readonly string[]
}

/** Where a record stands, and its bytes' CRC-32. */
type Place = Omit<StoredRecord, 'bytes'>

/** The stream of a partition. */
const streamOf = (partition: number): string => `ricci.p${String(partition).padStart(2, '0')}`

/** Reads a partition at every broker. Nobody may be writing any more. */
export async function readCopies(rabbit: RabbitCluster, vhost: string, partition: number): Promise<Copies> {
  const stream = streamOf(partition)
  const wrong: string[] = []
  let records: readonly StoredRecord[] | undefined
  let brokers = 0
  for (const [broker, { node }] of rabbit.brokers.entries()) {
    let why = ''
    for (let attempt = 1; attempt <= attempts; attempt++) {
      try {
        const copy = await readStream(rabbit.url(broker, vhost), stream)
        records ??= copy
        why = difference(copy, records) ?? ''
        if (why !== '' && copy.length > records.length) records = copy
      } catch (error) {
        why = `cannot be read: ${(error as Error).message}`
      }
      if (why === '') break
      await pause()
    }
    if (why === '') brokers++
    else wrong.push(`${stream} at ${node}: ${why}`)
  }
  return { records: withHoles(records ?? []), brokers, wrong }
}

/** Which id the log has, by its own first record. */
export async function readLogId(rabbit: RabbitCluster, vhost: string): Promise<string> {
  const [first] = await readStream(rabbit.url(0, vhost), 'ricci.id')
  return (JSON.parse(new TextDecoder().decode(first.bytes)) as { id: string }).id
}

/** What a copy has other than another, in words. */
export function difference(copy: readonly Place[], other: readonly Place[]): string | undefined {
  for (const [at, { offset, checksum }] of copy.entries()) {
    if (at === other.length) break
    if (offset !== other[at].offset || checksum !== other[at].checksum)
      return `its offset ${offset} is another record than offset ${other[at].offset} of another copy`
  }
  const [ours, theirs] = [copy, other].map((of) => of.at(-1)?.offset ?? -1)
  return ours === theirs ? undefined : `it ends at offset ${ours}, another copy at ${theirs}`
}

/** With an empty record for each offset that a stream used for itself: no copy has it. */
export function withHoles(records: readonly StoredRecord[]): StoredRecord[] {
  const whole: StoredRecord[] = []
  for (const record of records) {
    while (whole.length < record.offset) whole.push({ offset: whole.length, bytes: new Uint8Array(0), checksum: 0 })
    whole.push(record)
  }
  return whole
}

/** One broker's copy, to its end. */
async function readStream(url: string, stream: string): Promise<StoredRecord[]> {
  const client = new PlainClient(url)
  const records: StoredRecord[] = []
  await client.connect()
  try {
    const channel = await client.channel()
    await channel.basicQos(credit)
    await new Promise<void>((done, failed) => {
      let timer = setTimeout(done, quietMs)
      let unacked = 0
      const take = (message: AMQPMessage): void => {
        clearTimeout(timer)
        timer = setTimeout(done, quietMs)
        const bytes = ((message.body as Uint8Array | null) ?? new Uint8Array(0)).slice()
        const offset = Number(message.properties.headers?.['x-stream-offset'])
        records.push({ offset, bytes, checksum: crc32(bytes) })
        if (++unacked < credit / 4) return
        unacked = 0
        channel.basicAck(message.deliveryTag, true).catch(failed)
      }
      const args = { 'x-stream-offset': 'first' }
      channel.basicConsume(stream, { noAck: false, args }, take).then(
        (consumer) => consumer.wait().then(() => failed(new Error('the broker ended the reading')), failed),
        (error: Error) => {
          clearTimeout(timer)
          failed(error)
        },
      )
    })
    return records
  } finally {
    await client.close().catch(() => undefined)
  }
}
