import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ServerResponse } from 'node:http'
import { createServer, type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { jsonText, judge, post } from './request.ts'
import { bodyOf, httpServer, rawServer, TestClock } from './testing.ts'

const yes = () => true
const sendMs = 10_000

/** Posts with ten seconds to go on a clock that only the test moves. */
async function send(url: string, { clock = new TestClock(), mayStart = yes } = {}) {
  const end = new AbortController()
  const timer = clock.setTimer(sendMs, () => end.abort())
  const headers = { 'content-type': 'application/json' }
  const fate = await post({ url, headers, body: jsonText({ a: 'ü' }) }, mayStart, end.signal)
  timer.cancel()
  return judge(fate, clock.wallMs())
}

test('2xx is delivered, and the request arrived whole', async (t) => {
  let seen: unknown
  const url = await httpServer(t, async (request, response) => {
    const { method, url, headers } = request
    seen = { method, url, type: headers['content-type'], body: JSON.parse(await bodyOf(request)) }
    response.writeHead(202).end()
  })
  assert.deepEqual(await send(url), { kind: 'delivered', detail: 'HTTP 202' })
  assert.deepEqual(seen, { method: 'POST', url: '/hook?a=1', type: 'application/json', body: { a: 'ü' } })
})

test('half a character is none', async (t) => {
  let seen = ''
  const url = await httpServer(t, async (request, response) => {
    seen = await bodyOf(request)
    response.writeHead(202).end()
  })
  const body = { cut: '🔥'.slice(0, 1), whole: '🔥', list: ['\\ud83d'] }
  await post({ url, headers: {}, body: jsonText(body) }, yes, new AbortController().signal)
  assert.equal(seen, JSON.stringify({ ...body, cut: '\ufffd' }))
})

const statuses: [status: number, headers: Record<string, string>, expected: object][] = [
  [500, {}, { kind: 'unknown', detail: 'HTTP 500: said so' }],
  [503, { 'retry-after': '7' }, { kind: 'unknown', detail: 'HTTP 503: said so', retryAfterMs: 7_000 }],
  [429, { 'retry-after': '120' }, { kind: 'failed', detail: 'HTTP 429: said so', retryAfterMs: 120_000 }],
  [
    429,
    { 'retry-after': 'Sat, 21 Nov 2026 12:00:30 GMT' },
    { kind: 'failed', detail: 'HTTP 429: said so', retryAfterMs: 30_000 },
  ],
  [429, { 'retry-after': 'soon' }, { kind: 'failed', detail: 'HTTP 429: said so' }],
  [408, {}, { kind: 'unknown', detail: 'HTTP 408: said so' }],
  [302, { location: '/elsewhere' }, { kind: 'failed', detail: 'HTTP 302: said so' }],
  [400, {}, { kind: 'refused', detail: 'HTTP 400: said so' }],
  [404, { 'retry-after': '7' }, { kind: 'refused', detail: 'HTTP 404: said so' }],
]
for (const [status, headers, expected] of statuses) {
  test(`an answer of ${status} ${JSON.stringify(headers)}`, async (t) => {
    const url = await httpServer(t, (_request, response) => {
      response.writeHead(status, headers).end('said\n  so')
    })
    assert.deepEqual(await send(url), expected)
  })
}

test('an interim answer is not the answer', async (t) => {
  const url = await httpServer(t, (_request, response) => {
    response.writeProcessing(() => response.writeHead(400).end())
  })
  assert.deepEqual(await send(url), { kind: 'refused', detail: 'HTTP 400' })
})

test('an answer without end: a refusal is cut, a delivery is not waited for', async (t) => {
  const open: ServerResponse[] = []
  const url = await httpServer(t, (request, response) => {
    open.push(response)
    response.writeHead(request.url === '/ok' ? 200 : 400)
    response.write('x'.repeat(5_000))
  })
  assert.deepEqual(await send(new URL('/ok', url).href), { kind: 'delivered', detail: 'HTTP 200' })
  assert.deepEqual(await send(url), { kind: 'refused', detail: `HTTP 400: ${'x'.repeat(300)}` })
  assert.equal(open.length, 2)
})

test('a refusal whose body hangs is judged by its status when time is up', async (t) => {
  const clock = new TestClock()
  const url = await httpServer(t, (_request, response) => {
    response.writeHead(400)
    response.write('because')
  })
  const onHeaders = () => setImmediate(() => clock.advance(sendMs))
  subscribe('undici:request:headers', onHeaders)
  t.after(() => unsubscribe('undici:request:headers', onHeaders))
  const result = await send(url, { clock })
  assert.equal(result.kind, 'refused')
  assert.match(result.detail!, /^HTTP 400/)
})

test('accepted and dropped without an answer is unknown', async (t) => {
  const url = await httpServer(t, async (request) => {
    await bodyOf(request)
    request.socket.destroy()
  })
  const result = await send(url)
  assert.equal(result.kind, 'unknown')
  assert.match(result.detail!, /^sent, but without an answer: /)
})

test('a connection reset in the middle of the request is unknown', async (t) => {
  const url = await rawServer(t, (socket) => socket.once('data', () => socket.resetAndDestroy()))
  assert.equal((await send(url)).kind, 'unknown')
})

test('closed in the middle of the status line is unknown', async (t) => {
  const url = await rawServer(t, (socket) => socket.once('data', () => socket.end('HTTP/1.1 2')))
  assert.equal((await send(url)).kind, 'unknown')
})

test('an answer that is no HTTP is unknown', async (t) => {
  const url = await rawServer(t, (socket) => socket.once('data', () => socket.end('220 mail.example ESMTP\r\n')))
  assert.equal((await send(url)).kind, 'unknown')
})

test('closed in the middle of a 2xx body is delivered: the status line was the answer', async (t) => {
  const url = await rawServer(t, (socket) =>
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')),
  )
  assert.equal((await send(url)).kind, 'delivered')
})

test('a receiver that hangs is unknown when its time is over', async (t) => {
  const clock = new TestClock()
  const url = await httpServer(t, async (request) => {
    await bodyOf(request)
    clock.advance(sendMs - 1)
    clock.advance(1)
  })
  const result = await send(url, { clock })
  assert.deepEqual(result, { kind: 'unknown', detail: 'sent, but without an answer: no answer in time' })
  assert.equal(clock.pendingTimers, 0)
})

test('a body that counts is read up to a bound', async (t) => {
  const url = await httpServer(t, (request, response) => {
    response.writeHead(200).end(request.url === '/long' ? 'x'.repeat(100) : 'yes')
  })
  const ask = (path: string) =>
    post({ url: new URL(path, url).href, headers: {}, answerBytes: 10 }, yes, new AbortController().signal)
  const common = { kind: 'answered', status: 200, retryAfter: undefined }
  assert.deepEqual(await ask('/'), { ...common, text: 'yes' })
  assert.deepEqual(await ask('/long'), { ...common, text: 'x'.repeat(10) })
})

test('a slow answer in time counts', async (t) => {
  const clock = new TestClock()
  const url = await httpServer(t, async (_request, response) => {
    clock.advance(sendMs - 1)
    response.writeHead(200).end()
  })
  assert.equal((await send(url, { clock })).kind, 'delivered')
  assert.equal(clock.pendingTimers, 0)
})

test('nobody listens: nothing was sent', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const result = await send(`http://127.0.0.1:${port}/`)
  assert.equal(result.kind, 'failed')
  assert.match(result.detail!, /^nothing was sent: .*ECONNREFUSED/)
})

test('a server that never finishes the TLS handshake: nothing was sent', async (t) => {
  const clock = new TestClock()
  const url = await rawServer(t, (socket) => socket.once('data', () => clock.advance(sendMs)))
  const result = await send(url.replace('http:', 'https:'), { clock })
  assert.deepEqual(result, { kind: 'failed', detail: 'nothing was sent: no connection in time' })
})

test('its time gone by: nothing is even tried', async (t) => {
  let connections = 0
  const url = await rawServer(t, () => connections++)
  const result = await post({ url, headers: {}, body: '{}' }, yes, AbortSignal.abort())
  assert.deepEqual(result, { kind: 'failed', detail: 'nothing was sent: its time had passed before it began' })
  assert.equal(connections, 0)
})

test('mayStart is asked once, after the connection stands and before a byte is written', async (t) => {
  let received = 0
  let asked = 0
  let closed: () => void
  const ended = new Promise<void>((resolve) => (closed = resolve))
  const url = await rawServer(t, (socket) => {
    socket.on('data', (chunk) => (received += chunk.length))
    socket.on('close', () => closed())
  })
  const result = await send(url, { mayStart: () => ++asked > 1 })
  assert.deepEqual(result, { kind: 'failed', detail: 'nothing was sent: the send window had passed' })
  await ended
  assert.deepEqual({ asked, received }, { asked: 1, received: 0 })
})
