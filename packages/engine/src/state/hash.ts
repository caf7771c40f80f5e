/**
 * Two 32-bit lanes of mixing: what replicas compare at checkpoints. Not cryptographic; it finds accidents, not attacks.
 * The mixing is that of MurmurHash3's 32-bit body with different constants per lane.
 */
export class Hasher {
  #a = 0x2f8a16c3
  #b = 0x51c3a9d7

  int(value: number): void {
    this.#a = mixA(this.#a, value)
    this.#b = mixB(this.#b, value)
  }

  text(value: string): void {
    this.int(value.length)
    for (let i = 0; i < value.length; i++) this.int(value.charCodeAt(i))
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return hex(finish(this.#a)) + hex(finish(this.#b))
  }

  /** The lanes as they stand, to be carried in a snapshot. */
  get lanes(): readonly [number, number] {
    return [this.#a, this.#b]
  }
  set lanes(lanes: readonly [number, number]) {
    this.#a = lanes[0] | 0
    this.#b = lanes[1] | 0
  }
}

/**
 * Hash of words in bulk. They go in turn through four lanes of 32 bits that do not wait for each other (one lane was bound by the
 * latency of its multiplication), so that it does not matter into which runs they were cut. Each step is a bijection: no
 * difference is lost before the lanes meet.
 */
export class WordHasher {
  readonly #lanes = new Int32Array([1, 2, 3, 4])
  #count = 0

  add(values: Int32Array, from: number, to: number): void {
    const lanes = this.#lanes
    let i = from
    for (; i < to && (this.#count & 3) !== 0; i++) this.#one(values[i])
    const whole = i + ((to - i) & ~3)
    this.#count += whole - i
    let [a, b, c, d] = lanes
    for (; i < whole; i += 4) {
      a = step(a, values[i])
      b = step(b, values[i + 1])
      c = step(c, values[i + 2])
      d = step(d, values[i + 3])
    }
    lanes[0] = a
    lanes[1] = b
    lanes[2] = c
    lanes[3] = d
    for (; i < to; i++) this.#one(values[i])
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    const hasher = new Hasher()
    hasher.int(this.#count)
    for (const lane of this.#lanes) hasher.int(lane)
    return hasher.digest()
  }

  #one(word: number): void {
    const lane = this.#count++ & 3
    this.#lanes[lane] = step(this.#lanes[lane], word)
  }
}

function step(lane: number, word: number): number {
  const mixed = Math.imul(lane ^ word, 0x9e3779b1 | 0)
  return (mixed << 13) | (mixed >>> 19)
}

function mixA(lane: number, value: number): number {
  return (Math.imul(rotate(lane ^ Math.imul(value, 0xcc9e2d51 | 0), 15), 5) + 0x6546b64) | 0
}

function mixB(lane: number, value: number): number {
  return (Math.imul(rotate(lane ^ Math.imul(value, 0x1b873593), 13), 9) + 0x3ade68b1) | 0
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by))
}

function finish(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b | 0)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35 | 0)
  return (h ^ (h >>> 16)) >>> 0
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0')
}
