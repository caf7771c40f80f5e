import { maxCredits } from './worker-protocol.ts'

/** Bytes that arrive in pieces for somebody who takes them one by one. */
export class Inbox implements AsyncIterable<Uint8Array> {
  private readonly pieces: Uint8Array[] = []
  private ended = false
  private error: Error | undefined
  private wake: (() => void) | undefined

  /**
   * @param onTaken a piece was taken: the sender may send another
   * @param onLeft who takes them stopped early
   */
  constructor(
    private readonly onTaken: () => void,
    private readonly onLeft: () => void,
  ) {}

  push(piece: Uint8Array): void {
    if (this.pieces.length >= maxCredits) throw new Error('more pieces than credits: the sender does not keep to them')
    this.pieces.push(piece)
    this.wake?.()
  }

  end(error?: Error): void {
    this.ended = true
    this.error = error
    this.wake?.()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        const piece = this.pieces.shift()
        if (piece !== undefined) {
          this.onTaken()
          yield piece
        } else if (this.error !== undefined) throw this.error
        else if (this.ended) return
        else await new Promise<void>((resolve) => (this.wake = resolve))
      }
    } finally {
      if (!this.ended) this.onLeft()
    }
  }
}
