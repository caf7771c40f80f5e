/** What speaks to Riemann over HTTP speaks to the server: WebSockets, server-sent events, events as JSON. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, it, type TestContext } from 'node:test'
import { WebSocket, type ClientOptions } from 'ws'
import { Bench } from './testing.ts'

interface Told {
  readonly host: string | null
  readonly service: string | null
  readonly state: string | null
  readonly metric: number | null
  readonly time: string
}

/** A WebSocket client that keeps what it is told. */
class Listener {
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly opened: Promise<unknown>
  private readonly told: string[] = []
  private wake = (): void => undefined

  constructor(readonly socket: WebSocket) {
    this.opened = new Promise((resolve) => socket.once('open', resolve))
    socket.on('message', (data: Buffer) => {
      this.told.push(data.toString())
      this.wake()
    })
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
  }

  async next(): Promise<string> {
    while (this.told.length === 0) await new Promise<void>((resolve) => (this.wake = resolve))
    return this.told.shift()!
  }

  async event(): Promise<Told> {
    return JSON.parse(await this.next()) as Told
  }

  get unread(): readonly string[] {
    return this.told
  }
}

async function begin(context: TestContext) {
  const bench = new Bench()
  const any = { host: '127.0.0.1', port: 0 }
  const server = bench.server({ config: bench.config({ listen: { tcp: any, http: any, sse: any } }) })
  const sockets: WebSocket[] = []
  context.after(async () => {
    for (const socket of sockets) socket.terminate()
    await bench.close()
  })
  const { tcp, http, sse } = await server.start()
  await server.ready()
  const client = bench.client(tcp)
  const open = (path: string, options: ClientOptions = {}): Listener => {
    const socket = new WebSocket(`ws://${http}${path}`, options)
    // refused ones are told by a test that expects them
    socket.on('error', () => undefined)
    sockets.push(socket)
    return new Listener(socket)
  }
  const post = (path: string, body: string, method = 'POST', headers: Record<string, string> = {}) =>
    fetch(`http://${http}${path}`, { method, body, headers })
  return { bench, server, http: http!, sse: sse!, client, open, post }
}

const index = (query: string, more = '&subscribe=true'): string => `/index?query=${encodeURIComponent(query)}${more}`

describe('WebSockets as Riemann has them', () => {
  it('tells what matches, then what changes, in the shape that dashboards know', async (context) => {
    const { client, open } = await begin(context)
    const time = Math.floor(Date.now() / 1000) + 0.281
    const iso = (seconds: number): string => new Date(Math.round(seconds * 1000)).toISOString()
    await client.send({ host: 'a', service: 'load', metric: 1.5, state: 'ok', time, ttl: 60 })
    await client.send({ host: 'b', service: 'other', ttl: 60 })
    const listener = open(index('service = "load"'))
    assert.equal(
      await listener.next(),
      `{"host":"a","service":"load","state":"ok","description":null,"metric":1.5,"tags":null,"time":"${iso(time)}","ttl":60.0}`,
    )
    await client.send({ host: 'b', service: 'other', ttl: 60 })
    await client.send({
      host: 'a',
      service: 'load',
      metric: 2,
      time: time + 1,
      ttl: 20.1,
      tags: ['x'],
      attributes: { dc: 'n' },
    })
    assert.equal(
      await listener.next(),
      `{"host":"a","service":"load","state":null,"description":null,"metric":2,"tags":["x"],"time":"${iso(time + 1)}","ttl":20.1,"dc":"n"}`,
    )
  })

  it('without subscribe it tells what matches, and ends', async (context) => {
    const { client, open } = await begin(context)
    await client.send([...'abc'].map((host) => ({ host, service: 's', ttl: 60 })))
    const listener = open(index('host != "b"', ''))
    assert.deepEqual(await listener.closed, { code: 1000, reason: '' })
    assert.deepEqual(listener.unread.map((text) => (JSON.parse(text) as Told).host).sort(), ['a', 'c'])
  })

  it('an expired event comes once, and pubsub tells changes alone', async (context) => {
    const { client, open } = await begin(context)
    await client.send({ host: 'a', service: 's', ttl: 60 })
    const states = open(index('true'))
    const changes = open('/pubsub/index?query=true')
    assert.equal((await states.event()).host, 'a')
    await changes.opened
    // both are there from when the first of these changes reaches them
    let at = 0
    let sync: Told | undefined
    const synced = changes.event().then((event) => (sync = event))
    while (sync === undefined) {
      await client.send({ host: 'sync', service: String(++at), ttl: 60 })
      await Promise.race([synced, new Promise((resolve) => setImmediate(resolve))])
    }
    await client.send({ host: 'a', service: 's', state: 'expired' })
    await client.send({ host: 'end' })
    for (const listener of [states, changes]) {
      const told: Told[] = []
      do told.push(await listener.event())
      while (told.at(-1)!.host !== 'end')
      assert.deepEqual(
        told.filter(({ host }) => host === 'a').map(({ state }) => state),
        ['expired'],
      )
    }
  })

  it('takes an event a message, and answers each in its turn', async (context) => {
    const { client, open } = await begin(context)
    const listener = open('/events')
    await listener.opened
    const sent = [
      '{"host":"w","service":"s","metric":3,"ttl":1000}',
      '{oops',
      '{"metric":"much"}',
      '{"host":"w2","ttl":1000}',
    ]
    for (const text of sent) listener.socket.send(text)
    const answers = [await listener.next(), await listener.next(), await listener.next(), await listener.next()]
    assert.deepEqual([answers[0], answers[3]], ['{}', '{}'])
    assert.match(answers[1], /^\{"error":"not JSON/)
    assert.match(answers[2], /^\{"error":"\\"metric\\" is a number/)
    const found = await client.query('host =~ "w%"')
    assert.deepEqual(found.map(({ host, metric }) => [host, metric]).sort(), [
      ['w', 3],
      ['w2', undefined],
    ])
  })

  it('says why it will not: a wrong query, none, a place that is none, a page of elsewhere, a name that is not its own', async (context) => {
    const { open, http } = await begin(context)
    const wrong = await open(index('service =')).closed
    assert.equal(wrong.code, 1008)
    assert.notEqual(wrong.reason, '')
    assert.deepEqual(await open('/index?subscribe=true').closed, {
      code: 1008,
      reason: 'a query is needed: ?query=true',
    })
    const long = await open(index(`host = "${'a'.repeat(66_000)}"`)).closed
    assert.match(long.reason, /bytes, at most 65536 are taken/)
    const refused = async (path: string, options: ClientOptions = {}): Promise<number | undefined> => {
      const { socket } = open(path, options)
      const [, response] = (await once(socket, 'unexpected-response')) as [unknown, { statusCode?: number }]
      return response.statusCode
    }
    assert.equal(await refused('/elsewhere'), 404)
    assert.equal(await refused('/pubsub/mine?query=true'), 404)
    assert.equal(await refused(index('true'), { headers: { origin: 'http://evil.example' } }), 403)
    assert.equal(await refused(index('true'), { headers: { host: 'evil.example' } }), 421)
    const dashboard = open(index('true', ''), { headers: { origin: 'http://localhost:4567' } })
    assert.equal((await dashboard.closed).code, 1000)
    assert.equal((await fetch(`http://${http}/healthz`)).status, 200)
  })

  it('tells who listens that the server ends', async (context) => {
    const { server, open } = await begin(context)
    const listener = open(index('true'))
    await listener.opened
    await server.stop()
    assert.deepEqual(await listener.closed, { code: 1001, reason: 'the server ends' })
  })

  it('who reads too slowly is waited for, and told what is missing; nobody else waits', async (context) => {
    const { client, open, http } = await begin(context)
    const socket = connect(Number(http.split(':').at(-1)), '127.0.0.1')
    context.after(() => socket.destroy())
    await once(socket, 'connect')
    const headers = `Host: ${http}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${'A'.repeat(22)}==\r\n`
    socket.write(`GET ${index('service = "flood"')} HTTP/1.1\r\n${headers}\r\n`)
    await firstBytes(socket)
    socket.pause()
    const other = open(index('service = "flood" and metric = 7000000'))
    await other.opened
    // three times as much as is kept of descriptions, of which the buffers of the connection hold the lesser part
    const description = 'x'.repeat(500)
    let metric = 0
    for (let msg = 0; msg < 110; msg++) {
      await client.send(
        Array.from({ length: 1_000 }, () => ({ host: 'a', service: 'flood', metric: ++metric, description, ttl: 1e6 })),
      )
    }
    await client.send({ host: 'a', service: 'flood', metric: 7_000_000, ttl: 1e6 })
    assert.equal((await other.event()).metric, 7_000_000)
    const text = await rest(socket)
    assert.match(text, /changes by the records \d+ to \d+ are missing here/)
  })
})

async function firstBytes(socket: Socket): Promise<void> {
  await once(socket, 'readable')
  socket.read()
}

/** What tells of a gap, and the end: it is let go of, or told what matches now. */
async function rest(socket: Socket): Promise<string> {
  let kept = ''
  let last = ''
  for await (const part of socket) {
    last = last.slice(-1_000) + (part as Buffer).toString('latin1')
    if (last.includes('are missing here')) kept ||= last
    if (last.includes('read faster') || last.includes('"metric":7000000')) break
  }
  return kept
}

describe('server-sent events as Riemann has them', () => {
  it('tells what matches, then what changes, on both ports', async (context) => {
    const { client, http, sse } = await begin(context)
    await client.send({ host: 'a', service: 'load', metric: 1, ttl: 60 })
    for (const [i, at] of [http, sse].entries()) {
      const gone = new AbortController()
      const answer = await fetch(`http://${at}${index('service = "load"', '')}`, {
        signal: gone.signal,
        headers: { origin: 'http://localhost:4567' },
      })
      assert.match(answer.headers.get('content-type')!, /^text\/event-stream/)
      assert.equal(answer.headers.get('access-control-allow-origin'), 'http://localhost:4567')
      const events = eventsOf(answer)
      const state = (await events.next()).value!
      assert.deepEqual([state.host, state.metric], ['a', 1 + i])
      await client.send({ host: 'a', service: 'load', metric: 2 + i, ttl: 60 })
      assert.equal((await events.next()).value!.metric, 2 + i)
      gone.abort()
    }
    const elsewhere = await fetch(`http://${sse}${index('true', '')}`, {
      method: 'HEAD',
      headers: { origin: 'http://evil.example' },
    })
    assert.equal(elsewhere.headers.get('access-control-allow-origin'), null)
    assert.equal((await fetch(`http://${sse}/api/v1/status`)).status, 404)
    const wrong = await fetch(`http://${sse}/index?query=host+%3D`)
    assert.deepEqual([wrong.status, ((await wrong.json()) as { code: string }).code], [400, 'QUERY_SYNTAX'])
  })
})

async function* eventsOf(answer: Response): AsyncGenerator<Told, undefined> {
  let text = ''
  try {
    for await (const part of answer.body!.pipeThrough(new TextDecoderStream())) {
      text += part
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const [, data] = /^data: (.*)$/m.exec(text.slice(0, end)) ?? []
        text = text.slice(end + 2)
        if (data !== undefined) yield JSON.parse(data) as Told
      }
    }
  } catch {
    // aborted
  }
}

describe('events over HTTP', () => {
  it('takes them as Riemann does, a line of answer for each', async (context) => {
    const { client, post } = await begin(context)
    for (const [i, method] of ['POST', 'PUT'].entries()) {
      const answer = await post('/events', `{"host":"h${i}","ttl":1000}\n{oops\n{"host":"i${i}","ttl":1000}\n`, method)
      assert.equal(answer.status, 200)
      const [first, second, third] = (await answer.text()).trim().split('\n')
      assert.deepEqual([first, third], ['{}', '{}'])
      assert.match(second, /^\{"error":"not JSON/)
    }
    assert.equal((await post('/events', '')).status, 200)
    assert.equal((await client.query('host =~ "h%" or host =~ "i%"')).length, 4)
  })

  it('takes all of them or none at its own address, from other machines as well', async (context) => {
    const { client, post } = await begin(context)
    const taken = await post('/api/v1/events', '[{"host":"x","ttl":1000},{"host":"y","ttl":1000}]', 'POST', {
      'content-type': 'application/x-www-form-urlencoded',
    })
    assert.deepEqual([taken.status, await taken.json()], [200, { taken: 2 }])
    const refused = await post('/api/v1/events', '[{"host":"z"},{"metric":"much"}]')
    assert.equal(refused.status, 400)
    assert.deepEqual(await refused.json(), {
      error: 'event 2 of 2: "metric" is a number, not "much"; none of them was taken',
      code: 'EVENT_MALFORMED',
    })
    assert.deepEqual((await client.query('true')).map(({ host }) => host).sort(), ['x', 'y'])
  })

  it('an event beyond what one may hold keeps no other out', async (context) => {
    const { client, post } = await begin(context)
    const long = JSON.stringify({ host: 'long', service: 'x'.repeat(9_000) })
    const answer = await post('/events', `{"host":"a","ttl":1000}\n${long}\n{"host":"b","ttl":1000}`)
    const [first, second, third] = (await answer.text()).trim().split('\n')
    assert.deepEqual([first, third], ['{}', '{}'])
    assert.match(second, /^\{"error":"/)
    const whole = await post('/api/v1/events', `[{"host":"c"},${long}]`)
    assert.deepEqual([whole.status, ((await whole.json()) as { code: string }).code], [400, 'EVENT_MALFORMED'])
    assert.deepEqual((await client.query('true')).map(({ host }) => host).sort(), ['a', 'b'])
  })

  it('refuses what is too large, and what a page of elsewhere sends', async (context) => {
    const { post } = await begin(context)
    const large = await post('/events', `{"host":"${'x'.repeat(1 << 20)}"}`)
    assert.deepEqual([large.status, ((await large.json()) as { code: string }).code], [413, 'USAGE'])
    const foreign = await post('/events', '{"host":"a"}', 'POST', { origin: 'http://evil.example' })
    assert.equal(foreign.status, 403)
  })
})
