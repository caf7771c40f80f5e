import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Socket } from 'node:net'
import { describe, it } from 'node:test'
import { defaultLimits, frame, encodeMsg } from '@ricci/client'
import { VirtualClock } from '@ricci/testkit'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { Connection, type ConnectionHost } from './connection.ts'
import { Distributor } from './distributor.ts'
import { ScriptedLog } from './testing.ts'
import { oneProducer } from './recorder.ts'

/** A connection on virtual time whose socket is never connected; the test looks at what becomes of it. */
function connection() {
  const clock = new VirtualClock()
  const telemetry = new Telemetry(silentLogger(), () => clock.monotonicMs())
  const closed: string[] = []
  const answers: ((pages: readonly Uint8Array[]) => void)[] = []
  telemetry.connectionClosed = (reason) => void closed.push(reason)
  const socket = new Socket({ allowHalfOpen: true })
  const log = new ScriptedLog()
  log.auto = false
  const distributor = new Distributor({
    log,
    progress: () => undefined,
    telemetry,
    clock,
    markingAs: oneProducer('here', 1),
    limits: defaultLimits,
    onSettled: () => undefined,
  })
  const host: ConnectionHost = {
    distributor,
    queries: { ask: () => new Promise((resolve) => answers.push(resolve)) },
    telemetry,
    clock,
    maxFrameBytes: 1 << 20,
    idleConnectionMs: 600_000,
    draining: () => false,
    full: () => false,
    begun: () => undefined,
    answers: () => undefined,
  }
  const it = new Connection(socket, 'peer', host)
  /** Lets time pass, looking at the connection every five seconds. */
  const pass = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += 5_000) {
      await clock.advance(5_000)
      it.sweep(clock.monotonicMs())
    }
  }
  return { socket, closed, pass, answers }
}

describe('A connection that is looked after', () => {
  it('is closed when nothing comes for as long as is allowed', async () => {
    const { socket, closed, pass } = connection()
    await pass(600_000)
    assert.deepEqual(closed, [])
    await pass(5_000)
    assert.deepEqual(closed, ['idle'])
    assert.equal(socket.destroyed, true)
  })

  it('is closed when a message stops in the middle', async () => {
    const { socket, closed, pass } = connection()
    socket.emit('data', Buffer.from(frame(encodeMsg({ events: [{ host: 'a' }] }))).subarray(0, 6))
    await pass(30_000)
    assert.deepEqual(closed, [])
    await pass(5_000)
    assert.deepEqual(closed, ['stalled'])
  })

  it('that its peer has half closed stays until the peer has read all, however slowly', async () => {
    const { socket, closed, pass, answers } = connection()
    const write = new Promise<() => void>((resolve) => {
      socket._writev = (_chunks, done) => resolve(done)
      socket._write = (_chunk, _encoding, done) => resolve(done)
      socket._final = (done) => done()
    })
    socket.emit('data', Buffer.from(frame(encodeMsg({ query: 'true' }))))
    socket.emit('end')
    answers[0]([encodeMsg({ events: [{ host: 'a' }] })])
    const read = await write
    await pass(30_000)
    assert.deepEqual([closed, socket.destroyed], [[], false])
    const finished = once(socket, 'finish')
    read()
    await finished
    await pass(5_000)
    assert.deepEqual([closed, socket.destroyed], [[], true])
  })

  it('is kept while its peer waits for an answer, however long', async () => {
    const { socket, closed, pass } = connection()
    socket.emit('data', Buffer.from(frame(encodeMsg({ query: 'true' }))))
    await pass(3_600_000)
    assert.deepEqual(closed, [])
    socket.destroy()
  })
})
