import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { AMQPClient } from '@cloudamqp/amqp-client'
import { partitionOf, SteadyReader, type StoredRecord } from '@ricci/replica'
import { logConformance, RabbitCluster, without } from '@ricci/testkit'
import { nodeClock } from '../../server/node-clock.ts'
import { RabbitLog, type RabbitLogOptions } from './rabbit-log.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = ({ bytes }: StoredRecord): string => new TextDecoder().decode(bytes)

describe('RabbitLog', { skip: without('rabbitmq', 'erlang', 'openssl') }, () => {
  let rabbit: RabbitCluster
  let vhosts = 0
  before(async () => {
    rabbit = await RabbitCluster.start({ tls: true })
  })
  after(() => rabbit.stop())

  /** Settings of a log that nothing was written to yet. */
  const settings = async (more: Partial<RabbitLogOptions> = {}): Promise<RabbitLogOptions> => {
    const vhost = `log-${vhosts++}`
    await rabbit.vhost(vhost)
    const topology = { partitions: 2, ...more.topology }
    // a busy machine is no stall
    return { urls: rabbit.urls(vhost), name: 'test', clock: nodeClock, confirmMs: 20_000, ...more, topology }
  }

  logConformance('a log on RabbitMQ', async () => {
    // small enough that retention has something to take: by whole segments, when one is full
    const own = await settings({ topology: { partitions: 2, maxBytes: 2_000_000, segmentBytes: 500_000 } })
    return {
      open: () => RabbitLog.open(own),
      turn: () => new Promise((resolve) => nodeClock.setTimer(1, resolve)),
      trim: async (log) => {
        const record = new Uint8Array(10_000)
        for (let round = 0; round < 500 && (await log.range(0)).first === 0; round += 50) {
          await Promise.all(Array.from({ length: 50 }, () => log.append(0, [record])))
        }
        // with room in the segment: the first record of one stands an offset further than the log ended
        const { length } = await log.append(0, Array(3).fill(record))
        assert.equal(length, 3)
      },
    }
  })

  it('an offset that the stream used for itself is an empty record to a steady reader', async () => {
    const own = await settings({ topology: { partitions: 1, segmentBytes: 500_000 } })
    const log = await RabbitLog.open(own)
    const offsets = await log.append(0, Array(120).fill(new Uint8Array(10_000)))
    const hole = offsets.findIndex((offset, index) => offset !== index)
    assert.ok(hole > 0, 'segments begin with no offset of their own')
    const sizes: number[] = []
    await new Promise<void>((resolve, reject) => {
      const onRecords = (records: readonly StoredRecord[]): void => {
        sizes.push(...records.map(({ bytes }) => bytes.length))
        if (sizes.length > offsets[offsets.length - 1]) resolve()
      }
      const reader = new SteadyReader({ log, partition: 0, clock: nodeClock, from: 0, onRecords, onFailure: reject })
      void log.range(0).then(({ end }) => assert.equal(end, offsets[119] + 1))
      after(() => reader.stop())
    })
    assert.equal(sizes.filter((size) => size === 10_000).length, 120)
    assert.deepEqual(sizes.flatMap((size, offset) => (size === 0 ? [offset] : []))[0], hole)
    // and where reading begins at it
    const [first] = await takeFrom(log, 0, hole, 1)
    assert.deepEqual([first.offset, first.bytes.length], [hole, 0])
    await log.close()
  })

  it('two brokers say where it begins', async () => {
    const own = await settings({ topology: { partitions: 1, maxBytes: 1_000_000, segmentBytes: 500_000 } })
    const log = await RabbitLog.open(own)
    const firsts = async () => (await log.beginnings(0)).map(({ first }) => first)
    assert.deepEqual(await firsts(), [0, 0])
    for (let round = 0; round < 6; round++) await log.append(0, Array(50).fill(new Uint8Array(10_000)))
    const [one, other] = await log.beginnings(0)
    assert.notEqual(one.broker, other.broker)
    assert.ok(one.first > 0)
    assert.equal(one.first, other.first)
    await log.close()
  })

  it('several that open it at once make one log', async () => {
    const own = await settings({ topology: { partitions: 3 } })
    const logs = await Promise.all(['a', 'b', 'c'].map((name) => RabbitLog.open({ ...own, name })))
    assert.equal(new Set(logs.map(({ id }) => id)).size, 1)
    await Promise.all(logs.map((log, index) => log.append(2, [bytes(`${index}`)])))
    assert.deepEqual(await Promise.all(logs.map((log) => log.range(2))), Array(3).fill({ first: 0, end: 3 }))
    await Promise.all(logs.map((log) => log.close()))
  })

  it('refuses to be another log than the one that is there', async () => {
    const own = await settings()
    await (await RabbitLog.open(own)).close()
    const other = (topology: object) => RabbitLog.open({ ...own, topology: { ...own.topology, ...topology } })
    await assert.rejects(other({ partitions: 4 }), {
      code: 'LOG_FAILED',
      retriable: false,
      message: /has 2 partitions, not 4/,
    })
    await assert.rejects(other({ maxBytes: 1_000_000 }), {
      code: 'LOG_FAILED',
      retriable: false,
      message: /x-max-length-bytes/,
    })
  })

  it('says in one sentence what each broker said when none can be used', async () => {
    const own = await settings()
    const urls = own.urls.map((url) => url.replace('guest:guest', 'guest:guess'))
    await assert.rejects(RabbitLog.open({ ...own, urls }), {
      code: 'LOG_UNAVAILABLE',
      message: /no broker can be used: .*ACCESS_REFUSED/,
    })
    await assert.rejects(RabbitLog.open({ ...own, urls: ['amqp://127.0.0.1:1/none'] }), {
      code: 'LOG_UNAVAILABLE',
      message: /ECONNREFUSED/,
    })
  })

  it('takes records of others by their confirm alone, and begins at a broker that is there', async () => {
    const own = await settings()
    const log = await RabbitLog.open({ ...own, urls: ['amqp://127.0.0.1:1/none', ...own.urls] })
    await log.publish(1, [bytes('a'), bytes('b')])
    const seen = await take(log, 1, 2)
    // the first confirms after a silence are not believed: what was sent is sent once more, and dropped by its mark
    assert.deepEqual([...new Set(seen.map(text))], ['a', 'b'])
    assert.equal(log.unsettledBytes, 0)
    await log.close()
  })

  it('tells intake the offsets in a partition that is followed here, and reads no other for it', async () => {
    const own = await settings()
    const log = await RabbitLog.open(own)
    const intake = (partition: number, ...records: readonly string[]) =>
      log.appendAllParts(
        partition,
        records.map(() => bytes('head ')),
        records.map(bytes),
      )
    const release = log.follow(0)
    assert.deepEqual(await Promise.all([intake(0, 'a', 'b'), intake(0, 'c')]), [[0, 1], [2]])
    assert.deepEqual(await Promise.all([intake(1, 'a', 'b'), intake(1, 'c')]), [undefined, undefined])
    assert.deepEqual([log.end(0), log.end(1)], [3, 0])
    // a replica's own record is read back, and does not make a reader of intake; what comes after it stays after it
    const [[offset], ...others] = await Promise.all([log.append(1, [bytes('d')]), intake(1, 'e'), intake(1, 'f')])
    assert.ok(offset >= 3)
    assert.deepEqual(others, [undefined, undefined])
    const seen = (await take(log, 1, offset + 3)).map(text)
    assert.deepEqual([...new Set(seen)], ['head a', 'head b', 'head c', 'd', 'head e', 'head f'])
    release()
    assert.equal(await intake(0, 'd'), undefined)
    assert.equal(log.unsettledBytes, 0)
    await log.close()
  })

  it('needs no more rights than its own names, and speaks TLS', async () => {
    const own = await settings()
    const vhost = decodeURIComponent(new URL(own.urls[0]).pathname.slice(1))
    const user = { name: 'instance', password: 'a secret/with@signs' }
    const names = String.raw`^ricci\.`
    await rabbit.user(user, vhost, { configure: names, write: names, read: names })
    const urls = [0, 1, 2].map((broker) => rabbit.url(broker, vhost, user, 'amqps'))
    await assert.rejects(RabbitLog.open({ ...own, urls }), { code: 'LOG_UNAVAILABLE', message: /certificate/ })
    const log = await RabbitLog.open({ ...own, urls, tls: { ca: rabbit.authority!.certificate } })
    assert.deepEqual(await log.append(0, [bytes('secret')]), [0])
    assert.deepEqual((await take(log, 0, 1)).map(text), ['secret'])
    await log.close()
    // by a name: connected to is an address, the certificate is the name's
    const named = urls.map((url) => url.replace('127.0.0.1', 'localhost'))
    const resolver = {
      addresses: () => Promise.resolve(['127.0.0.1']),
      services: () => Promise.reject(new Error('none')),
    }
    const again = await RabbitLog.open({ ...own, urls: named, resolver, tls: { ca: rabbit.authority!.certificate } })
    assert.deepEqual(await again.append(0, [bytes('secret')]), [1])
    await again.close()
  })

  it('holds what it cannot send while brokers are short of memory, says which and why, and reads on', async () => {
    const own = await settings()
    let told = (_what: string): void => undefined
    const blocked = new Promise<void>((resolve) => {
      told = (what) => void (/^broker 127\.0\.0\.1:\d+ takes no records: .*memory/.test(what) && resolve())
    })
    const log = await RabbitLog.open({ ...own, confirmMs: undefined, onTrouble: (what) => told(what) })
    await log.append(0, [bytes('before')])
    await log.publish(1, [bytes('before')])
    await rabbit.alarm(2, true)
    const taken = [log.append(0, [bytes('meanwhile')]), log.publish(1, [bytes('meanwhile')])]
    await blocked
    assert.match(log.trouble!, /takes no records/)
    assert.deepEqual((await take(log, 0, 1)).map(text), ['before'])
    await rabbit.alarm(2, false)
    await Promise.all(taken)
    assert.equal(log.trouble, undefined)
    assert.equal((await take(log, 0, 2)).map(text)[1], 'meanwhile')
    await log.close()
  })

  it("partitionOf is the broker's own function", async () => {
    const own = await settings()
    const client = new AMQPClient(own.urls[0])
    await client.connect()
    const channel = await client.channel()
    const partitions = 16
    await channel.exchangeDeclare('hash', 'x-consistent-hash', { durable: true, autoDelete: false })
    const keys = Array.from(
      { length: 600 },
      (_, index) => `${'кластер-é'.slice(0, index % 9)}${'x'.repeat(index % 40)}${index}`,
    )
    const found = new Map<string, number>()
    let allFound = (): void => undefined
    const all = new Promise<void>((resolve) => (allFound = resolve))
    for (let partition = 0; partition < partitions; partition++) {
      await channel.queueDeclare(`q${partition}`, { durable: true, autoDelete: false })
      await channel.queueBind(`q${partition}`, 'hash', '1')
      await channel.basicConsume(`q${partition}`, { noAck: true }, ({ routingKey }) => {
        found.set(routingKey, partition)
        if (found.size === keys.length) allFound()
      })
    }
    await channel.confirmSelect()
    await Promise.all(keys.map((key) => channel.basicPublish('hash', key, 'x')))
    await all
    for (const key of keys) assert.equal(partitionOf(key, partitions), found.get(key), key)
    await client.close()
  })
})

/** So many records of a partition, from its first on. */
function take(log: RabbitLog, partition: number, count: number): Promise<StoredRecord[]> {
  return takeFrom(log, partition, 0, count)
}

async function takeFrom(log: RabbitLog, partition: number, from: number, count: number): Promise<StoredRecord[]> {
  const abort = new AbortController()
  const taken: StoredRecord[] = []
  for await (const batch of log.read(partition, from, abort.signal)) {
    taken.push(...batch)
    if (taken.length >= count) abort.abort()
  }
  return taken
}
