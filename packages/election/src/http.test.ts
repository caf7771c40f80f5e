import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { Endpoints, systemResolver } from './endpoints.ts'
import { HttpClient, type HttpQuestion } from './http.ts'

type Handler = (request: IncomingMessage, response: ServerResponse, body: string) => void

const live = new AbortController().signal
const token = 'a-token-nobody-may-see'

interface Fake {
  readonly server: Server
  readonly url: string
  readonly sockets: Set<Socket>
}

/** A server that answers as it is told. */
async function serve(context: TestContext, handler: Handler): Promise<Fake> {
  const sockets = new Set<Socket>()
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const part of request) body += part
    handler(request, response, body)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  context.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets }
}

function client(context: TestContext, addresses: string | string[]) {
  const clock = new VirtualClock()
  const endpoints = new Endpoints(addresses, { port: 1, resolver: systemResolver, clock, random: () => 0.5 })
  const http = new HttpClient({ store: 'Consul', endpoints, clock, headers: () => ({ 'x-token': token }) })
  context.after(() => http.close())
  const ask = (path: string, more: Partial<HttpQuestion> = {}) =>
    http.ask({ path, permission: 'key "x" write', signal: live, ...more })
  return { http, ask, clock, endpoints }
}

/** An address where nobody listens. */
async function deserted(context: TestContext): Promise<string> {
  const { server, url } = await serve(context, () => {})
  server.close()
  await once(server, 'close')
  return url
}

describe('asking over HTTP', () => {
  it('sends the length of every body, the headers, and keeps the connection', async (context) => {
    const seen: unknown[] = []
    const { url, sockets } = await serve(context, ({ method, headers }, response, body) => {
      seen.push([method, headers['content-length'], headers['transfer-encoding'], headers['x-token'], body])
      response.end('{"ok":true}')
    })
    const { ask } = client(context, url)
    assert.deepEqual((await ask('/a')).json(), { ok: true })
    await ask('/a', { body: { x: 'é' } })
    await ask('/a', { method: 'PUT' })
    assert.deepEqual(seen, [
      ['GET', '0', undefined, token, ''],
      ['PUT', '10', undefined, token, '{"x":"é"}'],
      ['PUT', '0', undefined, token, ''],
    ])
    assert.equal(sockets.size, 1)
  })

  it('says in its errors what to do, and never the token', async (context) => {
    const { url } = await serve(context, ({ url }, response) => {
      response.statusCode = Number(url!.slice(1))
      response.end(`about ${token}\nand more`)
    })
    const { ask } = client(context, url)
    const table: Record<string, { code: string; retriable: boolean; message: RegExp }> = {
      '/403': {
        code: 'STORE_REFUSED',
        retriable: false,
        message: /refuses \(403: about … and more\): it needs key "x" write/,
      },
      '/401': { code: 'STORE_REFUSED', retriable: false, message: /needs key "x" write/ },
      '/500': { code: 'STORE_UNAVAILABLE', retriable: true, message: /cannot answer now \(500: about …/ },
      '/404': { code: 'BAD_REPLY', retriable: true, message: /answered 404.*is it Consul/ },
      '/302': { code: 'BAD_REPLY', retriable: true, message: /answered 302/ },
    }
    for (const [path, expected] of Object.entries(table)) await assert.rejects(ask(path), expected)
    assert.equal((await ask('/404', { accept: [404] })).status, 404)
    const answer = await ask('/200')
    assert.throws(() => answer.json(), { code: 'BAD_REPLY' })
  })

  it('goes to the next address where nobody listens, and first there from then on', async (context) => {
    const { url } = await serve(context, (_request, response) => void response.end('1'))
    const gone = await deserted(context)
    const { ask, endpoints } = client(context, [gone, url])
    const answer = await ask('/a', { body: 1 })
    assert.equal(answer.endpoint.url, url)
    assert.equal((await endpoints.list(live))[0].url, url)
    await assert.rejects(ask('/a', { endpoint: (await endpoints.list(live))[1] }), {
      code: 'STORE_UNAVAILABLE',
      message: /cannot be reached: connect ECONNREFUSED/,
    })
  })

  it('repeats a read, and nothing else, over a new connection where the kept one had been closed', async (context) => {
    let count = 0
    const { url, sockets } = await serve(context, ({ socket }, response) => {
      // The second question of a connection meets its end.
      if (sockets.has(socket) && (socket as Socket & { asked?: number }).asked) return socket.resetAndDestroy()
      ;(socket as Socket & { asked?: number }).asked = 1
      count++
      response.end('1')
    })
    const { ask } = client(context, url)
    await ask('/a')
    await ask('/a')
    await assert.rejects(ask('/a', { body: 1 }), { code: 'STORE_UNAVAILABLE' })
    await ask('/a')
    await ask('/a', { body: 1, repeatable: true })
    assert.equal(count, 4)
  })

  it('destroys the connection of a question that is given up, and blames the silent address', async (context) => {
    let closed: Promise<unknown> | undefined
    const { url } = await serve(context, ({ socket }) => void (closed = once(socket, 'close')))
    const second = await serve(context, (_request, response) => void response.end('1'))
    const { ask, clock, endpoints } = client(context, [url, second.url])
    const abort = new AbortController()
    const asked = ask('/a', { signal: abort.signal, patienceMs: 500 })
    while (closed === undefined) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(500)
    assert.equal((await endpoints.list(live))[0].url, second.url)
    abort.abort(new Error('enough'))
    await assert.rejects(asked, /enough/)
    await closed
  })

  it('refuses an answer that is too long', async (context) => {
    const { url } = await serve(context, (_request, response) => void response.end('x'.repeat(9 * 1024 * 1024)))
    await assert.rejects(client(context, url).ask('/a'), { code: 'BAD_REPLY', message: /more than 8388608 bytes/ })
  })

  it('gives a stream line by line, in whatever pieces it comes', async (context) => {
    let stop!: () => void
    let closed: Promise<unknown> | undefined
    const { url } = await serve(context, ({ socket }, response) => {
      closed = once(socket, 'close')
      response.write('{"a":1}\n{"a"')
      response.write(':2}\n')
      stop = () => response.end('{"a":3}')
    })
    const { http } = client(context, url)
    const question = { path: '/w', body: {}, method: 'POST' as const, permission: '', signal: live }
    const seen: unknown[] = []
    for await (const value of http.stream<{ a: number }>(question)) {
      seen.push(value.a)
      if (value.a === 2) stop()
    }
    assert.deepEqual(seen, [1, 2, 3])
    for await (const _ of http.stream(question)) break
    await closed
    const abort = new AbortController()
    await assert.rejects(async () => {
      for await (const _ of http.stream({ ...question, signal: abort.signal })) abort.abort(new Error('enough'))
    }, /enough/)
    await closed
  })

  it('a stream that is refused or breaks off says so', async (context) => {
    const { url } = await serve(context, ({ url, socket }, response) => {
      if (url === '/no') response.writeHead(403).end('no')
      else response.write('{"a":1}\n', () => socket.resetAndDestroy())
    })
    const { http } = client(context, url)
    const read = async (path: string): Promise<void> => {
      for await (const _ of http.stream({ path, permission: 'a right', signal: live }));
    }
    await assert.rejects(read('/no'), { code: 'STORE_REFUSED' })
    await assert.rejects(read('/cut'), { code: 'STORE_UNAVAILABLE' })
  })

  it('closes everything', async (context) => {
    let arrived!: () => void
    const underWay = new Promise<void>((resolve) => (arrived = resolve))
    const { url, sockets } = await serve(context, ({ url }, response) =>
      url === '/wait' ? arrived() : void response.end('1'),
    )
    const { ask, http } = client(context, url)
    await ask('/a')
    const waiting = ask('/wait', { waits: true })
    await underWay
    http.close()
    await assert.rejects(waiting, { code: 'CLOSED' })
    await assert.rejects(ask('/a'), { code: 'CLOSED' })
    while (sockets.size > 0) await new Promise((resolve) => setImmediate(resolve))
  })

  it('reads TLS options from text or file, and says which one is wrong', () => {
    const clock = new VirtualClock()
    const endpoints = new Endpoints('x', { port: 1, resolver: systemResolver, clock, random: () => 0 })
    const make = (tls: { ca?: string; cert?: string }) => () =>
      new HttpClient({ store: 'Consul', endpoints, clock, tls }).close()
    make({ ca: '-----BEGIN CERTIFICATE-----' })()
    assert.throws(make({ ca: '/nowhere/ca.pem' }), { code: 'OPTION_INVALID', message: /tls\.ca/ })
    assert.throws(make({ cert: '-----BEGIN' }), { code: 'OPTION_INVALID', message: /together/ })
  })
})
