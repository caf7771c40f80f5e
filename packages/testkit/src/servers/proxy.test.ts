import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer as createHttpServer, request } from 'node:http'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { maxHeldBytes, TcpProxy } from './proxy.ts'

/** What Node reads of a socket at once, at most. */
const readBytes = 64 * 1024
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** A server that gives back what it is sent. */
let echo: Server
const accepted = new Set<Socket>()
let proxy: TcpProxy
const clients: Socket[] = []

beforeEach(async () => {
  echo = createServer({ allowHalfOpen: true }, (socket) => {
    accepted.add(socket.on('error', () => {}))
    socket.on('close', () => accepted.delete(socket)).pipe(socket)
  })
  await once(echo.listen(0, '127.0.0.1'), 'listening')
  proxy = await TcpProxy.start((echo.address() as AddressInfo).port)
})
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy()
  await proxy.close()
  for (const socket of accepted) socket.destroy()
  await new Promise((resolve) => echo.close(resolve))
})

function dial(): Socket {
  const socket = connect(proxy.port, '127.0.0.1')
  clients.push(socket.on('error', () => {}))
  return socket
}

async function client(): Promise<Socket> {
  const socket = dial()
  await once(socket, 'connect')
  return socket
}

/** Resolves when it is gone, in whatever way. */
const closed = (socket: Socket): Promise<void> => new Promise((resolve) => socket.on('close', () => resolve()))

/** Sends a text and resolves with the answer of the same length. */
async function exchange(socket: Socket, text: string): Promise<string> {
  socket.write(text)
  let answer = ''
  while (answer.length < text.length) answer += String(((await once(socket, 'data')) as [Buffer])[0])
  return answer
}

describe('TcpProxy', () => {
  it('passes and counts, and an end of one side is an end of that side only', async () => {
    const socket = await client()
    assert.equal(await exchange(socket, 'hello'), 'hello')
    assert.deepEqual(proxy.counts, { connections: 1, requests: 0, upBytes: 5, downBytes: 5 })
    socket.end('last')
    assert.equal(String(((await once(socket, 'data')) as [Buffer])[0]), 'last')
    await once(socket, 'close')
    proxy.resetCounts()
    assert.equal(proxy.counts.connections, 0)
  })

  it('delays each direction by as much as it was told', async () => {
    const socket = await client()
    proxy.set({ delayMs: { up: 60, down: 40 } })
    const began = performance.now()
    await exchange(socket, 'slow')
    assert.ok(performance.now() - began >= 99)
    proxy.heal()
    assert.equal(await exchange(socket, 'fast'), 'fast')
  })

  it('what was stalled arrives once it is let, and no more than its bound waits here', async () => {
    const socket = await client()
    proxy.stall()
    const sent = Buffer.alloc(8 * 1024 * 1024, 'x')
    socket.write(sent)
    while (proxy.heldBytes < maxHeldBytes) await turn()
    for (let turns = 0; turns < 100; turns++) await turn()
    assert.ok(proxy.heldBytes < maxHeldBytes + readBytes)
    assert.equal(proxy.counts.upBytes, 0)
    let received = 0
    socket.on('data', (bytes: Buffer) => (received += bytes.length))
    proxy.heal()
    while (received < sent.length) await once(socket, 'data')
    assert.equal(received, sent.length)
  })

  it('cuts: a reset on both sides', async () => {
    const socket = await client()
    await exchange(socket, 'hello')
    const [served] = accepted
    const gone = Promise.all([closed(socket), closed(served)])
    proxy.cut()
    await gone
    assert.equal(proxy.open, 0)
    assert.equal(await exchange(await client(), 'again'), 'again')
  })

  it('half open: the server has lost the connection, the client does not know', async () => {
    const socket = await client()
    await exchange(socket, 'hello')
    const [served] = accepted
    const gone = closed(served)
    proxy.halfOpen('client')
    await gone
    socket.write('anybody there?')
    assert.equal(await exchange(await client(), 'here'), 'here')
    assert.equal(socket.destroyed, false)
    assert.equal(proxy.counts.upBytes, 'hello'.length + 'here'.length)
  })

  it('refuses, and cuts after so many bytes', async () => {
    proxy.set({ refusing: true })
    await closed(dial())
    proxy.set({ refusing: false, cutAfterBytes: { up: Infinity, down: 3 } })
    const socket = await client()
    let received = ''
    socket.on('data', (bytes: Buffer) => (received += String(bytes)))
    socket.write('hello')
    await closed(socket)
    assert.equal(received, 'hel')
  })

  it('counts the requests of connections that are kept alive, before the server sees them', async () => {
    const server = createHttpServer((incoming, response) => {
      incoming.resume().on('end', () => response.end('done'))
    })
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const asked: string[] = []
    const before = await TcpProxy.start((server.address() as AddressInfo).port, {
      protocol: 'http',
      onRequest: (line) => asked.push(line),
    })
    const send = async (method: string, body: string): Promise<void> => {
      const sent = request({ port: before.port, host: '127.0.0.1', path: '/kept', method, agent })
      sent.end(body)
      const [response] = (await once(sent, 'response')) as [NodeJS.ReadableStream]
      await once(response.resume(), 'end')
    }
    try {
      await send('GET', '')
      await send('PUT', 'GET / HTTP/1.1\r\n\r\n')
      await send('GET', '')
      assert.deepEqual(asked, ['GET /kept', 'PUT /kept', 'GET /kept'])
      assert.equal(before.counts.requests, 3)
      assert.equal(before.counts.connections, 1)
    } finally {
      agent.destroy()
      await before.close()
      await new Promise((resolve) => server.close(resolve))
    }
  })
})
