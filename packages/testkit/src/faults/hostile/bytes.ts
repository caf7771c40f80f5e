/** Bytes that are wrong: made of good ones by changes that are drawn by chance, and cut as a network may cut them. */
import type { SeededRandom } from '../../random.ts'

export function noise(random: SeededRandom, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < length; i++) bytes[i] = random.below(256)
  return bytes
}

/** One to four changes. @param others of which stretches may be put in */
export function mutated(random: SeededRandom, from: Uint8Array, others: readonly Uint8Array[]): Buffer {
  let bytes: Buffer = Buffer.from(from)
  for (let left = 1 + random.below(4); left > 0; left--) bytes = changed(random, bytes, random.pick(others))
  return bytes
}

function changed(random: SeededRandom, bytes: Buffer, other: Uint8Array): Buffer {
  const at = random.below(bytes.length + 1)
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)]
  switch (random.below(7)) {
    case 0: // a bit
      if (at < bytes.length) bytes[at] ^= 1 << random.below(8)
      return bytes
    case 1: // a byte
      if (at < bytes.length) bytes[at] = random.below(256)
      return bytes
    case 2: // cut off
      return before
    case 3: // a stretch taken out
      return Buffer.concat([before, after.subarray(1 + random.below(16))])
    case 4: {
      // a stretch of another put in
      const start = random.below(other.length + 1)
      return Buffer.concat([before, other.subarray(start, start + random.below(64)), after])
    }
    case 5: // a stretch said over and over
      return Buffer.concat([
        before,
        ...Array<Buffer>(random.below(20)).fill(after.subarray(0, 1 + random.below(32))),
        after,
      ])
    default: // bytes that are no UTF-8, and end no number
      return Buffer.concat([before, Buffer.alloc(1 + random.below(12), random.pick([0xff, 0x80, 0xc0, 0x00])), after])
  }
}

/** The same bytes in the segments that they are sent in: mostly one, sometimes a few, sometimes the first ones alone. */
export function segments(random: SeededRandom, bytes: Uint8Array): Uint8Array[] {
  const cuts = random.chance(0.7) ? 0 : random.chance(0.8) ? 1 + random.below(3) : 24
  const parts: Uint8Array[] = []
  let from = 0
  for (let cut = 0; cut < cuts && from < bytes.length; cut++) {
    const length = cuts === 24 ? 1 : 1 + random.below(bytes.length - from)
    parts.push(bytes.subarray(from, from + length))
    from += length
  }
  if (from < bytes.length) parts.push(bytes.subarray(from))
  return parts
}
