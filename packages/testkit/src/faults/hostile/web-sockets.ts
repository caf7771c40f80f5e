/** WebSockets: wrong hand-shakes, and wrong frames after a right one. */
import type { SeededRandom } from '../../random.ts'
import { openPlain, type Attempt, type Target } from './attempt.ts'
import { mutated, noise } from './bytes.ts'
import { judgeHttp, request } from './http.ts'
import { leaving } from './riemann.ts'

const kinds = [
  ...[
    'mutated',
    'mutated',
    'good',
    'noise',
    'unmasked',
    'reserved',
    'opcode',
    'control',
    'pings',
    'pongs',
    'continued',
  ],
  ...['lengths', 'fragments', 'empty fragments', 'text', 'deep', 'close', 'binary', 'hand-shake', 'pieces'],
] as const

const enum Op {
  more = 0,
  text = 1,
  binary = 2,
  close = 8,
  ping = 9,
  pong = 10,
}

/** A frame as clients send it. @param first its first byte: FIN, reserved bits, opcode */
export function clientFrame(first: number, payload: Uint8Array | string, mask = 0x01020304): Buffer {
  const bytes = Buffer.from(payload as string)
  const head = Buffer.alloc(bytes.length < 126 ? 2 : bytes.length < 65_536 ? 4 : 10)
  head[0] = first
  if (bytes.length < 126) head[1] = 0x80 | bytes.length
  else if (bytes.length < 65_536) {
    head[1] = 0x80 | 126
    head.writeUInt16BE(bytes.length, 2)
  } else {
    head[1] = 0x80 | 127
    head.writeBigUInt64BE(BigInt(bytes.length), 2)
  }
  const key = Buffer.alloc(4)
  key.writeUInt32BE(mask)
  for (let i = 0; i < bytes.length; i++) bytes[i] ^= key[i & 3]
  return Buffer.concat([head, key, bytes])
}

const fin = 0x80
const event = '{"host":"hostile","service":"ws","metric":1,"ttl":2}'

/** Asks for one. */
export function handShake(path: string, headers: readonly string[] = []): Buffer {
  return request(`GET ${path}`, [
    ...['Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'],
    ...['Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==', ...headers],
  ])
}

const paths = [
  '/events',
  '/events',
  '/index?query=host+%3D+%22x%22&subscribe=true',
  '/index?query=true',
  '/pubsub/index?query=true',
  '/index',
  '/index?query=(',
]

function draw(random: SeededRandom): Attempt {
  const kind = random.pick(kinds)
  const leave = leaving(random)
  const path = random.pick(paths)
  const sent = (...frames: readonly Buffer[]): Attempt => ({
    kind,
    leave,
    bytes: Buffer.concat([handShake(path), ...frames]),
  })
  const good = (): Buffer => clientFrame(fin | Op.text, event, random.below(2 ** 32))
  switch (kind) {
    case 'mutated':
      return sent(mutated(random, Buffer.concat([good(), good()]), [good()]))
    case 'good':
      return sent(...Array.from({ length: 1 + random.below(20) }, good), clientFrame(fin | Op.close, ''))
    case 'noise':
      return sent(noise(random, random.below(1_000)))
    case 'unmasked': {
      const frame = good()
      frame[1] &= 0x7f
      return sent(frame)
    }
    case 'reserved':
      return sent(good(), clientFrame(fin | ((1 + random.below(7)) << 4) | Op.text, event))
    case 'opcode':
      return sent(good(), clientFrame(fin | random.pick([3, 7, 11, 15]), 'x'))
    case 'control':
      return sent(
        clientFrame(random.pick([fin, 0]) | random.pick([Op.close, Op.ping, Op.pong]), 'x'.repeat(random.below(300))),
      )
    case 'pings':
      return sent(
        ...Array<Buffer>(1 + random.below(500)).fill(clientFrame(fin | Op.ping, 'p'.repeat(random.below(125)))),
      )
    case 'pongs':
      return sent(...Array<Buffer>(1 + random.below(500)).fill(clientFrame(fin | Op.pong, 'p')), good())
    case 'continued':
      return sent(clientFrame(random.pick([fin, 0]) | Op.more, event), good())
    case 'lengths': {
      const length = random.pick([2n ** 20n, 2n ** 20n + 1n, 2n ** 31n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])
      const head = Buffer.alloc(14)
      head[0] = fin | Op.text
      head[1] = 0xff
      head.writeBigUInt64BE(length, 2)
      return sent(head, Buffer.alloc(random.below(2_000)))
    }
    case 'fragments': {
      const parts = 1 + random.below(400)
      const part = clientFrame(Op.more, 'x')
      return sent(clientFrame(Op.text, '"'), ...Array<Buffer>(parts).fill(part), clientFrame(fin | Op.more, '"'))
    }
    case 'empty fragments':
      return sent(clientFrame(Op.text, ''), ...Array<Buffer>(random.below(2_000)).fill(clientFrame(Op.more, '')))
    case 'text':
      return sent(clientFrame(fin | Op.text, noise(random, 1 + random.below(100))), good())
    case 'deep':
      return sent(clientFrame(fin | Op.text, `{"host":"hostile","x":${'['.repeat(1 + random.below(30_000))}`), good())
    case 'close': {
      const code = Buffer.alloc(2)
      code.writeUInt16BE(random.pick([0, 999, 1000, 1005, 1006, 1015, 2999, 3000, 5000, 65_535]))
      return sent(clientFrame(fin | Op.close, Buffer.concat([code, noise(random, random.below(130))])), good())
    }
    case 'binary':
      return sent(clientFrame(fin | Op.binary, event), good())
    case 'hand-shake': {
      const whole = handShake(path, [
        'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99',
        'Sec-WebSocket-Protocol: ,,',
      ])
      return { kind, leave, bytes: mutated(random, whole, [whole]) }
    }
    case 'pieces':
      // the head of a frame and its bytes never together
      return sent(good().subarray(0, 1 + random.below(60)))
  }
}

/** What a server may end a WebSocket with; RFC 6455 section 7.4. */
const closeCodes = new Set([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1013])

/** What follows the hand-shake are whole frames, and none says that the server failed. */
function judge(attempt: Attempt, reply: Buffer): string | undefined {
  const end = reply.indexOf('\r\n\r\n') + 4
  if (!reply.subarray(0, 12).equals(Buffer.from('HTTP/1.1 101'))) return judgeHttp(attempt, reply)
  for (let at = end; at < reply.length;) {
    const code = reply[at] & 15
    let length = reply[at + 1]
    let from = at + 2
    if (length === 126) [length, from] = [reply.readUInt16BE(at + 2), at + 4]
    if (from + length > reply.length) return 'its last frame is not whole'
    if (code === Op.close && length >= 2) {
      const status = reply.readUInt16BE(from)
      // leaving without a frame that says so may be answered in kind
      if (!closeCodes.has(status) && attempt.kind !== 'close' && attempt.kind !== 'mutated')
        return `it closed with ${status}`
    }
    at = from + length
  }
  return undefined
}

export function webSocketTarget(port: number): Target {
  return {
    name: 'websocket',
    draw,
    open: (_attempt, random) => openPlain(port, random),
    judge,
    grows: [
      'ricci_intake_malformed_total{transport="http"}',
      'ricci_intake_events_total{transport="http"}',
      'ricci_intake_connections_closed_total{reason="malformed"}',
      'ricci_http_requests_total{status="101"}',
    ],
  }
}
