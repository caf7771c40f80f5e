import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { afterEach, describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeMsg, defaultLimits, encodeMsg, readMark, type Event, type Msg } from '@ricci/client'
import { decodeRecord, type EventsRecord } from '@ricci/engine'
import { partitionOf, ReplicaError } from '@ricci/replica'
import { VirtualClock } from '@ricci/testkit'
import { nodeClock } from '../server/node-clock.ts'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import type { Appended, RecordLog } from './appender.ts'
import { Distributor, type DistributorOptions } from './distributor.ts'
import { Intake, type IntakeOptions } from './intake.ts'
import type { Progress } from './lag.ts'
import { RawClient, ScriptedLog } from './testing.ts'
import { oneProducer } from './recorder.ts'

const partitions = 4
const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

/** A host whose events go to a partition. */
function hostOf(partition: number): string {
  for (let i = 0; ; i++) if (partitionOf(`h${i}`, partitions) === partition) return `h${i}`
}

const hosts = Array.from({ length: partitions }, (_, partition) => hostOf(partition))
const eventOn = (partition: number, service: string): Event => ({ host: hosts[partition], service })
/** A Msg of one event on each of these partitions. */
const on = (service: string, ...where: readonly number[]): Msg => ({
  events: where.map((partition) => eventOn(partition, service)),
})

const recordOf = (bytes: Uint8Array): EventsRecord => decodeRecord(bytes) as EventsRecord
const msgOf = (bytes: Uint8Array): Msg => decodeMsg(recordOf(bytes).msg)
/** Services of the events that landed, by partition. */
const landed = (log: ScriptedLog): string[][] =>
  Array.from({ length: log.partitions }, (_, partition) =>
    log.recordsOf(partition).flatMap((record) => msgOf(record).events!.map(({ service }) => service!)),
  )

function distributorOver(log: RecordLog, more: Partial<DistributorOptions> = {}): Distributor {
  return new Distributor({
    log,
    progress: () => undefined,
    telemetry: new Telemetry(silentLogger(), () => 0),
    clock: nodeClock,
    markingAs: oneProducer('here', 7),
    limits: defaultLimits,
    onSettled: () => undefined,
    ...more,
  })
}

/** What an owner was told, in order. */
function listener() {
  const told: string[] = []
  const owner: Appended = {
    durable: () => void told.push('durable'),
    acknowledge: () => void told.push('acknowledge'),
    refused: ({ message }) => void told.push(message),
    groupEnd: () => void told.push('end'),
  }
  return { told, owner }
}

function add(distributor: Distributor, msg: Msg | Uint8Array, owner: Appended = listener().owner): void {
  const bytes = msg instanceof Uint8Array ? msg : encodeMsg(msg)
  distributor.inspect(bytes)
  distributor.add(bytes, owner)
}

const refusedForNow = new ReplicaError('LOG_UNAVAILABLE', 'no broker', true)
const refusedForGood = new ReplicaError('RECORD_TOO_LARGE', 'too large', false)

describe('Distributor', () => {
  it('brings every event into the partition of its key, in order, under marks without a hole', async () => {
    const key = fc.constantFrom('', 'a', 'b', 'c', 'web-1', 'größe')
    const anEvent = fc.record({ host: key, cluster: fc.option(key) })
    const aMsg = fc.record({ events: fc.array(anEvent, { minLength: 1, maxLength: 12 }), marked: fc.boolean() })
    const whereIs = ({ host, attributes }: Event): number => {
      const name = attributes?.cluster || host || ''
      return name === '' ? 0 : partitionOf(name, partitions)
    }
    await fc.assert(
      fc.asyncProperty(fc.array(aMsg, { minLength: 1, maxLength: 20 }), async (plain) => {
        const log = new ScriptedLog(partitions)
        const distributor = distributorOver(log)
        let count = 0
        let sequence = 0
        const msgs = plain.map(({ events, marked }): Msg => ({
          events: events.map(({ host, cluster }): Event => ({
            host,
            metric: count++,
            ...(cluster !== null && { attributes: { cluster } }),
          })),
          ...(marked && { mark: { producer: 'agent', incarnation: 3, sequence: ++sequence, sentAtMs: 5 } }),
        }))
        for (const msg of msgs) add(distributor, msg)
        await distributor.settledSoFar()
        for (let partition = 0; partition < partitions; partition++) {
          const found = log.recordsOf(partition).map((record) => msgOf(record))
          assert.deepEqual(
            found.flatMap(({ events }) => events!),
            msgs.flatMap(({ events }) => events!.filter((event) => whereIs(event) === partition)),
          )
          const marks = found.map(({ mark }) => mark!)
          const ours = marks.filter(({ producer }) => producer === 'here')
          assert.deepEqual(
            ours.map((mark) => [mark.incarnation, mark.sequence, mark.spread]),
            ours.map((_mark, i) => [7, i + 1, undefined]),
          )
          for (const mark of marks.filter(({ producer }) => producer === 'agent')) {
            const sent = msgs.find((msg) => msg.mark?.sequence === mark.sequence)!
            const isDivided = new Set(sent.events!.map(whereIs)).size > 1
            assert.deepEqual(mark, isDivided ? { ...sent.mark, spread: true } : sent.mark)
          }
        }
        assert.equal(distributor.queuedBytes, 0)
      }),
    )
  })

  it('hands on a Msg whose events are all of one partition as it is, whatever else is in it', async () => {
    for (const count of [1, partitions]) {
      const bodies: Uint8Array[] = []
      const log: RecordLog = {
        partitions: count,
        appendAllParts: async (_partition, _heads, parts) => void bodies.push(...parts),
      }
      const distributor = distributorOver(log)
      const msg = encodeMsg({ ...on('a', 2, 2), query: 'true', error: 'e' })
      add(distributor, msg)
      await distributor.settledSoFar()
      assert.equal(bodies.length, 1)
      assert.equal(bodies[0], msg)
    }
  })

  it('tells of a divided Msg once: durable with its last part, acknowledged when no engine lags', async () => {
    const log = new ScriptedLog(partitions)
    log.auto = false
    const distributor = distributorOver(log)
    const { told, owner } = listener()
    add(distributor, on('a', 0, 1, 3), owner)
    await log.group(3)
    log.land(3)
    log.land(0)
    await new Promise(setImmediate)
    assert.deepEqual(
      told.filter((word) => word !== 'end'),
      [],
    )
    const settled = distributor.settledSoFar().then(() => told.push('settled'))
    log.land(1)
    await settled
    assert.deepEqual(told.slice(told.indexOf('durable')), ['durable', 'acknowledge', 'end', 'settled'])
  })

  it('refuses a divided Msg once, if any part was refused, when all came to something', async () => {
    const log = new ScriptedLog(partitions)
    log.auto = false
    const distributor = distributorOver(log)
    const { told, owner } = listener()
    add(distributor, on('a', 0, 1, 2), owner)
    await log.group(3)
    log.refuse(refusedForGood, 0)
    log.refuse(refusedForNow, 2)
    await new Promise(setImmediate)
    assert.deepEqual(new Set(told), new Set(['end']))
    log.land(1)
    await distributor.settledSoFar()
    // sent again the rest of it is taken, and then it is told what is wrong with it for good
    assert.deepEqual(
      told.filter((word) => word !== 'end'),
      ['no broker'],
    )
    assert.equal(told.at(-1), 'end')
    assert.equal(distributor.queuedBytes, 0)
  })

  it('begins a new life of its marks in the partition that refused, and in no other', async () => {
    const log = new ScriptedLog(partitions)
    const distributor = distributorOver(log)
    const marks = (partition: number): (number | undefined)[][] =>
      log
        .recordsOf(partition)
        .map((record) => readMark(recordOf(record).msg)!)
        .map(({ incarnation, sequence }) => [incarnation, sequence])
    const round = async (): Promise<void> => {
      add(distributor, on('a', 1, 2))
      await distributor.settledSoFar()
    }
    await round()
    log.refusing.set(1, refusedForNow)
    await round()
    log.refusing.clear()
    await round()
    assert.deepEqual(marks(1), [
      [7, 1],
      [8, 1],
    ])
    assert.deepEqual(marks(2), [
      [7, 1],
      [7, 2],
      [7, 3],
    ])
  })

  it('begins a new life of its marks in a partition that it wrote nothing to for half a day', async () => {
    const log = new ScriptedLog(partitions)
    const clock = new VirtualClock()
    const distributor = distributorOver(log, { clock })
    const send = async (...where: readonly number[]): Promise<void> => {
      add(distributor, on('a', ...where))
      await distributor.settledSoFar()
    }
    const lives = (partition: number): number[] =>
      log.recordsOf(partition).map((record) => readMark(recordOf(record).msg)!.incarnation)
    await send(0, 1)
    await clock.advance(12 * 3_600_000)
    await send(0)
    await clock.advance(1)
    await send(0, 1)
    assert.deepEqual(
      [lives(0), lives(1)],
      [
        [7, 7, 7],
        [7, 8],
      ],
    )
  })

  it('holds acks back for the engines that it knows and that lag, for nothing else', async () => {
    const log = new ScriptedLog(partitions)
    const clock = new VirtualClock()
    const applied = [0, 0]
    const known = new Set([0, 1])
    const progress = (partition: number): Progress | undefined =>
      known.has(partition) ? { appliedOffset: () => applied[partition], ownerTicking: () => true } : undefined
    const distributor = distributorOver(log, { clock, progress })
    const send = async (...where: readonly number[]): Promise<string[]> => {
      const { told, owner } = listener()
      add(distributor, on('a', ...where), owner)
      await distributor.settledSoFar()
      return told
    }
    log.unread.add(1)
    await send(0, 1, 2)
    assert.equal(distributor.lagBytes, 0, 'offset 0 is applied')
    await send(0)
    await clock.advance(5_001)
    assert.equal(distributor.lagMs, 5_001)
    const held = await send(0, 1, 2)
    const free = await send(1, 2)
    assert.deepEqual([held.includes('durable'), held.includes('acknowledge')], [true, false])
    assert.ok(free.includes('acknowledge'), 'an engine that is elsewhere, or an offset that is not told, holds nothing')
    assert.equal(distributor.heldMessages, 1)
    const alsoHeld = await send(0)
    log.refusing.set(3, refusedForNow)
    log.auto = false
    const refused = send(0, 3)
    await log.group()
    await new Promise(setImmediate)
    log.land()
    assert.deepEqual((await refused).slice(-2), ['no broker', 'end'], 'a refusal waits for no engine')
    log.auto = true
    applied[0] = 3
    await clock.advance(100)
    assert.ok(held.includes('acknowledge') && alsoHeld.includes('acknowledge'))

    await clock.advance(5_000)
    const left = await send(0)
    assert.ok(!left.includes('acknowledge'))
    known.delete(0)
    await clock.advance(100)
    assert.ok(left.includes('acknowledge'), 'the engine moved elsewhere')
    assert.deepEqual([distributor.lagBytes, distributor.lagMs, distributor.heldMessages], [0, 0, 0])
    distributor.close()
  })
})

describe('Intake over a log of several partitions', () => {
  const loopback = { host: '127.0.0.1', port: 0 }

  async function serve(more: Partial<IntakeOptions> = {}) {
    const log = new ScriptedLog(partitions)
    const intake = new Intake({
      log,
      progress: () => undefined,
      queries: { ask: async (query) => [encodeMsg({ events: [{ service: query }] })] },
      telemetry: new Telemetry(silentLogger(), () => 0),
      clock: nodeClock,
      markingAs: oneProducer('here', 7),
      tcp: loopback,
      udp: loopback,
      maxConnections: 100,
      maxFrameBytes: 1 << 20,
      maxQueuedBytes: 64 << 20,
      idleConnectionMs: 3_600_000,
      ...more,
    })
    const ports = await intake.listen()
    open.push(intake)
    const connect = async (): Promise<RawClient> => {
      const client = await RawClient.open(ports.tcp!)
      open.push({ close: () => client.socket.destroy() })
      return client
    }
    return { log, intake, connect, udpPort: ports.udp! }
  }

  it('acknowledges a Msg when all of its parts are durable, in order', async () => {
    const { log, connect } = await serve()
    log.auto = false
    const client = await connect()
    client.send(on('a', 0, 1, 2, 3), on('b', 2), on('c', 1, 2))
    await log.group(4)
    for (const partition of [2, 3, 0]) log.land(partition)
    await new Promise(setImmediate)
    assert.deepEqual(client.replies, [], 'the first waits for its last part, and the others for the first')
    log.land(1)
    assert.deepEqual(await client.received(3), [{ ok: true }, { ok: true }, { ok: true }])
    assert.deepEqual(landed(log), [['a'], ['a', 'c'], ['a', 'b', 'c'], ['a']])
  })

  it('refuses what a partition that is away has a part of, and takes the rest', async () => {
    const { log, connect } = await serve()
    log.refusing.set(3, refusedForNow)
    const client = await connect()
    client.send(on('a', 0, 1), on('b', 1, 3), on('c', 3), on('d', 2, 0))
    const refused = { ok: false, error: 'not taken for now: no broker' }
    assert.deepEqual(await client.received(4), [{ ok: true }, refused, refused, { ok: true }])
    log.refusing.clear()
    client.send(on('b', 1, 3), on('c', 3))
    assert.deepEqual((await client.received(6)).slice(4), [{ ok: true }, { ok: true }])
    // without a mark of its own, the part that was taken at first is there twice
    assert.deepEqual(landed(log), [['a', 'd'], ['a', 'b', 'b'], ['d'], ['b', 'c']])
  })

  it('answers a query after everything before it is durable, in whatever partition', async () => {
    const asked: string[] = []
    const ask = async (query: string): Promise<Uint8Array[]> => {
      asked.push(query)
      return [encodeMsg({ events: [{ service: query }] })]
    }
    const { log, connect } = await serve({ queries: { ask } })
    log.auto = false
    const client = await connect()
    client.send(on('a', 0, 3), { query: 'q' }, { ...on('b', 1, 2), query: 'r' })
    await log.group(4)
    for (const partition of [0, 1, 2]) log.land(partition)
    await new Promise(setImmediate)
    assert.deepEqual([client.replies, asked], [[], ['r']], 'what a query came with is durable, or what came before it')
    log.land(3)
    assert.deepEqual(await client.received(3), [
      { ok: true },
      { ok: true, events: [{ service: 'q' }] },
      { ok: true, events: [{ service: 'r' }] },
    ])
  })

  it('stops reading when all partitions together hold as much as intake may, and reads on', async () => {
    const { log, intake, connect } = await serve({ maxQueuedBytes: 1 << 20 })
    log.auto = false
    const client = await connect()
    const description = 'x'.repeat(50_000)
    for (let i = 0; i < 200; i++) client.send({ events: [{ ...eventOn(i % 2, 'a'), description }] })
    while (intake.queuedBytes <= 1 << 20) await new Promise(setImmediate)
    assert.ok(intake.queuedBytes < 200 * 50_000, 'most of it stays in the sockets')
    log.auto = true
    while (log.waiting.length > 0) log.land()
    await client.received(200)
    assert.equal(intake.queuedBytes, 0)
  })

  it('takes datagrams, and events of its own, to the partitions of their keys', async () => {
    const { log, intake, udpPort } = await serve()
    await intake.inject([eventOn(3, 'own'), eventOn(1, 'own')])
    log.refusing.set(2, refusedForNow)
    await assert.rejects(intake.inject([eventOn(0, 'refused'), eventOn(2, 'refused')]), { code: 'LOG_UNAVAILABLE' })
    log.refusing.clear()
    log.auto = false
    const socket = createSocket('udp4')
    socket.send(encodeMsg(on('datagram', 0, 2)), udpPort, '127.0.0.1', () => socket.close())
    await log.group(2)
    log.land()
    log.land()
    assert.deepEqual(landed(log), [['refused', 'datagram'], ['own'], ['datagram'], ['own']])
  })
})
