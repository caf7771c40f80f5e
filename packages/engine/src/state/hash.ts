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

  /** A double, with every NaN the same. */
  number(value: number): void {
    scratchFloat[0] = value === value ? value : NaN
    this.int(scratchInt[0])
    this.int(scratchInt[1])
  }

  text(value: string): void {
    this.int(value.length)
    for (let i = 0; i < value.length; i++) this.int(value.charCodeAt(i))
  }

  // Bulk goes through four lanes of 32 bits that do not wait for each other (one lane was bound by the latency of its
  // multiplication), and from them into the two above. Each step is a bijection, so no difference is lost before lanes meet.
  ints(values: Int32Array, count: number): void {
    let a = 1
    let b = 2
    let c = 3
    let d = 4
    const whole = count & ~3
    for (let i = 0; i < whole; i += 4) {
      a = step(a, values[i])
      b = step(b, values[i + 1])
      c = step(c, values[i + 2])
      d = step(d, values[i + 3])
    }
    for (let i = whole; i < count; i++) a = step(a, values[i])
    this.#join(a, b, c, d)
  }

  bytes(values: Uint8Array, start: number, count: number): void {
    let lane = count
    const end = start + count
    let i = start
    for (; i + 4 <= end; i += 4) {
      lane = step(lane, (values[i] << 24) | (values[i + 1] << 16) | (values[i + 2] << 8) | values[i + 3])
    }
    let word = 1
    for (; i < end; i++) word = (word << 8) | values[i]
    this.int(step(lane, word))
  }

  /** Doubles of a column chunk, taken as pairs of words; NaN is made canonical here rather than at each write. */
  doubles(values: Float64Array, count: number): void {
    const words = new Int32Array(values.buffer, values.byteOffset, count * 2)
    let a = 1
    let b = 2
    let c = 3
    let d = 4
    for (let i = 0; i < count; i += 2) {
      const nan = values[i] !== values[i]
      a = step(a, nan ? 0 : words[2 * i])
      b = step(b, nan ? 0x7ff80000 : words[2 * i + 1])
      if (i + 1 === count) break
      const other = values[i + 1] !== values[i + 1]
      c = step(c, other ? 0 : words[2 * i + 2])
      d = step(d, other ? 0x7ff80000 : words[2 * i + 3])
    }
    this.#join(a, b, c, d)
  }

  /** The first `state` words of each record of `words`. */
  records(values: Int32Array, count: number, words: number, state: number): void {
    if (state === words) return this.ints(values, count * words)
    let a = 1
    let b = 2
    for (let at = 0; at < count * words; at += words) {
      for (let i = at; i < at + state; i++) {
        const mixed = step(a, values[i])
        a = b
        b = mixed
      }
    }
    this.int(a)
    this.int(b)
  }

  #join(a: number, b: number, c: number, d: number): void {
    this.int(a)
    this.int(b)
    this.int(c)
    this.int(d)
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

const scratchFloat = new Float64Array(1)
const scratchInt = new Int32Array(scratchFloat.buffer)

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
