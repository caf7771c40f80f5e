import { maxCredits } from './worker-protocol.ts'

type Step = IteratorResult<Uint8Array, undefined>

/**
 * Bytes that arrive in pieces for somebody who takes them one by one. Not a generator: it can be left while it waits.
 */
export class Inbox implements AsyncIterableIterator<Uint8Array, undefined> {
  private readonly pieces: Uint8Array[] = []
  private over = false
  private error: Error | undefined
  private waiting: { resolve: (step: Step) => void; reject: (error: Error) => void } | undefined

  /**
   * @param onTaken a piece was taken: the sender may send another
   * @param onLeft who takes them stopped early
   */
  constructor(
    private readonly onTaken: () => void,
    private readonly onLeft: () => void,
  ) {}

  push(piece: Uint8Array): void {
    if (this.over) return
    if (this.waiting !== undefined) {
      const { resolve } = this.waiting
      this.waiting = undefined
      this.onTaken()
      return resolve({ value: piece, done: false })
    }
    if (this.pieces.length >= maxCredits) throw new Error('more pieces than credits: the sender does not keep to them')
    this.pieces.push(piece)
  }

  /** No more will come. Pieces that wait are still given, then the error is thrown. */
  end(error?: Error): void {
    if (this.over) return
    this.over = true
    this.error = error
    const { waiting } = this
    this.waiting = undefined
    if (waiting === undefined) return
    if (error === undefined) waiting.resolve({ value: undefined, done: true })
    else waiting.reject(error)
  }

  next(): Promise<Step> {
    const piece = this.pieces.shift()
    if (piece !== undefined) {
      this.onTaken()
      return Promise.resolve({ value: piece, done: false })
    }
    const { error } = this
    this.error = undefined
    if (error !== undefined) return Promise.reject(error)
    if (this.over) return Promise.resolve({ value: undefined, done: true })
    return new Promise((resolve, reject) => (this.waiting = { resolve, reject }))
  }

  return(): Promise<Step> {
    if (!this.over) {
      this.onLeft()
      this.end()
    }
    this.pieces.length = 0
    return Promise.resolve({ value: undefined, done: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
