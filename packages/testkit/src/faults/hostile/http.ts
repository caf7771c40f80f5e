/** HTTP: events and queries, and server-sent events on a port of their own. */
import type { SeededRandom } from '../../random.ts'
import { openPlain, type Attempt, type Target } from './attempt.ts'
import { mutated, noise } from './bytes.ts'
import { leaving, strangers } from './riemann.ts'

const kinds = [
  ...['mutated', 'mutated', 'mutated', 'good', 'noise', 'stranger', 'deep', 'bytes', 'numbers', 'many', 'large'],
  ...['chunks', 'smuggled', 'headers', 'pipelined', 'target', 'upgrade', 'half', 'query'],
] as const

const host = 'Host: localhost'

/** A whole request. */
export function request(line: string, headers: readonly string[] = [], body: Uint8Array | string = ''): Buffer {
  const bytes = Buffer.from(body as string)
  const all = [`${line} HTTP/1.1`, host, ...headers, ...(bytes.length > 0 ? [`Content-Length: ${bytes.length}`] : [])]
  return Buffer.concat([Buffer.from(`${all.join('\r\n')}\r\n\r\n`, 'latin1'), bytes])
}

const event = '{"host":"hostile","service":"s","metric":1.5,"ttl":2,"tags":["a"],"x":"y"}'
const places = ['POST /events', 'PUT /events', 'POST /api/v1/events', 'PUT /api/v1/events'] as const
const queries = [
  'host = "a"',
  'service =~ "%" and metric > 1',
  '(((true)))',
  'description ~= "^(a+)+$"',
  'true limit 3',
]

const good: readonly Buffer[] = [
  ...places.map((place) => request(place, ['Content-Type: application/json'], `[${event},${event}]`)),
  request('POST /events', [], `${event}\n${event}\n`),
  request(`GET /api/v1/query?query=${encodeURIComponent('host = "hostile"')}&limit=10`),
  ...['/healthz', '/readyz', '/metrics', '/api/v1/status', '/api/v1/incidents?limit=3', '/api/v1/cluster'].map((path) =>
    request(`GET ${path}`),
  ),
  request('HEAD /api/v1/watch?query=true'),
]

const numbers = [
  '1e999',
  '-1e999',
  '9223372036854775808',
  '1'.repeat(500),
  '-0',
  '"NaN"',
  '"9223372036854775808"',
  '1e308',
  'null',
  '[]',
]

function draw(random: SeededRandom): Attempt {
  const kind = random.pick(kinds)
  const leave = leaving(random)
  const place = random.pick(places)
  const posted = (body: Uint8Array | string): Attempt => ({ kind, leave, bytes: request(place, [], body) })
  switch (kind) {
    case 'mutated':
      return { kind, leave, bytes: mutated(random, random.pick(good), good) }
    case 'good':
      return { kind, leave, bytes: random.pick(good) }
    case 'noise':
      return { kind, leave, bytes: noise(random, 1 + random.below(2_000)) }
    case 'stranger': {
      const [stranger, bytes] = random.pick(strangers)
      return { kind: `${kind}: ${stranger}`, leave, bytes }
    }
    case 'deep': {
      const depth = 1 + random.below(30_000)
      const [open, close] = random.pick(['[]', ['{"a":', '}']])
      return posted(`{"host":"hostile","x":${open.repeat(depth)}1${random.chance(0.7) ? close.repeat(depth) : ''}}`)
    }
    case 'bytes':
      return posted(mutated(random, Buffer.from(`[${event}]`), [Buffer.from(event)]))
    case 'numbers':
      return posted(
        `{"host":"hostile","metric":${random.pick(numbers)},"time":${random.pick(numbers)},"ttl":${random.pick(numbers)}}`,
      )
    case 'many':
      return posted(`[${random.pick(['{}', '1', '""', '{"x":1}']).concat(',').repeat(random.below(20_000))}{}]`)
    case 'large':
      return posted(`{"host":"${'h'.repeat(random.pick([8_000, 8_200, 70_000, 1 << 20]))}"}`)
    case 'chunks': {
      const size = random.pick([
        '5',
        '0',
        'ffffffffffffffff',
        '-1',
        'x',
        '5;a=b',
        '5;' + 'x'.repeat(20_000),
        '00000005',
      ])
      const body = `${size}\r\n12345\r\n0\r\n${random.pick(['', 'Trailer: x\r\n', 'x'.repeat(5_000) + ': y\r\n'])}\r\n`
      return { kind, leave, bytes: Buffer.concat([request(place, ['Transfer-Encoding: chunked']), Buffer.from(body)]) }
    }
    case 'smuggled': {
      const more = random.pick([
        'Content-Length: 3',
        'Content-Length: -1',
        'Content-Length: 1e3',
        'Transfer-Encoding: gzip, chunked',
      ])
      return {
        kind,
        leave,
        bytes: request(place, ['Transfer-Encoding: chunked', more], '0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n'),
      }
    }
    case 'headers': {
      const long = Array.from({ length: random.below(400) }, (_, n) => `X-${n}: ${'v'.repeat(random.below(900))}`)
      return { kind, leave, bytes: request('GET /healthz', long) }
    }
    case 'pipelined':
      return { kind, leave, bytes: Buffer.concat(Array.from({ length: random.below(60) }, () => random.pick(good))) }
    case 'target': {
      const path = random.pick([
        '*',
        '//',
        '/%ff',
        '/..%2f..',
        'http://elsewhere/x',
        '/' + 'a'.repeat(9_000),
        '/api/v1/query?query=%',
        '/?' + '&'.repeat(5_000),
      ])
      return {
        kind,
        leave,
        bytes: request(`${random.pick(['GET', 'OPTIONS', 'CONNECT', 'DELETE', 'TRACE', 'PATCH'])} ${path}`),
      }
    }
    case 'upgrade': {
      const headers = [
        'Connection: Upgrade',
        `Upgrade: ${random.pick(['websocket', 'h2c', 'x'])}`,
        'Sec-WebSocket-Version: 7',
      ]
      return {
        kind,
        leave,
        bytes: request(`GET ${random.pick(['/index?query=true', '/healthz', '/nowhere', '/events'])}`, headers),
      }
    }
    case 'half': {
      const whole = request(place, ['Expect: 100-continue'], `[${event}]`)
      return { kind, leave, bytes: whole.subarray(0, random.below(whole.length)) }
    }
    case 'query': {
      const text = mutated(
        random,
        Buffer.from(random.pick(queries)),
        queries.map((query) => Buffer.from(query)),
      )
      const escaped = Array.from(text, (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
      return {
        kind,
        leave,
        bytes: request(`GET /api/v1/query?query=${escaped}&limit=${random.pick(['1', '-1', 'x', '1e9'])}`),
      }
    }
  }
}

/** What the server may answer, whatever it is asked: nothing that is its own fault. */
const statuses = new Set([200, 202, 400, 403, 404, 405, 408, 411, 413, 414, 415, 417, 421, 426, 431, 503])

/** Each answer is one of HTTP's, and none says that the server failed. */
export function judgeHttp(_attempt: Attempt, reply: Buffer): string | undefined {
  const text = reply.toString('latin1')
  if (text !== '' && !text.startsWith('HTTP/1.1 ')) return `it answered ${JSON.stringify(text.slice(0, 100))}`
  for (const [line, status] of text.matchAll(/^HTTP\/1\.1 (\d{3}).*$/gm)) {
    // 100: go on
    if (!statuses.has(Number(status)) && status !== '100') return `it answered ${line}`
  }
  return undefined
}

export function httpTarget(port: number): Target {
  return {
    name: 'http',
    draw,
    open: (_attempt, random) => openPlain(port, random),
    judge: judgeHttp,
    grows: [
      'ricci_intake_malformed_total{transport="http"}',
      'ricci_intake_events_total{transport="http"}',
      'ricci_intake_connections_closed_total{reason="malformed"}',
      'ricci_http_requests_total{status="400"}',
    ],
  }
}

/** Riemann's server-sent events: a stream has no end but that of who reads it. */
export function sseTarget(port: number): Target {
  const asked = queries.map((query) => request(`GET /index?query=${encodeURIComponent(query)}`))
  return {
    name: 'sse',
    draw(random) {
      const leave = leaving(random)
      const at = random.next()
      if (at < 0.3) return { kind: 'good', leave, bytes: random.pick(asked) }
      if (at < 0.6) return { kind: 'mutated', leave, bytes: mutated(random, random.pick(asked), asked) }
      if (at < 0.7) return { kind: 'twice', leave, bytes: Buffer.concat([random.pick(asked), random.pick(asked)]) }
      return draw(random)
    },
    open: (_attempt, random) => openPlain(port, random),
    judge: judgeHttp,
    grows: ['ricci_http_requests_total{status="400"}', 'ricci_http_requests_total{status="404"}'],
  }
}
