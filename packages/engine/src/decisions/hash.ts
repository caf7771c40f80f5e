/** A running 64-bit hash of text in two 32-bit lanes: the same on every machine, without bigints. Not for secrets. */
export class RunningHash {
  #low = 0x811c9dc5
  #high = 0x2f0b4a37

  mix(text: string): void {
    let low = this.#low
    let high = this.#high
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      low = Math.imul(low ^ code, 0x01000193)
      high = Math.imul(high ^ code, 0x5bd1e995)
      high ^= high >>> 15
    }
    // The length tells 'ab','c' from 'a','bc'.
    this.#low = Math.imul(low ^ text.length ^ (low >>> 16), 0x85ebca6b)
    this.#high = Math.imul(high ^ text.length ^ (high >>> 13), 0xc2b2ae35)
  }

  /** 16 hex digits. */
  get text(): string {
    return hex(this.#high) + hex(this.#low)
  }

  set text(digits: string) {
    this.#high = parseInt(digits.slice(0, 8), 16) | 0
    this.#low = parseInt(digits.slice(8), 16) | 0
  }
}

/** Eight hex digits of a 32-bit number. */
export function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0')
}
