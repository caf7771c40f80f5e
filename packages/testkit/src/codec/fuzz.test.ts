import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CodecError,
  decodeMsg,
  EventCursor,
  frame,
  FrameReader,
  MsgPeek,
  MsgReader,
  SymbolTable,
  validateMsg,
} from '@ricci/client'
import { SeededRandom } from '../random.ts'
import { referenceEncode, type WireEvent } from './reference.ts'

const frames = 1_000_000
const seed = 3

test(`${frames.toLocaleString('en')} mutated frames give a typed error or a valid Msg`, () => {
  // An error's stack costs more than the walk that found it.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    const random = new SeededRandom(seed)
    const corpus = Array.from({ length: 64 }, (_, i) => frame(referenceEncode(msgOf(random, i))))
    const scratch = new Uint8Array(8192)
    const outcomes = new Map<string, number>()
    for (let n = 0; n < frames; n++) {
      const outcome = tryFrame(mutated(random, corpus, scratch))
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    // A run that met no good message, or only one kind of error, has tried nothing.
    for (const wanted of [
      'valid',
      'TRUNCATED',
      'MALFORMED',
      'ATTRIBUTE_WITHOUT_KEY',
      'FRAME_TOO_LARGE',
      'incomplete',
    ]) {
      assert.ok((outcomes.get(wanted) ?? 0) > frames / 10_000, `${wanted}: ${outcomes.get(wanted) ?? 0} of ${frames}`)
    }
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
})

const reader = new MsgReader()
const peek = new MsgPeek()
const cursor = new EventCursor()
let table = new SymbolTable({ maxSymbols: 5_000, maxSets: 2_000 })
let refused = 0

/** What became of a frame; anything but a typed error is thrown, a hang is caught by the runner. */
function tryFrame(bytes: Uint8Array): string {
  const reading = new FrameReader(64 * 1024)
  let msg: Uint8Array | undefined
  let events: number
  try {
    reading.push(bytes)
    msg = reading.next()
    if (msg === undefined) return 'incomplete'
    events = validateMsg(msg)
  } catch (error) {
    if (!(error instanceof CodecError)) throw error
    // a mark that lacks something decodes: only intake minds
    if (msg !== undefined && error.code !== 'MARK_INCOMPLETE') assertRefusedToo(msg)
    return error.code
  }
  // What passed validation decodes, whatever the way.
  assert.equal(decodeMsg(msg).events?.length ?? 0, events)
  reader.open(msg)
  peek.open(msg)
  let read = 0
  for (; reader.next(cursor, table); read++) {
    assert.ok(peek.next())
    peek.attribute('cluster')
    if (reader.overflowed && ++refused % 1000 === 0) table = new SymbolTable({ maxSymbols: 5_000, maxSets: 2_000 })
  }
  assert.equal(read, events)
  return 'valid'
}

/** All of these messages are within the limits, so what validation refuses the decoder refuses. */
function assertRefusedToo(msg: Uint8Array): void {
  try {
    decodeMsg(msg)
  } catch (error) {
    if (error instanceof CodecError) return
    throw error
  }
  assert.fail(`validation refused what decodes: ${Buffer.from(msg).toString('hex')}`)
}

/** One frame with one to four mutations, in `scratch`. */
function mutated(random: SeededRandom, corpus: readonly Uint8Array[], scratch: Uint8Array): Uint8Array {
  const from = random.pick(corpus)
  scratch.set(from)
  let length = from.length
  let keepLength = random.chance(0.05)
  for (let left = 1 + random.below(4); left > 0; left--) {
    const at = Math.min(4 + random.below(length), length - 1)
    switch (random.below(8)) {
      case 0: // a bit
        scratch[at] ^= 1 << random.below(8)
        break
      case 1: // a byte, likely one that means something
        scratch[at] = random.chance(0.5) ? random.pick(telling) : random.below(256)
        break
      case 2: // cut off
        length = Math.max(4, at)
        break
      case 3: // a stretch taken out
        scratch.copyWithin(at, Math.min(length, at + 1 + random.below(8)), length)
        length = Math.max(4, length - 1)
        break
      case 4: // a stretch of another frame put in
        {
          const other = random.pick(corpus)
          const start = random.below(other.length)
          const piece = other.subarray(start, start + random.below(24))
          scratch.copyWithin(at + piece.length, at, length)
          scratch.set(piece, at)
          length += piece.length
        }
        break
      case 5: // a varint without end
        scratch.fill(0xff, at, at + 1 + random.below(11))
        length = Math.max(length, at + 1)
        break
      case 6: // a varint of more bytes than it needs
        {
          const more = 1 + random.below(4)
          scratch.copyWithin(at + more, at, length)
          scratch[at] |= 0x80
          scratch.fill(0x80, at + 1, at + more)
          scratch[at + more] = 0
          length += more
        }
        break
      default: // the frame's own length
        keepLength = true
        scratch[random.below(4)] = random.below(256)
    }
  }
  if (!keepLength) new DataView(scratch.buffer).setUint32(0, length - 4)
  return scratch.subarray(0, length)
}

/** Tags of Msg, Event and Attribute, group tags, a number without field, edges of a varint. */
const telling = [
  0x08, 0x10, 0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x45, 0x4a, 0x50, 0x68, 0x71, 0x7d, 0x0b, 0x0c, 0x33, 0x34, 0x00,
  0x06, 0x07, 0x7f, 0x80, 0xff, 0xc2,
]

function msgOf(random: SeededRandom, n: number): object {
  const text = () => random.pick(['', 'a', 'host-1', 'cpu', 'ok', 'é', '辻斬', 'x'.repeat(130)])
  const events: WireEvent[] = Array.from({ length: n % 4 }, () => ({
    time: random.below(2 ** 31),
    state: text(),
    service: text(),
    host: text(),
    description: text(),
    tags: Array.from({ length: random.below(5) }, text),
    ttl: random.next() * 100,
    attributes: Array.from({ length: random.below(3) }, () => ({
      key: random.chance(0.3) ? 'state' : text(),
      value: text(),
    })),
    timeMicros: random.below(2 ** 31) * 1000,
    metricSint64: random.below(2 ** 31) - 2 ** 30,
    metricD: random.next(),
    metricF: random.next(),
  }))
  return {
    ok: random.chance(0.5),
    error: random.chance(0.3) ? text() : undefined,
    query: random.chance(0.3) ? { string: 'host = "a"' } : undefined,
    events,
    mark: random.chance(0.5) ? { producer: text() || 'p', incarnation: 1, sequence: n + 1, sentAtMs: 1e12 } : undefined,
  }
}
