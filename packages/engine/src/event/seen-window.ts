/** As many Msgs as a client keeps under way: who sends one again has had no more than so many after it. A kilobyte a producer. */
export const seenWindow = 8_192

/**
 * Which of the latest sequence numbers of a producer were seen, for a sequence that is spread over several partitions: here most of its numbers never
 * come, so that there would be a gap before each that does. What lies further back than {@link seenWindow} counts as not seen: rather a repeat than a
 * loss.
 */
export class SeenWindow {
  /** A bit a number, at its place modulo the window's length; those that are still to come have the bits of those that fell out. */
  readonly #bits = new Uint32Array(seenWindow / 32)

  /** Everything up to the highest was seen, but for what lies in the gaps. */
  static before(
    highest: number,
    gaps: readonly (readonly [first: number, last: number, ...rest: unknown[]])[],
  ): SeenWindow {
    const window = new SeenWindow()
    window.#bits.fill(0xffffffff)
    for (const [first, last] of gaps) window.#clear(Math.max(first, highest - seenWindow + 1), last)
    return window
  }

  /** What {@link toString} gave. */
  static parse(text: string): SeenWindow {
    const window = new SeenWindow()
    for (let i = 0; i < window.#bits.length; i++) window.#bits[i] = Number.parseInt(text.slice(8 * i, 8 * i + 8), 16)
    return window
  }

  /**
   * Takes a number in; false when it was seen before.
   * @param highest that was seen so far
   */
  take(sequence: number, highest: number): boolean {
    if (sequence <= highest - seenWindow) return true
    if (sequence > highest) this.#clear(Math.max(highest + 1, sequence - seenWindow + 1), sequence)
    const place = sequence % seenWindow
    const bit = 1 << (place & 31)
    if ((this.#bits[place >>> 5] & bit) !== 0) return false
    this.#bits[place >>> 5] |= bit
    return true
  }

  toString(): string {
    return Array.from(this.#bits, (word) => word.toString(16).padStart(8, '0')).join('')
  }

  /** None of these was seen; no more than the window holds. */
  #clear(first: number, last: number): void {
    for (let sequence = first; sequence <= last; sequence++) {
      const place = sequence % seenWindow
      this.#bits[place >>> 5] &= ~(1 << (place & 31))
    }
  }
}
