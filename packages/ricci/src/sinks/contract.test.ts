// What each kind of sink makes of what may befall a request: the same table for all.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { decodeMsg, encodeMsg, frame, FrameReader, refusalForNow, type Event, type Msg } from '@ricci/client'
import type { FlowBatch, FlowResult } from '@ricci/replica'
import { CertificateAuthority, without } from '@ricci/testkit'
import { parseConfig } from '../config/config.ts'
import { httpPeer, type Fault as HttpFault, type Identity } from '../receivers/misbehaving.ts'
import { TestClock } from '../receivers/testing.ts'
import { seriesOf } from './datadog.ts'
import { lineOf } from './graphite.ts'
import { pointsOf } from './events.ts'
import type { OpenSink } from './kind.ts'
import { sinkKinds } from './kinds.ts'

const secret = 'S3CRET-8f2b1c9d4e'
const at = Date.UTC(2026, 10, 21, 12) / 1000
const sample: Event = {
  host: 'web-7',
  service: 'cpu user',
  metric: 0.5,
  time: at,
  attributes: { rack: 'r1' },
  tags: ['t'],
}

function batches(...events: (readonly Event[])[]): FlowBatch[] {
  return events.map((some, i) => ({ position: i + 1, events: some.length, msg: encodeMsg({ events: some }) }))
}

const three = batches([sample], [{ ...sample, metric: 1 }, sample], [{ ...sample, metric: 3 }])

async function send(
  sink: OpenSink,
  what: FlowBatch[] = three,
  { signal = new AbortController().signal, mayStart = (): boolean => true } = {},
): Promise<FlowResult> {
  const request = { sink: 'it', producer: 'ricci log 0 it', incarnation: 8, batches: what }
  const result = await sink.send(request, mayStart, signal)
  assert.ok(!JSON.stringify(result).includes(secret.slice(0, 8)), JSON.stringify(result))
  return result
}

function open(t: TestContext, settings: Record<string, unknown>, clock = new TestClock()): OpenSink {
  const config = parseConfig(JSON.stringify({ sinks: { it: settings } }), 'test.json', { env: { SECRET: secret } })
  const sink = config.sinks.get('it')!.connect({ clock })
  t.after(() => sink.close?.())
  return sink
}

type Connection = (socket: Socket, ended: AbortController) => void

/** A TCP server for one test; gives its address, and what aborts the request that it is to hang. */
async function peer(t: TestContext, connection: Connection, identity?: Identity) {
  const ended = new AbortController()
  const sockets = new Set<Socket>()
  const take = (socket: Socket): void =>
    connection(
      socket.on('error', () => undefined),
      ended,
    )
  const options = { allowHalfOpen: true }
  const server: Server = identity ? createTlsServer({ ...options, ...identity }, take) : createTcpServer(options, take)
  // those below TLS, too: of a handshake that failed nothing else is told
  server.on('connection', (socket) => void sockets.add(socket.on('error', () => undefined)))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, ended, server, sockets }
}

/** Answers each Msg as told; keeps what came. */
function riemann(answer: (msg: Msg, n: number) => Msg | 'drop' | undefined, got: Msg[] = []): Connection {
  return (socket) => {
    const frames = new FrameReader()
    socket.on('data', (chunk: Uint8Array) => {
      frames.push(chunk)
      for (let bytes = frames.next(); bytes !== undefined; bytes = frames.next()) {
        got.push(decodeMsg(bytes))
        const said = answer(got.at(-1)!, got.length)
        if (said === 'drop') return void socket.destroy()
        if (said !== undefined) socket.write(frame(encodeMsg(said)))
      }
    })
    socket.on('end', () => socket.end())
  }
}

const ok = (): Msg => ({ ok: true })
const reset: Connection = (socket) => void socket.resetAndDestroy()
/** Takes everything, and says nothing until the request's time is over. */
const hang: Connection = (socket, ended) => void socket.once('data', () => ended.abort())
const carbon: Connection = (socket) => void socket.resume().on('end', () => socket.end())

/** What befalls a request, and how far the sink has it then; a text is why not further. */
const table: Readonly<
  Record<string, readonly (readonly [fault: string, Connection, through: number, why?: RegExp])[]>
> = {
  riemann: [
    ['all are taken', riemann(ok), 3],
    ['reset after accept', reset, 0, /ECONNRESET|closed the connection/],
    ['the answer is dropped', riemann((_, n) => (n === 2 ? 'drop' : ok())), 1, /closed the connection|ECONNRESET/],
    ['it hangs', hang, 0, /no answer in time/],
    ['not for now', riemann((_, n) => (n === 3 ? { ok: false, error: refusalForNow('full') } : ok())), 2, /full/],
    [
      'no Riemann',
      (socket) => void socket.once('data', () => socket.write('HTTP/1.1 400\r\n\r\n')),
      0,
      /no Riemann message/,
    ],
  ],
  graphite: [
    ['all are taken', carbon, 3],
    ['reset after accept', reset, 0, /ECONNRESET|ended|EPIPE|closed/],
    ['the end is never answered', (socket, ended) => void socket.resume().on('end', () => ended.abort()), 0, /in time/],
    ['reset in the midst', (socket) => void socket.once('data', () => socket.resetAndDestroy()), 0, /ECONNRESET|ended/],
  ],
}

it('every kind of sink is in the table', () => {
  assert.deepEqual(
    sinkKinds.map(({ type }) => type),
    [...Object.keys(table), 'datadog'],
  )
})

describe('what befalls a request', () => {
  for (const [type, rows] of Object.entries(table)) {
    const settingsOf = (address: string): Record<string, unknown> =>
      type === 'riemann' ? { type, addresses: [address] } : { type, address }

    for (const [fault, connection, through, why] of rows) {
      it(`${type}: ${fault}`, async (t) => {
        const { address, ended } = await peer(t, connection)
        const result = await send(open(t, settingsOf(address)), three, { signal: ended.signal })
        assert.equal(result.through, through, JSON.stringify(result))
        if (why === undefined) assert.deepEqual(result, { through })
        else assert.match(result.failure!.detail, why)
      })
    }

    it(`${type}: connection refused`, async (t) => {
      const { address, server } = await peer(t, reset)
      server.close()
      const { through, failure } = await send(open(t, settingsOf(address)))
      assert.equal(through, 0)
      assert.match(failure!.detail, /ECONNREFUSED/)
    })

    it(`${type}: what may not start is not sent`, async (t) => {
      let bytes = 0
      const { address } = await peer(t, (socket) => void socket.on('data', (chunk) => (bytes += chunk.length)))
      const { through, failure } = await send(open(t, settingsOf(address)), three, { mayStart: () => false })
      assert.equal(through, 0)
      assert.match(failure!.detail, /may not act/)
      assert.equal(bytes, 0)
    })
  }

  const statuses: readonly (readonly [HttpFault, 'taken' | 'refused' | 'failed', retryAfterMs?: number])[] = [
    ['2xx', 'taken'],
    ['400', 'refused'],
    ['408', 'failed'],
    ['429 with Retry-After', 'failed', 120_000],
    ['500', 'failed'],
    ['connection refused', 'failed'],
    ['reset after accept', 'failed'],
    ['accepted and the answer dropped', 'failed'],
    ['slow body', 'taken'],
  ]
  for (const [fault, expected, retryAfterMs] of statuses) {
    it(`datadog: ${fault} is ${expected}`, async (t) => {
      const clock = new TestClock()
      const { host, port } = await httpPeer(t, { fault, clock, identity: { cert: '', key: '' }, yes: '{"errors":[]}' })
      const sink = open(t, { type: 'datadog', apiKey: { env: 'SECRET' }, url: `http://${host}:${port}/` }, clock)
      const { through, failure, refused } = await send(sink)
      assert.equal(through, expected === 'failed' ? 0 : 3)
      assert.equal(failure === undefined, expected !== 'failed')
      assert.equal(failure?.retryAfterMs, retryAfterMs)
      assert.equal(refused?.events, expected === 'refused' ? 4 : undefined)
    })
  }
})

describe('a sink over TLS', { skip: without('openssl') }, () => {
  let folder: string
  let authority: CertificateAuthority
  let identity: Identity
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ricci-sinks-'))
    authority = await CertificateAuthority.create(folder)
    identity = await authority.issue('sink')
  })
  after(() => rmSync(folder, { recursive: true }))

  it('riemann: takes whom its authority vouches for, and nobody else', async (t) => {
    const { address } = await peer(t, riemann(ok), identity)
    const settings = { type: 'riemann', addresses: [address], tls: true }
    assert.deepEqual(await send(open(t, { ...settings, ca: authority.file })), { through: 3 })
    assert.match((await send(open(t, settings))).failure!.detail, /certificate/)
  })
})

describe('the sink riemann', () => {
  it('sends a batch as a Msg of its flow, with a hop more, over a connection that it keeps', async (t) => {
    const got: Msg[] = []
    let connections = 0
    const talk = riemann(ok, got)
    const { address } = await peer(t, (socket, ended) => {
      connections++
      talk(socket, ended)
    })
    const sink = open(t, { type: 'riemann', addresses: [address] })
    await send(sink)
    await send(sink)
    assert.equal(connections, 1)
    const { mark, events } = got[4]
    const { producer, incarnation, sequence } = mark!
    assert.deepEqual([producer, incarnation, sequence], ['ricci log 0 it', 8, 2])
    assert.deepEqual(
      events!.map(({ metric, attributes }) => [metric, attributes]),
      [
        [1, { rack: 'r1', 'ricci-hops': '1' }],
        [0.5, { rack: 'r1', 'ricci-hops': '1' }],
      ],
    )
  })

  it('goes to the next address where one fails or is about to leave', async (t) => {
    const { address: dead, server } = await peer(t, reset)
    server.close()
    const { address: leaving } = await peer(
      t,
      riemann(() => ({ ok: true, draining: true })),
    )
    const got: Msg[] = []
    const { address: well } = await peer(t, riemann(ok, got))
    const sink = open(t, { type: 'riemann', addresses: [dead, leaving, well] })
    assert.equal((await send(sink)).through, 0)
    assert.equal((await send(sink)).through, 3)
    assert.equal(got.length, 0)
    assert.equal((await send(sink)).through, 3)
    assert.equal(got.length, 3)
  })

  it('uses no connection that was closed meanwhile', async (t) => {
    const { address, sockets } = await peer(t, riemann(ok))
    const sink = open(t, { type: 'riemann', addresses: [address] })
    await send(sink)
    const [socket] = sockets
    const gone = once(socket, 'close')
    socket.end()
    await gone
    assert.deepEqual(await send(sink), { through: 3 })
  })

  it('does not send what went in a circle, nor again what was refused', async (t) => {
    const { address } = await peer(
      t,
      riemann((_, n) => (n === 2 ? { ok: false, error: 'a stream threw' } : { ok: true })),
    )
    const circling = { ...sample, attributes: { 'ricci-hops': '4' } }
    const sink = open(t, { type: 'riemann', addresses: [address] })
    const looped = await send(sink, batches([circling, sample]))
    assert.deepEqual(looped, {
      through: 1,
      refused: { events: 1, detail: 'they have made 4 hops: servers send them in a circle' },
    })
    assert.deepEqual(await send(sink, batches([sample, sample])), {
      through: 1,
      refused: { events: 2, detail: 'a stream threw' },
    })
  })
})

describe('points of metrics', () => {
  it('are the events that say a number of a service at a time', () => {
    const others: Event[] = [
      { ...sample, metric: NaN },
      { ...sample, metric: undefined },
      { ...sample, service: '' },
    ]
    const points = pointsOf(batches([sample, ...others, { service: 'n', metric: 2n ** 60n, time: at + 0.7 }]))
    assert.deepEqual(
      points.map(({ service, metric, seconds }) => [service, metric, seconds]),
      [
        ['cpu user', 0.5, at],
        ['n', 2 ** 60, at],
      ],
    )
  })

  it('are lines of Graphite, whatever stands in them', () => {
    const line = (event: Event, tags = true, prefix = ''): string =>
      pointsOf(batches([{ ...sample, ...event }])).map((point) => lineOf(point, { tags, prefix }))[0]
    assert.equal(line({}), `cpu.user;rack=r1;host=web-7 0.5 ${at}\n`)
    assert.equal(line({}, false, 'ours.'), `ours.web-7.cpu.user 0.5 ${at}\n`)
    assert.equal(line({ host: 'a.b' }, false), `a_b.cpu.user 0.5 ${at}\n`)
    const odd = { host: '~;x\n1 2', service: 'a;b=c\n!', attributes: { 'k = 1': ' v', empty: '', name: 'no' } }
    assert.equal(line(odd), `a_b_c._;k___1=_v;host=_x_1_2 0.5 ${at}\n`)
  })

  it('are series of Datadog, those of one name, host and tags together', () => {
    const events = [sample, { ...sample, metric: 2, time: at + 1 }, { service: '9 lives', metric: 1, time: at }]
    assert.deepEqual(seriesOf(batches(events)), [
      {
        metric: 'cpu_user',
        type: 3,
        points: [
          { timestamp: at, value: 0.5 },
          { timestamp: at + 1, value: 2 },
        ],
        resources: [{ name: 'web-7', type: 'host' }],
        tags: ['t', 'rack:r1'],
      },
      { metric: 'm_9_lives', type: 3, points: [{ timestamp: at, value: 1 }], resources: [], tags: [] },
    ])
  })

  it('go to Datadog in parts where they are too many for a request', async (t) => {
    const peerOf = { fault: '2xx', clock: new TestClock(), identity: { cert: '', key: '' }, yes: '{}' } as const
    const { host, port, received } = await httpPeer(t, peerOf)
    const sink = open(t, { type: 'datadog', apiKey: { env: 'SECRET' }, url: `http://${host}:${port}/` })
    const many = batches(
      ...Array.from({ length: 8 }, (_, i) =>
        Array.from({ length: 250 }, (_, k): Event => ({ ...sample, host: `host-${i}-${k}`, tags: ['x'.repeat(190)] })),
      ),
    )
    const { through } = await send(sink, many)
    assert.ok(through > 1 && through < 8, `${through}`)
    assert.ok(received[0].length <= 500_000)
    const { through: further } = await send(sink, many.slice(through))
    assert.ok(further > through)
  })
})
