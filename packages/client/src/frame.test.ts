import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { frame, FrameReader } from './index.ts'

function framesOf(reader: FrameReader, chunk: Uint8Array): Uint8Array[] {
  reader.push(chunk)
  const frames: Uint8Array[] = []
  for (let next = reader.next(); next !== undefined; next = reader.next()) frames.push(next)
  return frames
}

test('frames come out as they went in, however the stream was cut', () => {
  const msgs = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 })
  fc.assert(
    fc.property(msgs, fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (msgs, cuts) => {
      const stream = Buffer.concat(msgs.map(frame))
      const reader = new FrameReader()
      const read: Uint8Array[] = []
      for (let at = 0, i = 0; at < stream.length; at += cuts[i++ % cuts.length]) {
        read.push(...framesOf(reader, stream.subarray(at, at + cuts[i % cuts.length])))
      }
      assert.deepEqual(
        read.map((bytes) => [...bytes]),
        msgs.map((bytes) => [...bytes]),
      )
      assert.equal(reader.pendingBytes, 0)
    }),
    { numRuns: 500 },
  )
})

test('a frame within a chunk is a view, not a copy', () => {
  const chunk = Buffer.concat([frame(Uint8Array.of(1, 2)), frame(Uint8Array.of()), frame(Uint8Array.of(3))])
  const frames = framesOf(new FrameReader(), chunk)
  assert.deepEqual(
    frames.map((bytes) => [...bytes]),
    [[1, 2], [], [3]],
  )
  assert.equal(frames[0].buffer, chunk.buffer)
})

test('a large frame in many chunks', () => {
  const msg = new Uint8Array(1_000_000).map((_, i) => i * 7)
  const stream = frame(msg)
  const reader = new FrameReader()
  const read: Uint8Array[] = []
  for (let at = 0; at < stream.length; at += 65_536) read.push(...framesOf(reader, stream.subarray(at, at + 65_536)))
  assert.equal(read.length, 1)
  assert.equal(Buffer.compare(read[0], msg), 0)
})

test('a length beyond the limit is refused before anything is kept for it', () => {
  for (const [code, ...header] of [
    ['FRAME_TOO_LARGE', 0, 0, 1, 1],
    ['FRAME_TOO_LARGE', 0x7f, 0xff, 0xff, 0xff],
    ['NOT_FRAMED', 0x80, 0, 0, 0],
    ['NOT_FRAMED', 0xff, 0xff, 0xff, 0xff],
  ] as const) {
    const reader = new FrameReader(256)
    assert.throws(() => framesOf(reader, Uint8Array.from(header)), { name: 'CodecError', code })
    const split = new FrameReader(256)
    assert.deepEqual(framesOf(split, Uint8Array.from(header.slice(0, 2))), [])
    assert.throws(() => framesOf(split, Uint8Array.from(header.slice(2))), { code })
  }
  assert.equal(framesOf(new FrameReader(256), frame(new Uint8Array(256))).length, 1)
})

test('who speaks another protocol is told', () => {
  const http = /1195725856 bytes was announced; that is how HTTP begins, which another port speaks/
  for (const [first, code, message] of [
    ['GET / HTTP/1.1\r\n', 'NOT_FRAMED', http],
    ['HTTP/1.1 400 Bad Request\r\n', 'NOT_FRAMED', /that is how HTTP begins/],
    ['\x16\x03\x01\x02\x00\x01', 'NOT_FRAMED', /that is how TLS begins/],
    ['hello\n', 'FRAME_TOO_LARGE', /send at most 16777216 at a time/],
  ] as const) {
    assert.throws(() => framesOf(new FrameReader(), Buffer.from(first, 'latin1')), { code, message })
  }
})

test('what is announced takes memory only as it comes', () => {
  const reader = new FrameReader()
  assert.deepEqual(framesOf(reader, Uint8Array.of(0, 0xff, 0xff, 0xff, 1)), [])
  assert.equal(reader.pendingBytes, 1)
})

test('a push before all frames were taken is a mistake of the caller', () => {
  const reader = new FrameReader()
  reader.push(Buffer.concat([frame(Uint8Array.of(1)), frame(Uint8Array.of(2))]))
  reader.next()
  assert.throws(() => reader.push(Uint8Array.of()), /take all frames out/)
})

test('frames come out whole however the bytes are cut, small pieces and large ones mixed', () => {
  const sent = [0, 1, 5, 4_095, 4_096, 70_000, 200_000].map((length) => {
    const msg = new Uint8Array(length)
    for (let i = 0; i < length; i++) msg[i] = (i * 31 + length) & 255
    return msg
  })
  const stream = Buffer.concat([...sent, ...sent].map((msg) => frame(msg)))
  const cuts = [1, 3, 1_000, 4_095, 4_096, 9_000, 65_536]
  for (const first of cuts) {
    for (const second of cuts) {
      const reader = new FrameReader()
      const got: Uint8Array[] = []
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const length = turn % 2 === 0 ? first : second
        const chunk = Buffer.from(stream.subarray(at, at + length))
        at += length
        reader.push(chunk)
        for (let next = reader.next(); next !== undefined; next = reader.next()) got.push(next.slice())
      }
      assert.equal(got.length, 2 * sent.length)
      for (const [i, msg] of got.entries())
        assert.ok(Buffer.compare(msg, sent[i % sent.length]) === 0, `${first}, ${second}: ${i}`)
      assert.equal(reader.pendingBytes, 0)
    }
  }
})
