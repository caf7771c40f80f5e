import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { aborted, none, serve } from './testing.ts'

/** A connection on which the same is asked so many times at once. */
async function rawTo(url: string, line: string, times = 1, headers = ''): Promise<Socket> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(`${line} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`.repeat(times))
  return socket
}

describe('connections of HTTP', () => {
  it('ends what is behind an answer on a connection that is gone', async () => {
    const signals: AbortSignal[] = []
    const { url } = await serve({
      watch: async (_query, _shape, signal) => {
        signals.push(signal)
        await aborted(signal)
        return none()
      },
    })
    const socket = await rawTo(url, 'GET /api/v1/watch?query=true', 3)
    while (signals.length < 3) await new Promise(setImmediate)
    socket.destroy()
    while (!signals.every((signal) => signal.aborted)) await new Promise(setImmediate)
  })

  it('closes who asks too much before it has read an answer, and who speaks no HTTP; both are counted', async () => {
    const waiting: (() => void)[] = []
    const { url, telemetry, server } = await serve({
      status: () => new Promise<undefined>((resolve) => waiting.push(() => resolve(undefined))),
    })
    const closed = async (): Promise<unknown> =>
      (await telemetry.metrics.closed.get()).values.map(({ labels, value }) => [labels.reason, value])
    await once((await rawTo(url, 'GET /api/v1/status', 100)).resume(), 'close')
    assert.equal(waiting.length, 16)
    assert.deepEqual(await closed(), [['too-many', 1]])
    const strange = await rawTo(url, '\x16\x03\x01 nothing')
    let said = ''
    for await (const part of strange) said += String(part)
    assert.match(said, /^HTTP\/1\.1 400 .*\{"error":"What came is no HTTP\/1\.1: .*","code":"USAGE"\}\n$/s)
    assert.deepEqual(await closed(), [
      ['too-many', 1],
      ['malformed', 1],
    ])
    assert.equal(server.size, 0)
    for (const resolve of waiting) resolve()
  })

  it('does not keep who may open no WebSocket, whether it leaves or not', async () => {
    const { url, server } = await serve({})
    const socket = await rawTo(url, 'GET /nowhere', 1, 'Connection: Upgrade\r\nUpgrade: websocket\r\n')
    let said = ''
    for await (const part of socket) said += String(part)
    assert.match(said, /^HTTP\/1\.1 404 /)
    while (server.size > 0) await new Promise(setImmediate)
  })

  it('answers who would rather speak another protocol as if it had not asked, one request after the other', async () => {
    const { url, server } = await serve({})
    const wish = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n'
    const socket = await rawTo(url, 'GET /healthz', 1, wish)
    let said = ''
    socket.on('data', (part) => (said += String(part)))
    const answers = async (count: number, pattern: RegExp): Promise<void> => {
      while ((said.match(pattern) ?? []).length < count) await once(socket, 'data')
    }
    await answers(1, /HTTP\/1\.1 200 OK[^]*?\{"ok":true\}/g)
    const body = '{"host":"a"}'
    socket.write(`POST /events HTTP/1.1\r\nHost: localhost\r\n${wish}Content-Length: ${body.length}\r\n\r\n${body}`)
    await answers(1, /\{\}\n/g)
    assert.equal(server.size, 1)
    socket.destroy()
    const impatient = await rawTo(url, 'GET /healthz', 2, wish)
    impatient.resume()
    await once(impatient, 'close')
    while (server.size > 0) await new Promise(setImmediate)
  })

  it('cuts off a watcher that does not read, and says so', async () => {
    let over = false
    const { url, telemetry, server } = await serve(
      {
        watch: async () =>
          (async function* () {
            try {
              for (;;) yield { lines: Buffer.alloc(1 << 20, 'x') }
            } finally {
              over = true
            }
          })(),
      },
      { stalledReadMs: 50 },
    )
    const socket = await rawTo(url, 'GET /api/v1/watch?query=true')
    while (!over) await new Promise(setImmediate)
    const { values } = await telemetry.metrics.closed.get()
    assert.deepEqual(
      values.map(({ labels, value }) => [labels.reason, value]),
      [['slow-reader', 1]],
    )
    socket.destroy()
    while (server.size > 0) await new Promise(setImmediate)
  })

  it('takes bodies that come whole while others are slow, and lets go of the slowest', async () => {
    const { url, telemetry } = await serve({})
    const slow = await Promise.all(
      Array.from({ length: 64 }, async () => {
        const socket = await rawTo(url, 'POST /events', 1, 'Content-Length: 100\r\nExpect: 100-continue\r\n')
        // its head was read
        await once(socket, 'data')
        return socket
      }),
    )
    const first = once(slow[0], 'close')
    const answer = await fetch(`${url}/events`, { method: 'POST', body: '{"host":"a"}' })
    assert.deepEqual([answer.status, await answer.text()], [200, '{}\n'])
    await first
    const { values } = await telemetry.metrics.closed.get()
    assert.deepEqual(
      values.map(({ labels, value }) => [labels.reason, value]),
      [['half-sent', 1]],
    )
    for (const socket of slow) socket.destroy()
  })
})
