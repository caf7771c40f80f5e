import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { afterEach, describe, it } from 'node:test'
import { decodeMsg, encodeMark, encodeMsg, frame, readMark, type Msg } from '@ricci/client'
import { decodeRecord, type EventsRecord } from '@ricci/engine'
import { ReplicaError } from '@ricci/replica'
import { nodeClock } from '../server/node-clock.ts'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { Intake, type IntakeOptions } from './intake.ts'
import { RawClient, ScriptedLog } from './testing.ts'
import { oneProducer } from './recorder.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

const loopback = { host: '127.0.0.1', port: 0 }

/** An intake over a scripted log; queries answer with the query as an event. */
async function serve(more: Partial<IntakeOptions> = {}) {
  const log = new ScriptedLog()
  const telemetry = new Telemetry(silentLogger(), () => 0)
  const intake = new Intake({
    log,
    progress: () => ({ appliedOffset: () => Infinity, ownerTicking: () => true }),
    queries: { ask: async (query) => [encodeMsg({ events: [{ service: query }] })] },
    telemetry,
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
  return {
    intake,
    log,
    telemetry,
    port: ports.tcp!,
    udpPort: ports.udp!,
    connect: async () => {
      const client = await RawClient.open(ports.tcp!)
      open.push({ close: () => client.socket.destroy() })
      return client
    },
  }
}

const event = (service: string): Msg => ({ events: [{ host: 'h', service, metric: 1 }] })
const recordOf = (bytes: Uint8Array): EventsRecord => decodeRecord(bytes) as EventsRecord
const sample = async (telemetry: Telemetry, name: string): Promise<string[]> =>
  (await telemetry.metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(name))

describe('Intake over TCP', () => {
  it('acknowledges what is durable, in order, and marks what came without a mark', async () => {
    const { log, connect } = await serve()
    const client = await connect()
    client.send(event('a'), event('b'), event('c'))
    assert.deepEqual(await client.received(3), [{ ok: true }, { ok: true }, { ok: true }])
    const records = log.records.map(recordOf)
    assert.deepEqual(
      records.map(({ msg }) => decodeMsg(msg).events?.[0].service),
      ['a', 'b', 'c'],
    )
    assert.deepEqual(
      records.map(({ msg, receivedAtMs }) => ({ ...readMark(msg), late: readMark(msg)!.sentAtMs - receivedAtMs })),
      [1, 2, 3].map((sequence) => ({
        producer: 'here',
        incarnation: 7,
        sequence,
        sentAtMs: readMark(records[sequence - 1].msg)!.sentAtMs,
        late: 0,
      })),
    )
  })

  it('keeps the mark a Msg came with', async () => {
    const { log, connect } = await serve()
    const client = await connect()
    const mark = { producer: 'agent', incarnation: 3, sequence: 9, sentAtMs: 5 }
    const msg = Buffer.concat([encodeMsg(event('a')), encodeMark(mark)])
    client.socket.write(frame(msg))
    await client.received(1)
    assert.deepEqual(readMark(recordOf(log.records[0]).msg), mark)
  })

  it('tells who marks what it sends that it drains, in the ack; others hear what they know', async () => {
    let draining = false
    const { connect } = await serve({ draining: () => draining })
    const client = await connect()
    const mark = { producer: 'agent', incarnation: 3, sequence: 1, sentAtMs: 5 }
    client.send({ ...event('a'), mark })
    assert.deepEqual(await client.received(1), [{ ok: true }])
    draining = true
    client.send(event('b'), { ...event('c'), mark: { ...mark, sequence: 2 } }, event('d'))
    assert.deepEqual(await client.received(4), [{ ok: true }, { ok: true }, { ok: true, draining: true }, { ok: true }])
  })

  it('says nothing before it is durable', async () => {
    const { log, connect } = await serve()
    log.auto = false
    const client = await connect()
    client.send(event('a'))
    await log.group()
    assert.deepEqual(client.replies, [])
    log.land()
    assert.deepEqual(await client.received(1), [{ ok: true }])
  })

  it('answers a query in its turn, after the events before it are durable', async () => {
    const asked: string[] = []
    const { log, connect } = await serve({
      queries: {
        ask: async (query) => {
          asked.push(query)
          return [encodeMsg({ events: [{ service: 'x' }] }), encodeMsg({ events: [{ service: 'y' }] })]
        },
      },
    })
    log.auto = false
    const client = await connect()
    client.send(event('a'), { query: 'true' }, event('b'))
    await log.group()
    assert.deepEqual(asked, [])
    log.land()
    assert.deepEqual(await client.received(3), [
      { ok: true },
      { ok: true, events: [{ service: 'x' }, { service: 'y' }] },
      { ok: true },
    ])
    assert.deepEqual(asked, ['true'])
  })

  it('asks the engine a few queries at once, and no more while their answers are not read', async () => {
    const asked: { took: (bytes: number) => boolean; resolve: (pages: Uint8Array[]) => void }[] = []
    const ask = (_query: string, _sinceMs: number, took: (bytes: number) => boolean): Promise<Uint8Array[]> =>
      new Promise((resolve) => asked.push({ took, resolve }))
    const { intake, connect } = await serve({ queries: { ask } })
    const client = await connect()
    client.socket.pause()
    client.send(...Array.from({ length: 20 }, () => ({ query: 'true' })))
    while (asked.length === 0) await new Promise(setImmediate)
    assert.equal(asked.length, 8)
    const answer = encodeMsg({ events: [{ description: 'x'.repeat(16 << 20) }] })
    for (const { took, resolve } of asked.slice()) {
      assert.ok(took(answer.length))
      resolve([answer])
    }
    while (intake.answerBytes < 8 * answer.length) await new Promise(setImmediate)
    assert.equal(asked.length, 8, 'answers that nobody reads are no room for more')
    client.socket.resume()
    for (let i = 8; i < 20; i++) {
      while (asked.length <= i) await new Promise(setImmediate)
      asked[i].resolve([])
    }
    assert.equal((await client.received(20)).length, 20)
    assert.equal(intake.answerBytes, 0)
  })

  it('closes whoever has most of the answers that are not read, once they are too many', async () => {
    const asked: ((bytes: number) => boolean)[] = []
    const ask = (_query: string, _sinceMs: number, took: (bytes: number) => boolean): Promise<Uint8Array[]> =>
      new Promise(() => asked.push(took))
    const { intake, telemetry, connect } = await serve({ queries: { ask }, maxAnswerBytes: 1_000 })
    const [slow, other] = [await connect(), await connect()]
    slow.send({ query: 'true' })
    while (asked.length < 1) await new Promise(setImmediate)
    other.send({ query: 'true' })
    while (asked.length < 2) await new Promise(setImmediate)
    assert.deepEqual([asked[0](600), asked[1](300)], [true, true])
    assert.equal(asked[1](200), true)
    await slow.ended()
    assert.deepEqual([asked[0](1), other.closed, intake.answerBytes], [false, false, 500])
    assert.deepEqual(await sample(telemetry, 'ricci_intake_connections_closed_total{reason="slow-reader"}'), [
      'ricci_intake_connections_closed_total{reason="slow-reader"} 1',
    ])
    other.socket.resetAndDestroy()
    while (intake.answerBytes > 0) await new Promise(setImmediate)
  })

  it('answers ok: false to a query that is too long, takes nothing of its message, and goes on', async () => {
    const { log, connect } = await serve()
    const client = await connect()
    client.send(event('a'), { ...event('b'), query: 'x'.repeat(65_537) }, event('c'))
    const replies = await client.received(3)
    assert.deepEqual([replies[0], replies[2]], [{ ok: true }, { ok: true }])
    assert.equal(replies[1].ok, false)
    assert.match(
      replies[1].error!,
      /^65537 bytes of query; at most 65536 are taken .*nothing of this message was taken$/,
    )
    assert.deepEqual(
      log.records.map((record) => decodeMsg(recordOf(record).msg).events?.[0].service),
      ['a', 'c'],
    )
  })

  it('answers ok: false to a wrong query and goes on', async () => {
    const { connect } = await serve({
      queries: { ask: () => Promise.reject(Object.assign(new Error('no such word'), { code: 'QUERY_SYNTAX' })) },
    })
    const client = await connect()
    client.send({ query: '(' }, event('a'))
    assert.deepEqual(await client.received(2), [{ ok: false, error: 'no such word' }, { ok: true }])
  })

  it('tells a query that could not be evaluated in time; a Msg with events is acknowledged all the same', async () => {
    const { connect, telemetry } = await serve({
      queries: {
        ask: () => Promise.reject(Object.assign(new Error('not evaluated yet'), { code: 'NOT_EVALUATED' })),
      },
    })
    const client = await connect()
    client.send({ query: 'true' }, { ...event('a'), query: 'true' })
    assert.deepEqual(await client.received(2), [{ ok: false, error: 'not evaluated yet' }, { ok: true }])
    assert.deepEqual(await sample(telemetry, 'ricci_intake_not_evaluated_total'), [
      'ricci_intake_not_evaluated_total 2',
    ])
  })

  it('acknowledges an empty Msg, and one of length 0', async () => {
    const { connect } = await serve()
    const client = await connect()
    client.socket.write(Buffer.from([0, 0, 0, 0]))
    client.send({ events: [] })
    assert.deepEqual(await client.received(2), [{ ok: true }, { ok: true }])
  })

  it('answers valid Msgs before an invalid one, then closes that connection and touches no other', async () => {
    const { log, connect, telemetry } = await serve()
    log.auto = false
    const [client, other] = [await connect(), await connect()]
    client.socket.write(
      Buffer.concat([frame(encodeMsg(event('a'))), frame(Uint8Array.of(0xff, 0xff)), frame(encodeMsg(event('b')))]),
    )
    await log.group()
    log.land()
    await client.ended()
    assert.deepEqual(client.replies, [{ ok: true }])
    log.auto = true
    other.send(event('c'))
    assert.deepEqual(await other.received(1), [{ ok: true }])
    assert.equal(log.records.length, 2, 'what came after the invalid one was not taken in')
    assert.deepEqual(await sample(telemetry, 'ricci_intake_malformed_total'), [
      'ricci_intake_malformed_total{transport="tcp"} 1',
    ])
  })

  it('refuses a frame beyond the limit in words, after what came before it, and closes; what cannot be one has no answer', async () => {
    const { connect } = await serve({ maxFrameBytes: 1000 })
    const error = 'too large: at most 1000 bytes are taken in one message; send fewer events at a time'
    for (const [length, ...replies] of [
      [0x400, { ok: true }, { ok: false, error }],
      [0x7fff_ffff, { ok: true }, { ok: false, error }],
      [0x8000_0000, { ok: true }],
    ] as const) {
      const client = await connect()
      client.send(event('before'))
      const head = Buffer.alloc(4)
      head.writeUInt32BE(length)
      // the reply reaches who sends the rest all the same
      client.socket.write(Buffer.concat([head, Buffer.alloc(2_000)]))
      await client.ended()
      assert.deepEqual(client.replies, replies)
    }
  })

  it('tells the producers of a group that the log refused, and begins a new life of its marks', async () => {
    const { log, connect } = await serve()
    log.auto = false
    const client = await connect()
    client.send(event('a'), event('b'))
    await log.group()
    log.refuse(new ReplicaError('LOG_FULL', 'the disk is full', true))
    assert.deepEqual(await client.received(2), [
      { ok: false, error: 'not taken for now: the disk is full' },
      { ok: false, error: 'not taken for now: the disk is full' },
    ])
    log.auto = true
    client.send(event('c'))
    await client.received(3)
    const mark = readMark(recordOf(log.records[0]).msg)!
    assert.deepEqual([mark.incarnation, mark.sequence], [8, 1])
  })

  it('answers a client that closes its side after its last Msg', async () => {
    const { log, connect } = await serve()
    log.auto = false
    const client = await connect()
    client.send(event('a'))
    client.socket.end()
    await log.group()
    log.land()
    await client.ended()
    assert.deepEqual(client.replies, [{ ok: true }])
  })

  it('holds acks back while an owner that ticks lags, and lets them go as it catches up', async () => {
    const progress = { applied: -1, ticking: true }
    const { connect, intake } = await serve({
      progress: () => ({ appliedOffset: () => progress.applied, ownerTicking: () => progress.ticking }),
    })
    const client = await connect()
    const big: Msg = { events: [{ description: 'x'.repeat(60_000) }] }
    const needed = Math.ceil((64 << 20) / 60_000) + 1
    for (let i = 0; i < needed; i++) {
      client.send(big)
      if (client.replies.length < i - 50) await client.received(i - 50)
    }
    while (intake.lag.heldMessages === 0) await new Promise((resolve) => setImmediate(resolve))
    const before = client.replies.length
    assert.ok(before < needed, `${before} of ${needed} acknowledged`)
    progress.applied = Infinity
    await client.received(needed)
    assert.equal(intake.lag.heldMessages, 0)
  })

  it('closes who holds most, when messages that are not whole fill the room there is', async () => {
    const { connect, intake, telemetry } = await serve({ maxBegunBytes: 100_000 })
    const header = Buffer.alloc(4)
    header.writeUInt32BE(200_000)
    const [large, small, last] = [await connect(), await connect(), await connect()]
    large.socket.write(Buffer.concat([header, Buffer.alloc(80_000)]))
    small.socket.write(Buffer.concat([header, Buffer.alloc(10_000)]))
    while (intake.begunBytes < 90_000) await new Promise((resolve) => setImmediate(resolve))
    last.socket.write(Buffer.concat([header, Buffer.alloc(60_000)]))
    await large.ended()
    assert.deepEqual(await sample(telemetry, 'ricci_intake_connections_closed_total'), [
      'ricci_intake_connections_closed_total{reason="half-sent"} 1',
    ])
    const other = await connect()
    other.send(event('after'))
    await other.received(1)
    assert.deepEqual([small.closed, last.closed], [false, false])
    small.socket.destroy()
    last.socket.destroy()
    while (intake.begunBytes > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  it('goes on without an owner, whatever the lag', async () => {
    const { connect } = await serve({ progress: () => ({ appliedOffset: () => -1, ownerTicking: () => false }) })
    const client = await connect()
    const big: Msg = { events: Array.from({ length: 10 }, () => ({ description: 'x'.repeat(60_000) })) }
    for (let i = 0; i < 120; i++) {
      client.send(big)
      await client.received(i + 1)
    }
  })

  it('stops reading a client whose Msgs wait for the log, and reads on when there is room', async () => {
    const { log, connect, intake } = await serve({ maxQueuedBytes: 1 << 20 })
    log.auto = false
    const client = await connect()
    const big = frame(encodeMsg({ events: Array.from({ length: 10 }, () => ({ description: 'x'.repeat(50_000) })) }))
    for (let i = 0; i < 60; i++) client.socket.write(big)
    await log.group()
    while (intake.queuedBytes <= 1 << 20) await new Promise((resolve) => setImmediate(resolve))
    const held = intake.queuedBytes
    assert.ok(held < 60 * 500_000, 'most of it stays in the sockets')
    log.auto = true
    while (log.waiting.length > 0) log.land()
    await client.received(60)
    assert.equal(intake.queuedBytes, 0)
  })

  it('refuses connections beyond the limit', async () => {
    const { connect, telemetry } = await serve({ maxConnections: 1 })
    const first = await connect()
    const second = await connect()
    await second.ended()
    first.send(event('a'))
    await first.received(1)
    assert.deepEqual(await sample(telemetry, 'ricci_intake_connections_closed_total'), [
      'ricci_intake_connections_closed_total{reason="too-many"} 1',
    ])
  })

  it('answers what it took in when it stops', async () => {
    const { log, connect, intake } = await serve()
    log.auto = false
    const client = await connect()
    client.send(event('a'))
    await log.group()
    const closing = intake.close()
    assert.equal(intake.close(), closing)
    log.land()
    await closing
    await client.ended()
    assert.deepEqual(client.replies, [{ ok: true }])
  })
})

describe('Intake over UDP', () => {
  const send = (port: number, ...datagrams: readonly Uint8Array[]): Promise<void> => {
    const socket = createSocket('udp4')
    return new Promise((resolve) => {
      let left = datagrams.length
      for (const datagram of datagrams)
        socket.send(datagram, port, '127.0.0.1', () => --left === 0 && socket.close(resolve as () => void))
    })
  }

  it('takes one Msg a datagram and counts what it drops', async () => {
    const { log, udpPort, telemetry } = await serve()
    log.auto = false
    const large = encodeMsg({ events: [{ description: 'x'.repeat(16_384) }] })
    await send(udpPort, Uint8Array.of(0xff), large, encodeMsg({ query: 'true' }), encodeMsg(event('a')))
    await log.group()
    log.land()
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(log.records.length, 1)
    assert.deepEqual(await sample(telemetry, 'ricci_intake_malformed_total'), [
      'ricci_intake_malformed_total{transport="udp"} 1',
    ])
    assert.deepEqual(await sample(telemetry, 'ricci_intake_dropped_total'), [
      'ricci_intake_dropped_total{reason="too-large"} 1',
    ])
  })

  it('drops what comes while the engine lags, beyond what may wait', async () => {
    let lag = true
    const { log, udpPort, telemetry, intake } = await serve({
      // nothing is applied, by an engine that ticks
      progress: () => ({ appliedOffset: () => (lag ? -1 : Infinity), ownerTicking: () => true }),
    })
    // puts the engine too far behind: acks are held from here on
    intake.lag.gate(0).durable(0, 65 << 20, 1, () => undefined)
    const datagram = encodeMsg({ events: [{ description: 'x'.repeat(16_000) }] })
    const most = Math.floor((16 << 20) / datagram.length)
    const { tally } = telemetry
    while (tally.udpMessages < most + 40) {
      await send(udpPort, ...Array.from({ length: 20 }, () => datagram))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(log.records.length, most)
    const dropped = /queue-full"} (\d+)/.exec((await sample(telemetry, 'ricci_intake_dropped_total')).join())?.[1]
    assert.equal(Number(dropped), tally.udpMessages - most)
    lag = false
  })

  it('has the port that TCP has', async () => {
    const { port, udpPort } = await serve()
    assert.equal(udpPort, port)
  })
})
