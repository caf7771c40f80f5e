import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { decodeMsg, encodeMsg, frame, FrameReader, RiemannTcpClient, type ClientClock, type Msg } from './index.ts'
import type { TcpClientOptions } from './index.ts'

type Peer = { socket: Socket; next: () => Promise<Msg>; reply: (msg: Msg) => void; closed: Promise<unknown> }

/** A server that is scripted frame by frame, one function per successive connection; connections beyond it are refused. */
async function serve(t: TestContext, ...script: ((peer: Peer) => Promise<void>)[]): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createServer(async (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    await script.shift()?.(peerOf(socket))
  })
  await listen(server)
  t.after(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}

function peerOf(socket: Socket): Peer {
  const frames = new FrameReader()
  const arrived: Msg[] = []
  const waiting: ((msg: Msg) => void)[] = []
  socket.on('data', (chunk: Uint8Array) => {
    frames.push(chunk)
    for (let bytes = frames.next(); bytes !== undefined; bytes = frames.next()) {
      const msg = decodeMsg(bytes)
      const wanted = waiting.shift()
      if (wanted === undefined) arrived.push(msg)
      else wanted(msg)
    }
  })
  return {
    socket,
    next: () => {
      const msg = arrived.shift()
      return msg === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(msg)
    },
    reply: (msg) => void socket.write(frame(encodeMsg(msg))),
    closed: once(socket, 'close'),
  }
}

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
}

function client(t: TestContext, port: number, options: TcpClientOptions = {}): RiemannTcpClient {
  const made = new RiemannTcpClient({ port, backoffMs: 1, ...options })
  t.after(() => made.destroy())
  return made
}

/** Time that moves when a test says so. */
function handClock(): ClientClock & { pass(ms: number): void; pending(): number } {
  let now = 0
  const timers = new Set<{ at: number; callback: () => void }>()
  return {
    monotonicMs: () => now,
    setTimer(delayMs, callback) {
      const timer = { at: now + delayMs, callback }
      timers.add(timer)
      return { cancel: () => void timers.delete(timer) }
    },
    pass(ms) {
      now += ms
      for (const timer of [...timers]) if (timer.at <= now && timers.delete(timer)) timer.callback()
    },
    pending: () => timers.size,
  }
}

test('pipelined messages are answered in order', async (t) => {
  const port = await serve(t, async (peer) => {
    const names: (string | undefined)[] = []
    for (let i = 0; i < 100; i++) names.push((await peer.next()).events![0].service)
    // All hundred were on their way before the first answer.
    for (const service of names) peer.reply({ ok: true, events: [{ service }] })
  })
  const riemann = client(t, port)
  const replies = await Promise.all(
    Array.from({ length: 100 }, (_, i) => riemann.sendMsg({ events: [{ service: `s${i}` }] })),
  )
  assert.deepEqual(
    replies.map((reply) => reply.events![0].service),
    Array.from({ length: 100 }, (_, i) => `s${i}`),
  )
  assert.equal(riemann.outstanding, 0)
  assert.equal(riemann.state, 'connected')
})

test('send, query and the server’s refusal', async (t) => {
  const port = await serve(t, async (peer) => {
    assert.deepEqual(await peer.next(), { events: [{ host: 'a', service: 's', metric: 1 }] })
    peer.reply({ ok: true })
    assert.deepEqual(await peer.next(), { query: 'host = "a"' })
    peer.reply({ ok: true, events: [{ host: 'a' }] })
    await peer.next()
    peer.reply({ ok: false, error: 'parse error' })
    assert.deepEqual(await peer.next(), {})
    peer.reply({ ok: false })
  })
  const riemann = client(t, port)
  await riemann.send({ host: 'a', service: 's', metric: 1 })
  assert.deepEqual(await riemann.query('host = "a"'), [{ host: 'a' }])
  await assert.rejects(riemann.query('host ='), { name: 'ClientError', code: 'REFUSED', message: 'parse error' })
  assert.deepEqual(await riemann.sendMsg(new Uint8Array(0)), { ok: false })
})

test('a lost connection rejects what was written, and the next message goes over a new one', async (t) => {
  const port = await serve(
    t,
    async (peer) => {
      await peer.next()
      await peer.next()
      peer.reply({ ok: true })
      peer.socket.end()
    },
    async (peer) => {
      assert.deepEqual(await peer.next(), { query: 'third' })
      peer.reply({ ok: true })
    },
  )
  const states: string[] = []
  const riemann = client(t, port, { onState: (state) => states.push(state) })
  const first = riemann.sendMsg({ query: 'first' })
  const second = riemann.sendMsg({ query: 'second' })
  assert.deepEqual(await first, { ok: true })
  await assert.rejects(second, { code: 'CONNECTION_LOST', retriable: true })
  assert.deepEqual(await riemann.sendMsg({ query: 'third' }), { ok: true })
  assert.deepEqual(states, ['connecting', 'connected', 'waiting', 'connecting', 'connected'])
})

test('while there is no server messages wait, with growing pauses, each until its time is over', async () => {
  const clock = handClock()
  const pauses: number[] = []
  let attempts = 0
  const port = await closedPort()
  const changed: ((state: string) => void)[] = []
  const riemann = new RiemannTcpClient({
    port,
    clock: {
      ...clock,
      setTimer: (delayMs, callback) => {
        if (riemann.state === 'waiting') pauses.push(delayMs)
        return clock.setTimer(delayMs, callback)
      },
    },
    random: { next: () => 0.5 },
    backoffMs: 100,
    backoffMaxMs: 400,
    timeoutMs: 2_000,
    onState: (state) => {
      if (state === 'connecting') attempts++
      changed.shift()?.(state)
    },
  })
  const change = () => new Promise<string>((resolve) => changed.push(resolve))
  const connecting = change()
  const refused = change()
  const sent = riemann.sendMsg({ query: 'x' })
  sent.catch(() => {})
  assert.deepEqual(await Promise.all([connecting, refused]), ['connecting', 'waiting'])
  for (let i = 0; i < 4; i++) {
    const changes = [change(), change()]
    clock.pass(pauses.at(-1)!)
    assert.deepEqual(await Promise.all(changes), ['connecting', 'waiting'])
  }
  assert.deepEqual(pauses, [75, 150, 300, 300, 300])
  assert.equal(attempts, 5)
  clock.pass(2_000)
  await assert.rejects(sent, { code: 'UNREACHABLE', retriable: true, message: /within \d+ ms: .*ECONNREFUSED/ })
  await riemann.close()
  assert.equal(clock.pending(), 0)
})

test('a server that does not answer in time is left', async (t) => {
  const clock = handClock()
  const port = await serve(t, async (peer) => {
    await peer.next()
    await peer.next()
    clock.pass(5_000)
    await peer.closed
  })
  const riemann = client(t, port, { clock })
  const first = riemann.sendMsg({ query: '1' })
  const second = riemann.sendMsg({ query: '2' })
  await assert.rejects(first, { code: 'TIMEOUT' })
  await assert.rejects(second, { code: 'CONNECTION_LOST' })
  assert.equal(riemann.state, 'waiting')
})

test('a signal gives a message up; the answers of the others stay theirs', async (t) => {
  const both = new AbortController()
  const port = await serve(t, async (peer) => {
    await peer.next()
    await peer.next()
    both.abort(new Error('enough'))
    peer.reply({ ok: true, error: 'of the first' })
    peer.reply({ ok: true, error: 'of the second' })
  })
  const riemann = client(t, port)
  const first = riemann.sendMsg({ query: '1' }, { signal: both.signal })
  const second = riemann.sendMsg({ query: '2' })
  await assert.rejects(first, /enough/)
  assert.equal((await second).error, 'of the second')
  await assert.rejects(riemann.sendMsg({ query: '3' }, { signal: both.signal }), /enough/)
  assert.equal(riemann.outstanding, 0)
})

test('a message given up before it was written is not sent', async (t) => {
  const port = await serve(t, async (peer) => {
    assert.deepEqual(await peer.next(), { query: 'second' })
    peer.reply({ ok: true })
  })
  const riemann = client(t, port)
  const early = new AbortController()
  const first = riemann.sendMsg({ query: 'first' }, { signal: early.signal })
  const second = riemann.sendMsg({ query: 'second' })
  early.abort(new Error('never mind'))
  await assert.rejects(first, /never mind/)
  assert.deepEqual(await second, { ok: true })
})

test('what waits is bounded, by number and by bytes', async (t) => {
  const port = await serve(t, () => new Promise(() => {}))
  const riemann = client(t, port, { maxOutstanding: 2 })
  const kept = [riemann.sendMsg({}), riemann.sendMsg({})]
  await assert.rejects(riemann.sendMsg({}), { code: 'OVERLOADED', retriable: true })
  const large = client(t, port, { maxOutstandingBytes: 100 })
  kept.push(large.sendMsg({ query: 'q'.repeat(200) }))
  await assert.rejects(large.sendMsg({}), { code: 'OVERLOADED' })
  const settled = Promise.allSettled(kept)
  await Promise.all([riemann.destroy(), large.destroy()])
  assert.deepEqual(
    (await settled).map((result) => result.status === 'rejected' && result.reason.code),
    ['CLOSED', 'CLOSED', 'CLOSED'],
  )
})

test('bytes that are no message end the connection', async (t) => {
  const port = await serve(t, async (peer) => {
    await peer.next()
    peer.socket.write(Uint8Array.of(0, 0, 0, 1, 0x0e))
    await peer.closed
  })
  await assert.rejects(client(t, port).sendMsg({}), { code: 'BAD_REPLY' })
})

test('an answer to no message ends the connection', async (t) => {
  const port = await serve(t, async (peer) => {
    await peer.next()
    peer.reply({ ok: true })
    peer.reply({ ok: true })
    await peer.closed
  })
  let lost!: (cause?: Error) => void
  const waiting = new Promise<Error | undefined>((resolve) => (lost = resolve))
  const riemann = client(t, port, { onState: (state, cause) => state === 'waiting' && lost(cause) })
  await riemann.sendMsg({})
  assert.equal(((await waiting) as { code?: string } | undefined)?.code, 'BAD_REPLY')
})

test('close waits for the answers under way, destroy does not; both are idempotent', async (t) => {
  let answer!: () => void
  const port = await serve(t, async (peer) => {
    await peer.next()
    answer = () => peer.reply({ ok: true })
    riemann.close()
    answer()
    await peer.closed
  })
  const riemann = client(t, port)
  const sent = riemann.sendMsg({})
  assert.deepEqual(await sent, { ok: true })
  await riemann.close()
  await riemann.destroy()
  assert.equal(riemann.state, 'closed')
  await assert.rejects(riemann.sendMsg({}), { code: 'CLOSED' })
  await new RiemannTcpClient({ port }).close()
})

for (const state of ['connecting', 'connected', 'waiting'] as const) {
  test(`a client may be closed by whoever is told that it is ${state}: nothing of it goes on`, async (t) => {
    const port = state === 'waiting' ? await closedPort() : await serve(t, async ({ closed }) => void (await closed))
    const timers = new Set<() => void>()
    const clock: ClientClock = {
      monotonicMs: () => 0,
      setTimer: (_delayMs, callback) => {
        timers.add(callback)
        return { cancel: () => void timers.delete(callback) }
      },
    }
    const states: string[] = []
    const riemann: RiemannTcpClient = client(t, port, {
      clock,
      onState: (entered) => {
        states.push(entered)
        if (entered === state) void riemann.destroy()
      },
    })
    await assert.rejects(riemann.sendMsg({}), { code: /CLOSED|CONNECTION_LOST/ })
    await riemann.destroy()
    assert.equal(timers.size, 0)
    assert.deepEqual(states.slice(-2), [state, 'closed'])
  })
}

async function closedPort(): Promise<number> {
  const server = createServer()
  await listen(server)
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
