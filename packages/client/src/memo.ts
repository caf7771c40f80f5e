import { sameBytes } from './byte-table.ts'

/** The most bytes a memo keeps; longer runs are written anew each time. */
const memoBytes = 256

/** Room that copies by words need behind their end. */
export const copySlack = 4

/**
 * Bytes that were written or read lately: neighbouring events share host, state, tags, attributes and time. An encoder writes
 * them again by a copy when the same texts come again (comparing texts costs 5 ns, encoding one 20 to 40); a reader that finds
 * them again need not decode them. The bytes are a copy: what they came from may hold others by then.
 */
export class ByteMemo {
  length = -1
  private readonly bytes: Uint8Array
  private readonly view: DataView

  constructor(private readonly maxBytes = memoBytes) {
    this.bytes = new Uint8Array(maxBytes + copySlack)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Whether these are the bytes. */
  is(view: DataView, start: number, length: number): boolean {
    return length === this.length && sameBytes(this.view, 0, view, start, length)
  }

  /** Takes over what stands in `from`, if it is not too long. */
  keep(from: Uint8Array, start: number, end: number): void {
    if (end - start > this.maxBytes) {
      this.length = -1
      return
    }
    this.length = end - start
    for (let i = start; i < end; i++) this.bytes[i - start] = from[i]
  }

  /**
   * Writes the bytes again and gives where they end. Goes by words, so up to {@link copySlack} bytes behind the end are
   * overwritten: they must be there, and not be needed.
   */
  copyTo(target: DataView, at: number): number {
    const { view, length } = this
    for (let i = 0; i < length; i += 4) target.setInt32(at + i, view.getInt32(i, true), true)
    return at + length
  }
}

/** A list of texts and the bytes they became. */
export class TextsMemo extends ByteMemo {
  readonly texts: string[] = []
  count = 0

  /** Forgets, and takes in texts one by one. */
  begin(): void {
    this.length = -1
    this.count = 0
  }

  push(text: string): void {
    this.texts[this.count++] = text
  }
}
