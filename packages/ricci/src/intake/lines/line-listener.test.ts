import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, it } from 'node:test'
import { decodeMsg, defaultLimits } from '@ricci/client'
import { decodeRecord, type EventsRecord } from '@ricci/engine'
import { ReplicaError } from '@ricci/replica'
import { VirtualClock } from '@ricci/testkit'
import { silentLogger } from '../../telemetry/logger.ts'
import { Telemetry } from '../../telemetry/telemetry.ts'
import { Distributor } from '../distributor.ts'
import { maxLineBytes, refusedLinesRetryMs, stalledFrameMs } from '../limits.ts'
import { ScriptedLog } from '../testing.ts'
import { graphite } from './graphite.ts'
import { LineListener, type LineProtocol } from './line-listener.ts'
import { openTsdb } from './opentsdb.ts'
import { oneProducer } from '../recorder.ts'

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function serve(protocol: LineProtocol, maxConnections = 10) {
  const log = new ScriptedLog()
  const clock = new VirtualClock()
  const telemetry = new Telemetry(silentLogger(), () => 0)
  const distributor = new Distributor({
    ...{ log, telemetry, clock, markingAs: oneProducer('here', 1), limits: defaultLimits },
    progress: () => undefined,
    onSettled: () => undefined,
  })
  const listener = new LineListener(protocol, {
    ...{ distributor, telemetry, clock, maxConnections, idleConnectionMs: 3_600_000 },
    full: () => false,
  })
  const port = await listener.listen('127.0.0.1', 0)
  open.push({ close: () => listener.close(0) })
  return {
    ...{ log, clock, telemetry, listener },
    connect: async (): Promise<Socket> => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      open.push({ close: () => socket.destroy() })
      await once(socket, 'connect')
      return socket
    },
    /** Services of all events in the log. */
    services: () =>
      log.records.flatMap((record) => {
        const { msg } = decodeRecord(record) as EventsRecord
        return (decodeMsg(msg).events ?? []).map(({ service }) => service)
      }),
    counted: async (name: string): Promise<string[]> =>
      (await telemetry.metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(name)),
  }
}

/** Sends the rest of what there is, and resolves once all of it was read and the connection is closed. */
async function finish(socket: Socket): Promise<void> {
  socket.end()
  socket.resume()
  await once(socket, 'close')
}

describe('a listener of lines', () => {
  it('takes lines however they are cut, and the last without its end', async () => {
    const { connect, services, telemetry } = await serve(graphite)
    const socket = await connect()
    for (const part of ['a 1 14', '00000000\nb', ' 1 1400000000\r\n\n', 'c 1 1400000000']) {
      socket.write(part)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await finish(socket)
    assert.deepEqual(services(), ['a', 'b', 'c'])
    assert.equal(telemetry.tally.graphiteEvents, 3)
  })

  it('drops what is no line, says so to a sender that reads it, and takes the next', async () => {
    for (const protocol of [graphite, openTsdb]) {
      const { connect, services, counted } = await serve(protocol)
      const socket = await connect()
      let answer = ''
      socket.setEncoding('utf8').on('data', (text: string) => (answer += text))
      socket.write(`x\n${'y'.repeat(2 * maxLineBytes)}\n`)
      socket.write(protocol === graphite ? 'a 1 1400000000\n' : 'put a 1400000000 1\nversion\n')
      await finish(socket)
      assert.deepEqual(services(), ['a'])
      assert.ok(
        (await counted('ricci_intake_malformed_total')).includes(
          `ricci_intake_malformed_total{transport="${protocol.transport}"} 2`,
        ),
      )
      if (protocol === graphite) assert.equal(answer, '')
      else {
        assert.match(answer, /^put: illegal argument: unknown command: "x"/)
        assert.match(answer, /put: illegal argument: a line of 16384 bytes, at most 8192 are taken\n/)
        assert.match(answer, /net\.opentsdb\nBuilt on/)
      }
    }
  })

  it('keeps what the log refuses for now until it is taken', async () => {
    const { connect, services, log, clock } = await serve(graphite)
    log.refusing.set(0, new ReplicaError('LOG_UNAVAILABLE', 'not now', true))
    const socket = await connect()
    socket.write('a 1 1400000000\n')
    while (clock.pendingTimers < 2) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(services(), [])
    // senders rarely wait
    await finish(socket)
    log.refusing.clear()
    await clock.advance(refusedLinesRetryMs)
    while (services().length === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(services(), ['a'])
  })

  it('closes a sender that stops in the middle of a line, and one too many', async () => {
    const { connect, clock, counted, listener } = await serve(graphite, 1)
    const socket = await connect()
    const second = await connect()
    await once(second.resume(), 'close')
    socket.write('a 1')
    while (listener.size === 0) await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    const closed = once(socket.resume(), 'close')
    await clock.advance(2 * stalledFrameMs)
    await closed
    const lines = await counted('ricci_intake_connections_closed_total')
    assert.ok(lines.includes('ricci_intake_connections_closed_total{reason="too-many"} 1'))
    assert.ok(lines.includes('ricci_intake_connections_closed_total{reason="stalled"} 1'))
  })
})
