/** Riemann's protocol, over TCP and TLS: how many of the messages must be answered is worked out from the bytes. */
import { connect as secure } from 'node:tls'
import {
  CodecError,
  decodeMsg,
  defaultLimits,
  encodeMsg,
  frame,
  FrameReader,
  inspectMsg,
  maxReplyBytes,
  type MsgFacts,
} from '@ricci/client'
import type { SeededRandom } from '../../random.ts'
import { connected, openPlain, type Attempt, type Leave, type Target } from './attempt.ts'
import { mutated, noise } from './bytes.ts'

/** Gone from the index soon: what is looked at are the listeners. */
const ttlSeconds = 2

/** Good messages of all kinds. */
export function goodMsgs(random: SeededRandom): Uint8Array[] {
  const event = (n: number) => ({
    host: `hostile-${n % 7}`,
    service: random.pick(['cpu', 'disk /', 'é', '辻斬', 'x'.repeat(130)]),
    state: 'ok',
    description: 'd'.repeat(random.below(300)),
    metric: random.pick([1, -1.5, 2 ** 40, 0]),
    tags: ['a', 'b'].slice(random.below(3)),
    attributes: { cluster: 'c', ...(n % 2 === 0 && { other: 'y' }) },
    time: Math.floor(Date.now() / 1000),
    ttl: ttlSeconds,
  })
  return [
    ...Array.from({ length: 24 }, (_, n) => encodeMsg({ events: Array.from({ length: n % 5 }, () => event(n)) })),
    encodeMsg({ query: 'host = "hostile-1" and metric > 0' }),
    encodeMsg({ query: 'tagged "a" or not (service =~ "c%" and state != nil)' }),
    encodeMsg({ events: [event(1)], query: 'true limit 3' }),
    encodeMsg({ ok: true, error: 'e' }),
  ]
}

/** What other protocols begin with. */
export const strangers: readonly (readonly [kind: string, bytes: Buffer])[] = [
  ['HTTP', Buffer.from('GET /index?query=true HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['HTTP/2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1')],
  ['TLS', Buffer.from('1603010200010001fc0303' + 'ab'.repeat(64), 'hex')],
  ['Graphite', Buffer.from('a.b.c 1 1400000000\n')],
  ['OpenTSDB', Buffer.from('put a 1400000000 1 host=b\n')],
  ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.2\r\n')],
  ['Redis', Buffer.from('*1\r\n$4\r\nPING\r\n')],
  ['Riemann', Buffer.from(frame(encodeMsg({ events: [{ host: 'stranger', ttl: ttlSeconds }] })))],
]

const kinds = [
  ...['mutated', 'mutated', 'mutated', 'mutated', 'good', 'noise', 'stranger', 'announced', 'text', 'query', 'nested'],
  ...['many', 'pipelined', 'empty'],
] as const

/** Draws what is sent as Riemann's frames. */
export function drawFrames(random: SeededRandom, good: readonly Uint8Array[]): Attempt {
  const kind = random.pick(kinds)
  const leave = leaving(random)
  const some = (): Uint8Array[] => Array.from({ length: 1 + random.below(4) }, () => frame(random.pick(good)))
  switch (kind) {
    case 'mutated':
      return { kind, leave, bytes: mutated(random, Buffer.concat(some()), good) }
    case 'good':
      return { kind, leave, bytes: Buffer.concat(some()) }
    case 'noise':
      return { kind, leave, bytes: noise(random, 1 + random.below(2_000)) }
    case 'stranger': {
      const [stranger, bytes] = random.pick(strangers)
      return { kind: `${kind}: ${stranger}`, leave, bytes }
    }
    case 'announced': {
      // a length, and less or more behind it
      const head = Buffer.alloc(4)
      head.writeUInt32BE(random.pick([random.below(64), 2 ** 24, 2 ** 24 + 1, 2 ** 31, 2 ** 32 - 1]))
      return { kind, leave, bytes: Buffer.concat([head, noise(random, random.below(200))]) }
    }
    case 'text':
      return { kind, leave, bytes: frame(textOfBytes(random)) }
    case 'query':
      return { kind, leave, bytes: frame(queryOfBytes(mutated(random, Buffer.from(random.pick(queries)), good))) }
    case 'nested': {
      const depth = 1 + random.below(20_000)
      return { kind, leave, bytes: frame(encodeMsg({ query: `${'('.repeat(depth)}true${')'.repeat(depth)}` })) }
    }
    case 'many': {
      // events of two bytes each; what is good of it is load like any other, so only some are beyond what a message may hold
      const events = random.chance(0.1) ? 45_000 + random.below(15_000) : 1 + random.below(1_000)
      return { kind, leave, bytes: frame(Buffer.alloc(2 * events, Uint8Array.of(0x32, 0))) }
    }
    case 'pipelined':
      return { kind, leave, bytes: Buffer.alloc(4 * (1 + random.below(3_000))) }
    case 'empty':
      return { kind, leave, bytes: new Uint8Array() }
  }
}

const queries = [
  'host = "a" and (service =~ "b%" or metric > 1.5) and not tagged "x"',
  'description ~= "^(a+)+$"',
  'true sort by metric desc limit 5',
  'metric = 9223372036854775807',
]

/** Mostly leaves in order, so that it can be judged. */
export function leaving(random: SeededRandom): Leave {
  const at = random.next()
  return at < 0.7 ? 'half-close' : at < 0.9 ? 'reset' : 'stay'
}

/** An event whose texts are no UTF-8. */
function textOfBytes(random: SeededRandom): Uint8Array {
  const field = (tag: number, bytes: Uint8Array): Buffer => Buffer.concat([Uint8Array.of(tag, bytes.length), bytes])
  const bad = (): Buffer => noise(random, 1 + random.below(40))
  const event = Buffer.concat([field(0x1a, bad()), field(0x22, bad()), Uint8Array.of(0x45, 0, 0, 0, 0x40)])
  return field(0x32, event.subarray(0, 127))
}

function queryOfBytes(text: Uint8Array): Uint8Array {
  const length = (bytes: number): number[] => [(bytes & 0x7f) | 0x80, bytes >> 7]
  const inner = Buffer.concat([Uint8Array.of(0x0a, ...length(text.length)), text])
  return Buffer.concat([Uint8Array.of(0x2a, ...length(inner.length)), inner])
}

const facts: MsgFacts = { events: 0, marked: false, asks: false }

/** How many of the messages are answered before the connection ends. */
function answersOf(bytes: Uint8Array): number {
  const reader = new FrameReader(defaultLimits.maxFrameBytes)
  let answers = 0
  try {
    if (bytes.length > 0) reader.push(bytes)
    for (let msg = reader.next(); msg !== undefined; msg = reader.next()) {
      try {
        inspectMsg(msg, facts, defaultLimits)
      } catch (error) {
        // the one that is told: who asked would not know why it was cut off
        if (!(error instanceof CodecError) || error.code !== 'QUERY_TOO_LONG') throw error
      }
      answers++
    }
  } catch (error) {
    if (!(error instanceof CodecError)) throw error
    // refused in words, and the last
    if (error.code === 'FRAME_TOO_LARGE') answers++
  }
  return answers
}

/** Each message that can be read has its answer, and none has two. */
export function judgeFrames({ bytes }: Attempt, reply: Buffer): string | undefined {
  const reader = new FrameReader(maxReplyBytes)
  let answers = 0
  if (reply.length > 0) reader.push(reply)
  for (let msg = reader.next(); msg !== undefined; msg = reader.next()) {
    if (decodeMsg(msg).ok === undefined) return 'an answer says neither ok nor not'
    answers++
  }
  if (reader.pendingBytes > 0) return 'an answer is not whole'
  const due = answersOf(bytes)
  return answers === due ? undefined : `${answers} answers came, ${due} were due`
}

export function riemannTarget(port: number, random: SeededRandom): Target {
  const good = goodMsgs(random)
  return {
    name: 'tcp',
    draw: (from) => drawFrames(from, good),
    open: (_attempt, from) => openPlain(port, from),
    judge: judgeFrames,
    grows: [
      'ricci_intake_malformed_total{transport="tcp"}',
      'ricci_intake_connections_closed_total{reason="malformed"}',
    ],
  }
}

/** Over TLS: what goes wrong before, in and after the handshake. @param ca who signed the server's certificate */
export function tlsTarget(port: number, ca: string, hello: Uint8Array, random: SeededRandom): Target {
  const good = goodMsgs(random)
  return {
    name: 'tls',
    draw(from) {
      const at = from.next()
      if (at < 0.3) return { ...drawFrames(from, good), secured: true }
      const leave = leaving(from)
      if (at < 0.7) return { kind: 'mutated hello', leave, bytes: mutated(from, hello, [hello]) }
      if (at < 0.8) return { kind: 'half a hello', leave, bytes: hello.subarray(0, from.below(hello.length)) }
      const { kind, bytes } = drawFrames(from, good)
      return { kind: `plain: ${kind}`, leave, bytes }
    },
    async open({ secured }, from) {
      const socket = await openPlain(port, from)
      if (secured !== true) return socket
      const encrypted = secure({ socket, ca, servername: 'localhost' })
      await connected(encrypted, 'secureConnect')
      return encrypted
    },
    judge: (attempt, reply) => (attempt.secured === true ? judgeFrames(attempt, reply) : undefined),
    grows: ['ricci_intake_malformed_total{transport="tls"}', 'ricci_intake_malformed_total{transport="tcp"}'],
  }
}
