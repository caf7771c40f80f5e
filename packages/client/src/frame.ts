import { CodecError } from './errors.ts'
import { maxFrameBytes } from './limits.ts'

/** Riemann reads the length as a signed number, and closes the connection without a word where it is below 0. */
const longestLength = 0x7fff_ffff

/** Pieces of a frame below this are copied together; from here on they are kept as they came. */
const smallPiece = 4096
const gatherBytes = 64 * 1024

/**
 * Cuts a stream of bytes into frames: four bytes of length, big-endian, and then so many bytes. A frame that lies within one
 * chunk is a view into it; only one that spans chunks is copied, once. A frame of length 0 is an empty Msg.
 *
 *     frames.push(chunk)
 *     for (let frame = frames.next(); frame !== undefined; frame = frames.next()) …
 */
export class FrameReader {
  private chunk: Uint8Array = noBytes
  private at = 0
  /** A frame that began in an earlier chunk: its header as far as it came, then its bytes. */
  private header = 0
  private headerBytes = 0
  private partial: Uint8Array[] | undefined
  private partialLength = 0
  private frameLength = 0
  /** Where small pieces go; from `gatherFrom` on they are the last of `partial`. */
  private gather: Uint8Array = noBytes
  private gatherFrom = 0
  private gatherTo = 0

  constructor(private readonly maxBytes = maxFrameBytes) {}

  /** Bytes held back because their frame is not whole yet. */
  get pendingBytes(): number {
    return this.headerBytes + this.partialLength + (this.chunk.length - this.at)
  }

  /** Hands in the next bytes. All frames of the chunk before have to be taken out first. */
  push(chunk: Uint8Array): void {
    if (this.at < this.chunk.length) throw new Error('take all frames out with next() before the next push()')
    this.chunk = chunk
    this.at = 0
  }

  /**
   * The next whole frame, without its length; undefined when more bytes are needed.
   * @throws CodecError `FRAME_TOO_LARGE`, `NOT_FRAMED`: what follows cannot be read any more, close the connection
   */
  next(): Uint8Array | undefined {
    const { chunk } = this
    if (this.partial !== undefined) return this.continuePartial()
    if (this.headerBytes === 0 && chunk.length - this.at >= 4) {
      const { at } = this
      const length = chunk[at] * 0x100_0000 + ((chunk[at + 1] << 16) | (chunk[at + 2] << 8) | chunk[at + 3])
      this.check(length)
      if (chunk.length - at - 4 >= length) {
        this.at = at + 4 + length
        return chunk.subarray(at + 4, this.at)
      }
      this.at = at + 4
      return this.beginPartial(length)
    }
    while (this.at < chunk.length) {
      this.header = this.header * 256 + chunk[this.at++]
      if (++this.headerBytes < 4) continue
      const length = this.header
      this.header = this.headerBytes = 0
      this.check(length)
      if (chunk.length - this.at >= length) {
        this.at += length
        return chunk.subarray(this.at - length, this.at)
      }
      return this.beginPartial(length)
    }
    return undefined
  }

  private beginPartial(length: number): Uint8Array | undefined {
    this.frameLength = length
    this.partial = []
    this.partialLength = 0
    return this.continuePartial()
  }

  /**
   * The pieces are kept as they came and put together once all are there: a length that was announced takes no memory by itself,
   * and nothing is copied twice. Growing one buffer cost as much garbage collection as all the rest of taking a message in.
   */
  private continuePartial(): Uint8Array | undefined {
    const partial = this.partial!
    const take = Math.min(this.frameLength - this.partialLength, this.chunk.length - this.at)
    if (take > 0) this.keep(partial, this.chunk.subarray(this.at, this.at + take))
    this.at += take
    this.partialLength += take
    if (this.partialLength < this.frameLength) return undefined
    this.partial = undefined
    this.partialLength = 0
    // not `new Uint8Array`: it would be filled with zeros first, and of another shape than the views into chunks
    const frame = Buffer.allocUnsafeSlow(this.frameLength)
    let at = 0
    for (const piece of partial) {
      frame.set(piece, at)
      at += piece.length
    }
    return frame
  }

  /** Small pieces are gathered: a peer that sends byte by byte must not make an object, and keep a chunk, of each. */
  private keep(partial: Uint8Array[], piece: Uint8Array): void {
    if (piece.length >= smallPiece) {
      partial.push(piece)
      this.gatherFrom = this.gatherTo
      return
    }
    // nothing of an earlier frame lies in it any more when a frame begins
    if (partial.length === 0) this.gatherFrom = this.gatherTo = 0
    if (this.gatherTo + piece.length > this.gather.length) {
      this.gather = Buffer.allocUnsafeSlow(gatherBytes)
      this.gatherFrom = this.gatherTo = 0
    }
    this.gather.set(piece, this.gatherTo)
    if (this.gatherTo > this.gatherFrom) partial.pop()
    this.gatherTo += piece.length
    partial.push(this.gather.subarray(this.gatherFrom, this.gatherTo))
  }

  private check(length: number): void {
    if (length <= this.maxBytes) return
    const announced = `a frame of ${length} bytes was announced`
    const other = protocolOf(length)
    if (other !== undefined)
      throw new CodecError('NOT_FRAMED', `${announced}; that is how ${other} begins, which another port speaks`)
    if (length > longestLength) throw new CodecError('NOT_FRAMED', `${announced}; no client of Riemann sends so many`)
    throw new CodecError('FRAME_TOO_LARGE', `${announced}; send at most ${this.maxBytes} at a time`)
  }
}

/** What speaks where a frame's length should stand: people mix up ports, and health checks ask each of them for HTTP. */
function protocolOf(length: number): string | undefined {
  if (length >>> 16 === 0x1603) return 'TLS'
  const text = String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)
  return /^(GET |HEAD|POST|PUT |PATC|DELE|OPTI|PRI |HTTP)$/.test(text) ? 'HTTP' : undefined
}

/** A Msg's bytes with their length before them. */
export function frame(msg: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + msg.length)
  new DataView(bytes.buffer).setUint32(0, msg.length)
  bytes.set(msg, 4)
  return bytes
}

const noBytes = new Uint8Array(0)
