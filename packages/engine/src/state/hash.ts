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

  // Bulk goes through one lane, kept in a local, and its result into both: half the time, and 32 bits are plenty to find an
  // accident in a comparison made every ten minutes.
  ints(values: Int32Array, count: number): void {
    let lane = this.#a
    for (let i = 0; i < count; i++) lane = mixA(lane, values[i])
    this.int(lane)
  }

  bytes(values: Uint8Array, start: number, count: number): void {
    let lane = this.#a
    const end = start + count
    let i = start
    for (; i + 4 <= end; i += 4) {
      lane = mixA(lane, (values[i] << 24) | (values[i + 1] << 16) | (values[i + 2] << 8) | values[i + 3])
    }
    let word = count
    for (; i < end; i++) word = (word << 8) | values[i]
    this.int(mixA(lane, word))
  }

  /** Doubles of a column chunk, taken as pairs of words; NaN is made canonical here rather than at each write. */
  doubles(values: Float64Array, count: number): void {
    const words = new Int32Array(values.buffer, values.byteOffset, count * 2)
    let lane = this.#a
    for (let i = 0; i < count; i++) {
      if (values[i] !== values[i]) lane = mixA(mixA(lane, 0), 0x7ff80000)
      else lane = mixA(mixA(lane, words[2 * i]), words[2 * i + 1])
    }
    this.int(lane)
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
