import assert from 'node:assert/strict'
import { connect, createServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net'
import { describe, test, type TestContext } from 'node:test'
import {
  ClientError,
  decodeMsg,
  encodeMsg,
  frame,
  FrameReader,
  refusalAsTooLarge,
  refusalForNow,
  type Msg,
} from '@ricci/client'
import { TestClock } from '../../receivers/testing.ts'
import { findPlaces, parseServer, type Place, type ServerName } from './places.ts'
import { Servers } from './servers.ts'

/** A Riemann server whose answers are a function. */
class FakeServer {
  readonly taken: Msg[] = []
  readonly sockets = new Set<Socket>()
  answer: (msg: Msg) => Msg | undefined = () => ({ ok: true })
  #waiting: (() => void)[] = []
  #server: NetServer | undefined
  port = 0

  async start(t: TestContext): Promise<this> {
    t.after(() => this.stop())
    await this.listen(0)
    return this
  }

  async listen(port: number): Promise<void> {
    this.#server = createServer((socket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('error', () => undefined)
      const frames = new FrameReader()
      socket.on('data', (chunk) => {
        frames.push(chunk)
        for (let bytes = frames.next(); bytes !== undefined; bytes = frames.next()) {
          const msg = decodeMsg(bytes)
          this.taken.push(msg)
          const answer = this.answer(msg)
          if (answer !== undefined) socket.write(frame(encodeMsg(answer)))
          for (const wake of this.#waiting.splice(0)) wake()
        }
      })
    })
    await new Promise<void>((resolve) => this.#server!.listen(port, '127.0.0.1', resolve))
    this.port = (this.#server!.address() as AddressInfo).port
  }

  /** Resolves once so many messages came. */
  async until(count: number): Promise<void> {
    while (this.taken.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  async stop(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    for (const socket of this.sockets) socket.destroy()
    if (server !== undefined) await new Promise((resolve) => server.close(resolve))
  }
}

const at = (port: number): ServerName => ({ kind: 'host', host: '127.0.0.1', port })

function serversOf(t: TestContext, names: readonly ServerName[], clock = new TestClock()) {
  const said: string[] = []
  // the first is the first
  let lot = 0
  const servers = new Servers({
    names,
    clock,
    random: { next: () => lot++ / 100 },
    onChange: (text) => said.push(text),
  })
  t.after(() => servers.destroy())
  return { servers, said, clock }
}

const msg = (n: number): Msg => ({
  events: [{ service: `${n}` }],
  mark: { producer: 'p', incarnation: 1, sequence: n, sentAtMs: 0 },
})
const services = ({ taken }: FakeServer) => taken.map(({ events }) => events![0].service)

/** Lets sockets and promises go on until something holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve))
}

describe('servers', () => {
  test('the next one is sent to when a connection ends, without a message lost', async (t) => {
    const [a, b] = [await new FakeServer().start(t), await new FakeServer().start(t)]
    const { servers, said } = serversOf(t, [at(a.port), at(b.port)])
    await servers.sendMsg(msg(1))
    assert.equal(servers.current, `127.0.0.1:${a.port}`)
    a.answer = () => undefined
    const under = [servers.sendMsg(msg(2)), servers.sendMsg(msg(3))]
    await a.until(3)
    await a.stop()
    await Promise.all(under)
    await servers.sendMsg(msg(4))
    assert.deepEqual(
      [services(a), services(b)],
      [
        ['1', '2', '3'],
        ['2', '3', '4'],
      ],
    )
    assert.equal(said.length, 1)
    assert.match(said[0], /^127\.0\.0\.1:\d+ is sent to no more: /)
  })

  test('one that is away is passed over at once; when all are, it says so and tries again when asked', async (t) => {
    const [a, b] = [await new FakeServer().start(t), await new FakeServer().start(t)]
    const { port } = b
    await a.stop()
    await b.stop()
    const { servers } = serversOf(t, [at(a.port), at(port)])
    await assert.rejects(
      servers.sendMsg(msg(1)),
      (error: ClientError) => error.retriable && /ECONNREFUSED/.test(error.message),
    )
    await b.listen(port)
    await servers.sendMsg(msg(1))
    assert.deepEqual(services(b), ['1'])
  })

  test('a connection that cannot even be begun is one that failed, and is begun anew', async (t) => {
    const a = await new FakeServer().start(t)
    let isThere = false
    const servers = new Servers({
      names: [at(a.port)],
      clock: new TestClock(),
      random: { next: () => 0.5 },
      onChange: assert.fail,
      connect: ({ port }) => {
        if (!isThere) throw new Error('ca.pem cannot be read')
        return connect({ port, host: '127.0.0.1' })
      },
    })
    t.after(() => servers.destroy())
    await assert.rejects(
      servers.sendMsg(msg(1)),
      (error: ClientError) => error.retriable && /ca\.pem cannot be read/.test(error.message),
    )
    isThere = true
    await servers.sendMsg(msg(1))
    assert.deepEqual(services(a), ['1'])
  })

  test('what ended a connection is said: a certificate that nobody vouches for is found out once it stands', async (t) => {
    const a = await new FakeServer().start(t)
    a.answer = () => undefined
    const servers = new Servers({
      names: [at(a.port)],
      clock: new TestClock(),
      random: { next: () => 0.5 },
      onChange: assert.fail,
      connect: ({ port }) => {
        const socket = connect({ port, host: '127.0.0.1' })
        return socket.once('connect', () => setImmediate(() => socket.destroy(new Error('self-signed certificate'))))
      },
    })
    t.after(() => servers.destroy())
    await assert.rejects(servers.sendMsg(msg(1)), { code: 'CONNECTION_LOST', message: /: self-signed certificate;/ })
  })

  test('one that drains has the next message no more, and what it took is not sent again', async (t) => {
    const [a, b] = [await new FakeServer().start(t), await new FakeServer().start(t)]
    const { servers, said } = serversOf(t, [at(a.port), at(b.port)])
    a.answer = () => ({ ok: true, draining: true })
    await servers.sendMsg(msg(1))
    await servers.sendMsg(msg(2))
    assert.deepEqual([services(a), services(b)], [['1'], ['2']])
    assert.match(said[0], /it drains$/)
    // its connection ends once nothing is under way there
    await until(() => a.sockets.size === 0)
    // all of them: nothing is gained by going to and fro
    b.answer = () => ({ ok: true, draining: true })
    for (let n = 3; n < 6; n++) await servers.sendMsg(msg(n))
    assert.deepEqual([services(a), services(b)], [['1'], ['2', '3', '4', '5']])
  })

  test('one that refuses for now has the message taken elsewhere; where all do, that is said', async (t) => {
    const [a, b] = [await new FakeServer().start(t), await new FakeServer().start(t)]
    const { servers } = serversOf(t, [at(a.port), at(b.port)])
    const full = (): Msg => ({ ok: false, error: refusalForNow('the disk is full') })
    a.answer = full
    assert.deepEqual(await servers.sendMsg(msg(1)), { ok: true })
    assert.deepEqual([services(a), services(b)], [['1'], ['1']])
    b.answer = full
    await assert.rejects(
      servers.sendMsg(msg(2)),
      (error: ClientError) => error.retriable && /disk is full/.test(error.message),
    )
    // what is refused for good is its own business
    b.answer = () => ({ ok: false, error: 'too large' })
    assert.deepEqual(await servers.sendMsg(msg(3)), { ok: false, error: 'too large' })
  })

  test('one that reads no more after what is too large for it has what comes next over another connection', async (t) => {
    const server = await new FakeServer().start(t)
    const { servers, said } = serversOf(t, [at(server.port)])
    const error = refusalAsTooLarge(1_000)
    server.answer = () => ({ ok: false, error })
    assert.deepEqual(await servers.sendMsg(msg(1)), { ok: false, error })
    server.answer = () => ({ ok: true })
    const [first] = server.sockets
    // what it still sends there it sends to nobody
    first.removeAllListeners('data')
    assert.deepEqual(await servers.sendMsg(msg(2)), { ok: true })
    assert.deepEqual([services(server), said], [['1', '2'], []])
  })

  test('one that is slow is left for another that answers, and what it had not answered goes there', async (t) => {
    const [a, b] = [await new FakeServer().start(t), await new FakeServer().start(t)]
    const { servers, said, clock } = serversOf(t, [at(a.port), at(b.port)])
    a.answer = () => undefined
    const under = [servers.sendMsg(msg(1)), servers.sendMsg(msg(2))]
    await a.until(2)
    clock.advance(1_999)
    assert.equal(b.taken.length, 0)
    clock.advance(1)
    await Promise.all(under)
    // the first went there to see whether it answers, and again with the rest: under its mark it counts once
    assert.deepEqual(services(b), ['1', '1', '2'])
    assert.match(said[0], /it did not answer for 2 s/)
  })

  test('where all are slow nobody goes anywhere', async (t) => {
    const [a, b] = [await new FakeServer().start(t), await new FakeServer().start(t)]
    const { servers, said, clock } = serversOf(t, [at(a.port), at(b.port)])
    a.answer = b.answer = () => undefined
    const under = servers.sendMsg(msg(1))
    await a.until(1)
    clock.advance(2_000)
    await b.until(1)
    const [socket] = a.sockets
    socket.write(frame(encodeMsg({ ok: true })))
    assert.deepEqual(await under, { ok: true })
    assert.deepEqual(said, [])
    assert.equal(servers.current, `127.0.0.1:${a.port}`)
  })

  test('closing ends every connection and timer', async (t) => {
    const a = await new FakeServer().start(t)
    const { servers, clock } = serversOf(t, [at(a.port)])
    a.answer = () => undefined
    const under = assert.rejects(servers.sendMsg(msg(1)), { code: 'CLOSED' })
    await a.until(1)
    await servers.destroy()
    await under
    await until(() => a.sockets.size === 0)
    assert.equal(clock.pendingTimers, 0)
    await assert.rejects(servers.sendMsg(msg(2)), { code: 'CLOSED' })
  })
})

describe('places', () => {
  test('what people write', () => {
    assert.deepEqual(parseServer('[::1]:5555'), { kind: 'host', host: '::1', port: 5555 })
    assert.deepEqual(parseServer('_riemann._tcp.example.org'), { kind: 'service', name: '_riemann._tcp.example.org' })
    for (const wrong of ['', 'host', 'host:0', 'host:99999']) assert.equal(parseServer(wrong), undefined, wrong)
  })

  test('names lead to all their addresses, services to all their servers; what DNS does not answer stays as it was', async () => {
    let away = false
    const resolver = {
      addresses: async (host: string) => {
        if (away) throw new Error(`${host} is not known`)
        return host === 'b' ? ['10.0.0.2', '10.0.0.3'] : ['10.0.0.1']
      },
      services: async () => [
        { name: 'a', port: 1, priority: 5 },
        { name: 'b', port: 2, priority: 9 },
      ],
    }
    const names = [parseServer('_r._tcp.x')!, parseServer('a:1')!]
    const before = new Map<ServerName, readonly Place[]>()
    const found = await findPlaces(names, resolver, before)
    assert.deepEqual(
      found.map(({ host, address, port, priority }) => [host, address, port, priority]),
      [
        ['a', '10.0.0.1', 1, 0],
        ['b', '10.0.0.2', 2, 9],
        ['b', '10.0.0.3', 2, 9],
      ],
    )
    away = true
    assert.deepEqual(await findPlaces(names, resolver, before), found)
    await assert.rejects(findPlaces([parseServer('c:1')!], resolver, new Map()), /no server is known: c is not known/)
  })
})
