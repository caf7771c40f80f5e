/**
 * Which partition a key belongs to: the function of RabbitMQ's consistent-hash exchange (Erlang's `phash2`, then the jump consistent
 * hash of Lamping and Veach over the numbers of Erlang's `exs1024`), so that anybody's publisher who uses that exchange, and ours who
 * compute it themselves, agree. Checked against the plugin in `packages/ricci/src/log/rabbitmq/`.
 */

const utf8 = new TextEncoder()

/**
 * The partition of a key, e.g. of a cluster's id.
 * @param key not empty: the exchange treats the empty one otherwise
 * @param partitions of the log, at least 1
 * @throws RangeError for an empty key
 */
export function partitionOf(key: string, partitions: number): number {
  if (key === '') throw new RangeError('A key that chooses a partition must not be empty.')
  return jump(phash2(utf8.encode(key)), partitions)
}

/** Erlang's hash of a binary (Jenkins' lookup2), below 2^27. */
export function phash2(bytes: Uint8Array): number {
  let a = 0x9e3779b9
  let b = 0x9e3779b9
  let c = Math.imul(13, a)
  const mix = (): void => {
    a = (a - b - c) ^ (c >>> 13)
    b = (b - c - a) ^ (a << 8)
    c = (c - a - b) ^ (b >>> 13)
    a = (a - b - c) ^ (c >>> 12)
    b = (b - c - a) ^ (a << 16)
    c = (c - a - b) ^ (b >>> 5)
    a = (a - b - c) ^ (c >>> 3)
    b = (b - c - a) ^ (a << 10)
    c = (c - a - b) ^ (b >>> 15)
  }
  const word = (at: number): number =>
    (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)
  let at = 0
  for (; bytes.length - at >= 12; at += 12) {
    a = (a + word(at)) | 0
    b = (b + word(at + 4)) | 0
    c = (c + word(at + 8)) | 0
    mix()
  }
  // The lowest byte of c is the length's.
  a = (a + word(at)) | 0
  b = (b + word(at + 4)) | 0
  c = (c + bytes.length + (word(at + 8) << 8)) | 0
  mix()
  return c & 0x7ffffff
}

/** The bucket that a hash falls into, of so many. */
function jump(hash: number, buckets: number): number {
  const next = exs1024(hash)
  let bucket = 0
  for (let candidate = 0; candidate < buckets; candidate = Math.trunc((bucket + 1) / next())) bucket = candidate
  return bucket
}

const mask = (1n << 64n) - 1n
const seedFactors = [2097131, 2097133, 2097143]

/** Numbers from 0 to 1 of Erlang's generator `exs1024`, seeded with {hash, hash, hash}. */
function exs1024(hash: number): () => number {
  const [b1, b2, b3] = seedFactors.map((factor) => BigInt((((hash & 0x1fffff) + 1) * factor) % 0x200000))
  let small = (b1 << 43n) | (b2 << 22n) | (b3 << 1n) | 1n
  const state = Array.from({ length: 16 }, () => {
    small ^= small >> 12n
    small ^= (small << 25n) & mask
    small ^= small >> 27n
    return (small * 2685821657736338717n) & mask
  }).reverse()
  let at = 0
  return () => {
    const old = state[at]
    at = (at + 1) & 15
    let s = state[at]
    s ^= (s << 31n) & mask
    s ^= s >> 11n
    state[at] = s ^ old ^ (old >> 30n)
    return Number((state[at] * 1181783497276652981n) & mask) / 2 ** 64
  }
}
