import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request, type IncomingMessage } from 'node:http'
import { describe, it } from 'node:test'
import type { RicciError } from '../errors.ts'
import type { HttpBackend, WatchPage } from './backend.ts'
import { refusalOf } from './rebinding.ts'
import { aborted, answerOf, httpServer, none, nothing, serve } from './testing.ts'

describe('HTTP', () => {
  it('is healthy as soon as it answers, and ready when the backend says so', async () => {
    let ready = false
    const { url } = await serve({
      readiness: () => ({ ready, degraded: ready ? [] : [{ part: 'engine', detail: 'restoring' }] }),
    })
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
    const not = await fetch(`${url}/readyz`)
    assert.equal(not.status, 503)
    assert.deepEqual(await not.json(), { ready: false, degraded: [{ part: 'engine', detail: 'restoring' }] })
    ready = true
    assert.equal((await fetch(`${url}/readyz`)).status, 200)
  })

  it('asks for a bounded part of the incidents, and hands on the cursor', async () => {
    const asked: unknown[] = []
    const { url } = await serve({
      incidents: async (request) => {
        asked.push(request)
        return '{"cursor":"open.1.2"}'
      },
    })
    for (const query of ['', '?limit=1000&cursor=open.1.2'])
      assert.equal((await fetch(`${url}/api/v1/incidents${query}`)).status, 200)
    assert.deepEqual(asked, [
      { limit: 200, cursor: undefined },
      { limit: 1_000, cursor: 'open.1.2' },
    ])
    for (const query of ['limit=0', 'limit=1001', 'cursor=', `cursor=${'x'.repeat(101)}`]) {
      const answer = await fetch(`${url}/api/v1/incidents?${query}`)
      assert.equal(answer.status, 400, query)
      assert.equal(((await answer.json()) as { code: string }).code, 'USAGE')
    }
  })

  it('joins pages of events into one answer', async () => {
    const asked: unknown[] = []
    const { url } = await serve({
      query: async (request) => {
        asked.push(request)
        return answerOf(pages())
      },
    })
    async function* pages(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{"host":"a"},{"host":"b"}')
      yield Buffer.from('{"host":"c"}')
    }
    const answer = await fetch(`${url}/api/v1/query?query=true&limit=3`)
    const events = [{ host: 'a' }, { host: 'b' }, { host: 'c' }]
    assert.deepEqual(await answer.json(), { events, missing: [], fresh: [] })
    assert.deepEqual({ ...(asked[0] as object) }, { query: 'true', limit: 3, cursor: undefined, shape: 'json' })
  })

  it('says which partitions are missing, and how fresh the others are', async () => {
    const missing = [{ partition: 1, code: 'NO_OWNER' }]
    const fresh = [{ partition: 0, instance: 'here', offset: 7, ageMs: 12 }]
    const { url } = await serve({ query: async () => ({ ...answerOf(nothing()), missing, fresh }) })
    assert.deepEqual(await (await fetch(`${url}/api/v1/query?query=true`)).json(), { events: [], missing, fresh })
  })

  it('hands a cursor on, and gives the one that is known at the end', async () => {
    const asked: unknown[] = []
    let known: string | undefined
    const { url } = await serve({
      query: async (request) => {
        asked.push(request.cursor)
        return { ...answerOf(pages()), cursor: () => known }
      },
    })
    async function* pages(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{"host":"a"}')
      known = 'next'
    }
    for (const cursor of ['', 'abc']) {
      const answer = await fetch(`${url}/api/v1/query?query=true&limit=1&cursor=${cursor}`)
      assert.deepEqual(await answer.json(), { events: [{ host: 'a' }], cursor: 'next', missing: [], fresh: [] })
    }
    assert.deepEqual(asked, ['', 'abc'])
  })

  for (const [code, status] of [
    ['QUERY_SYNTAX', 400],
    ['NOT_EVALUATED', 202],
    ['ENGINE_AWAY', 503],
    [undefined, 500],
  ] as const) {
    it(`answers ${status} to an error ${code ?? 'without a code'}`, async () => {
      const { url } = await serve({
        query: async () => {
          throw Object.assign(new Error('the reason'), code === undefined ? {} : { code })
        },
      })
      const answer = await fetch(`${url}/api/v1/query?query=x`)
      assert.equal(answer.status, status)
      assert.equal(((await answer.json()) as { error: string }).error, 'the reason')
    })
  }

  it('has the routes that docs/http.md tells of, each with the role told there', async () => {
    const { server } = await serve({})
    const documented = readFileSync('docs/http.md', 'utf8').matchAll(
      /^\| `(GET|POST) (\S+)`(?: \(`(\w+)`\))? +\| (\w+) /gm,
    )
    const roles = Array.from(documented, ([, method, url, or, role]) =>
      [method, or, method === 'GET' && 'HEAD'].flatMap((one) => (one ? [[`${one} ${url}`, role]] : [])),
    ).flat()
    assert.deepEqual([...server.routes].sort(), roles.sort())
  })

  it('refuses a query that is missing or absurdly long, and an unknown path', async () => {
    const { url } = await serve({})
    assert.equal((await fetch(`${url}/api/v1/query`)).status, 400)
    // the same limit as over TCP, in bytes, however they are spelt
    const asked = (query: string) => fetch(`${url}/api/v1/query?query=${encodeURIComponent(query)}`)
    assert.equal((await asked('"'.repeat(65_536))).status, 200)
    for (const query of ['x'.repeat(65_537), 'é'.repeat(32_769)]) {
      const answer = await asked(query)
      assert.equal(answer.status, 400)
      const { error, code } = (await answer.json()) as { error: string; code: string }
      assert.equal(code, 'USAGE')
      assert.match(error, /^The query has \d+ bytes; at most 65536 are taken\.$/)
    }
    assert.equal((await asked('"'.repeat(100_000))).status, 431)
    const unknown = await fetch(`${url}/nothing?secret=1`)
    assert.equal(unknown.status, 404)
    assert.deepEqual(await unknown.json(), { error: 'There is nothing at /nothing.', code: 'NOT_FOUND' })
  })

  it('is healthy whatever it is asked besides', async () => {
    const { url } = await serve({})
    assert.equal((await fetch(`${url}/healthz?query=a&query=b`)).status, 200)
    assert.equal((await fetch(`${url}/api/v1/query?query=a&query=b`)).status, 400)
  })

  it('answers so many queries at once, and more when those are done', async () => {
    const waiting: (() => void)[] = []
    const { url } = await serve({
      query: async () => {
        await new Promise<void>((resolve) => waiting.push(resolve))
        return answerOf(nothing())
      },
    })
    const ask = () => fetch(`${url}/api/v1/query?query=true`)
    const first = Array.from({ length: 64 }, ask)
    while (waiting.length < 64) await new Promise(setImmediate)
    const refused = await ask()
    assert.deepEqual([refused.status, ((await refused.json()) as { code: string }).code], [503, 'TOO_MANY_QUERIES'])
    for (const resolve of waiting) resolve()
    for (const answer of await Promise.all(first))
      assert.deepEqual(await answer.json(), { events: [], missing: [], fresh: [] })
    const next = ask()
    while (waiting.length < 65) await new Promise(setImmediate)
    waiting[64]()
    assert.equal((await next).status, 200)
  })

  it('cuts off who does not read an answer, and has the engine go no further', async () => {
    let left = false
    const pages = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.alloc(1 << 20, ' ')
      } finally {
        left = true
      }
    }
    const { url } = await serve({ query: async () => answerOf(pages()) }, { stalledReadMs: 50 })
    const asked = request(`${url}/api/v1/query?query=true`).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    // not read: what the kernel does not take stays with the server
    while (!left) await new Promise(setImmediate)
    answer.on('error', () => undefined)
    answer.destroy()
  })

  it('sends a watcher that does not read no signs of life, which would stay in memory', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] })
    const lines = Buffer.alloc(32 << 20, 'x')
    let written = (): void => undefined
    const first = new Promise<void>((resolve) => (written = resolve))
    const watch = async function* (): AsyncGenerator<WatchPage> {
      written()
      yield { lines }
    }
    const { url } = await serve({ watch: async () => watch() })
    const asked = request(`${url}/api/v1/watch?query=true`).end()
    const [answer] = (await once(asked, 'response')) as [IncomingMessage]
    await first
    await new Promise(setImmediate)
    t.mock.timers.tick(1_000 * 15_000)
    let bytes = 0
    for await (const chunk of answer) bytes += (chunk as Buffer).length
    assert.equal(bytes, lines.length)
  })

  it('has its own words for what never comes to a route', async () => {
    const { url, telemetry } = await serve({})
    const unreadable = await fetch(`${url}/%ff`)
    assert.equal(unreadable.status, 400)
    const answer = (await unreadable.json()) as { error: string; code: string }
    assert.deepEqual(Object.keys(answer), ['error', 'code'])
    assert.equal(answer.code, 'USAGE')
    assert.match(answer.error, /%ff/)
    const { values } = await telemetry.metrics.httpRequests.get()
    assert.deepEqual(
      values.map(({ labels, value }) => [labels.status, value]),
      [['400', 1]],
    )
    const body = await fetch(url, { method: 'POST', body: '{', headers: { 'content-type': 'application/json' } })
    assert.deepEqual([body.status, ((await body.json()) as { code: string }).code], [400, 'USAGE'])
  })

  it('tells of a watch without watching to who asks for the head alone', async () => {
    let watching = 0
    const { url } = await serve({
      watch: async () => {
        watching++
        return none()
      },
    })
    for (const [accept, type] of [
      ['application/x-ndjson', 'application/x-ndjson; charset=utf-8'],
      ['text/event-stream', 'text/event-stream; charset=utf-8'],
    ]) {
      const head = await fetch(`${url}/api/v1/watch?query=true`, { method: 'HEAD', headers: { accept } })
      assert.equal(head.status, 200)
      assert.equal(head.headers.get('content-type'), type)
      assert.equal(await head.text(), '')
    }
    assert.equal((await fetch(`${url}/api/v1/watch`, { method: 'HEAD' })).status, 400)
    assert.equal(watching, 0)
    await (await fetch(`${url}/api/v1/watch?query=true`)).text()
    assert.equal(watching, 1)
  })

  it('streams a watch as lines or as server-sent events, and ends it when the watcher goes', async () => {
    const ended: string[] = []
    const { url } = await serve({
      watch: async (query, _shape, signal) =>
        (async function* () {
          yield { lines: Buffer.from('{"host":"a"}\n{"host":"ä"}\n') }
          await aborted(signal)
          ended.push(query)
        })(),
    })
    for (const [accept, expected] of [
      ['application/x-ndjson', '{"host":"a"}\n{"host":"ä"}\n'],
      ['text/event-stream', 'data: {"host":"a"}\n\ndata: {"host":"ä"}\n\n'],
    ]) {
      const watcher = new AbortController()
      const response = await fetch(`${url}/api/v1/watch?query=true`, { headers: { accept }, signal: watcher.signal })
      const { value } = await response.body!.getReader().read()
      assert.equal(new TextDecoder().decode(value), expected)
      watcher.abort()
    }
    while (ended.length < 2) await new Promise((resolve) => setImmediate(resolve))
  })

  it('tells a watcher that reads of a gap, and goes on', async () => {
    const { url } = await serve({
      watch: async (_query, _shape, signal) =>
        (async function* () {
          yield { lines: Buffer.from('{"host":"a"}\n') }
          yield { gap: 'changes are missing', lines: Buffer.from('{"host":"b"}\n') }
          yield { lines: Buffer.from('{"host":"c"}\n') }
          await aborted(signal)
        })(),
    })
    const response = await fetch(`${url}/api/v1/watch?query=true`)
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let text = ''
    while (!text.includes('"c"')) {
      const { value, done } = await reader.read()
      assert.ok(!done, `it ended after ${text}`)
      text += value
    }
    const gap = '{"service":"ricci watch","state":"warning","description":"changes are missing"}'
    assert.equal(text, `{"host":"a"}\n${gap}\n{"host":"b"}\n{"host":"c"}\n`)
    await reader.cancel()
  })

  it('gives a wrong watch its status, and closes while watchers wait', async () => {
    const { url, server } = await serve({
      watch: async (query, _shape, signal) => {
        if (query === 'wrong') throw Object.assign(new Error('wrong'), { code: 'QUERY_SYNTAX' })
        return (async function* () {
          await aborted(signal)
          yield { lines: new Uint8Array(0) }
        })()
      },
    })
    assert.equal((await fetch(`${url}/api/v1/watch?query=wrong`)).status, 400)
    const waiting = await fetch(`${url}/api/v1/watch?query=true`)
    await server.close()
    await waiting.text().catch(() => undefined)
  })

  it('answers only who asks by a name of this machine, and takes nothing from foreign pages', async () => {
    const { url } = await serve({})
    const port = Number(new URL(url).port)
    const ask = (headers: Record<string, string>, method = 'GET'): Promise<{ status: number; text: string }> =>
      new Promise((resolve, reject) => {
        request({ host: '127.0.0.1', port, path: '/api/v1/status', method, headers, agent: false }, (answer) => {
          let text = ''
          answer.on('data', (chunk: Buffer) => (text += chunk.toString()))
          answer.on('end', () => resolve({ status: answer.statusCode!, text }))
        })
          .on('error', reject)
          .end()
      })
    for (const name of ['localhost', `localhost:${port}`, 'LOCALHOST:1', `127.0.0.1:${port}`, `[::1]:${port}`]) {
      assert.equal((await ask({ host: name })).status, 200, name)
    }
    for (const name of ['evil.example', `evil.example:${port}`, 'localhost.evil.example', '127.0.0.1.evil.example']) {
      const { status, text } = await ask({ host: name })
      assert.equal(status, 421, name)
      assert.match(text, /HOST_NOT_ALLOWED/)
      assert.match(text, /add the name to http\.allowedHosts/)
    }
    const local = { host: `127.0.0.1:${port}` }
    // there is no such route: what matters is who is turned away before
    assert.equal((await ask({ ...local, origin: `http://localhost:${port}` }, 'POST')).status, 404)
    for (const origin of ['http://evil.example', 'null']) {
      const { status, text } = await ask({ ...local, origin }, 'POST')
      assert.equal(status, 403, origin)
      assert.match(text, /ORIGIN_NOT_ALLOWED/)
    }
  })

  it('is asked by further names where they are allowed, and by any beyond loopback', () => {
    const from = (host: string, listen: string, allowed: string[] = []) =>
      refusalOf({ host }, 'GET', listen, allowed)?.code
    assert.equal(from('ricci.internal:5556', '127.0.0.1', ['ricci.internal']), undefined)
    assert.equal(from('other.internal', '127.0.0.1', ['ricci.internal']), 'HOST_NOT_ALLOWED')
    assert.equal(from('anything', '0.0.0.0'), undefined)
    assert.equal(from('anything', '0.0.0.0', ['ricci.internal']), 'HOST_NOT_ALLOWED')
    assert.equal(from('127.0.0.7:80', '127.0.0.7'), undefined)
  })

  it('says which port is in use', async () => {
    const { url, telemetry } = await serve({})
    const port = Number(new URL(url).port)
    const second = httpServer({ port, backend: {} as HttpBackend, telemetry })
    await assert.rejects(second.listen(), (error: RicciError) => {
      assert.equal(error.code, 'LISTEN')
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${port}: the port is in use`))
      return true
    })
    await second.close()
  })
})
