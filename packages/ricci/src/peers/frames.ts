/**
 * A long answer in parts: kind (1 byte), length (4, big-endian), so many bytes. Its last part says that it is whole, or why not; one that
 * ends without is broken.
 */
import type { Readable, Writable } from 'node:stream'
import type { Clock } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import { maxFrameBytes, silentPeerMs } from './limits.ts'

/**
 * What a part is: JSON that the answer begins with, bytes of a page, JSON that goes with the next page, a sign of life, the end of a whole
 * answer, JSON that says why it ends early.
 */
export const Part = { begin: 1, page: 2, notice: 3, alive: 4, end: 5, error: 6 } as const
export type Part = (typeof Part)[keyof typeof Part]

/** A part of an answer. */
export interface Frame {
  readonly part: Part
  readonly bytes: Uint8Array
}

const headBytes = 5

/** Writes a part; false: what was written waits to be read. */
export function writeFrame(to: Writable, part: Part, bytes: Uint8Array): boolean {
  const head = Buffer.alloc(headBytes)
  head[0] = part
  head.writeUInt32BE(bytes.length, 1)
  to.cork()
  to.write(head)
  const more = to.write(bytes)
  to.uncork()
  return more
}

/** Writes a part of JSON. */
export function writeJsonFrame(to: Writable, part: Part, value: unknown): boolean {
  return writeFrame(to, part, Buffer.from(JSON.stringify(value)))
}

/**
 * Reads an answer part by part, no faster than they are taken.
 * @throws RicciError `PEER_UNREACHABLE` when it breaks off, or nothing comes for {@link silentPeerMs}
 */
export async function* readFrames(from: Readable, peer: string, clock: Clock): AsyncGenerator<Frame, void, undefined> {
  const reader = new PartReader(from, peer, clock)
  let whole = false
  try {
    while (!whole) {
      const head = await reader.take(headBytes)
      const part = head[0] as Part
      const length = head.readUInt32BE(1)
      if (part < Part.begin || part > Part.error || length > maxFrameBytes) {
        throw new RicciError('PEER_UNREACHABLE', `${peer} answered something that is not understood`)
      }
      const bytes = await reader.take(length)
      whole = part === Part.end || part === Part.error
      yield { part, bytes }
    }
  } finally {
    reader.close(whole)
  }
}

/** Takes so many bytes of a stream, waiting for them. */
class PartReader {
  private wake = (): void => undefined
  private over = false
  private readonly told = (): void => this.wake()
  private readonly ended = (): void => {
    this.over = true
    this.wake()
  }

  constructor(
    private readonly from: Readable,
    private readonly peer: string,
    private readonly clock: Clock,
  ) {
    from.on('readable', this.told)
    for (const event of ['end', 'error', 'close'] as const) from.on(event, this.ended)
  }

  async take(length: number): Promise<Buffer> {
    if (length === 0) return Buffer.alloc(0)
    // a stream gives so many at once or, at its end, fewer: longer ones than it would buffer are put together here
    const parts: Buffer[] = []
    for (let left = length; left > 0;) {
      const piece = this.piece(left)
      if (piece === null) {
        if (this.over) throw new RicciError('PEER_UNREACHABLE', `${this.peer} broke off in the middle of an answer`)
        await this.more()
        continue
      }
      parts.push(piece)
      left -= piece.length
    }
    return parts.length === 1 ? parts[0] : Buffer.concat(parts, length)
  }

  /** @param whole what follows is HTTP's own; once that is read, the connection serves the next question */
  close(whole: boolean): void {
    const { from } = this
    from.off('readable', this.told)
    for (const event of ['end', 'error', 'close'] as const) from.off(event, this.ended)
    from.on('error', () => undefined)
    if (whole) from.resume()
    else from.destroy()
  }

  private piece(left: number): Buffer | null {
    const { readableLength } = this.from
    if (readableLength === 0) return this.from.read() as Buffer | null
    return this.from.read(Math.min(left, readableLength)) as Buffer | null
  }

  private more(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.clock.setTimer(silentPeerMs, () => {
        this.wake = () => undefined
        reject(new RicciError('PEER_UNREACHABLE', `${this.peer} said nothing for ${silentPeerMs / 1000} s`))
      })
      this.wake = () => {
        timer.cancel()
        this.wake = () => undefined
        resolve()
      }
    })
  }
}
