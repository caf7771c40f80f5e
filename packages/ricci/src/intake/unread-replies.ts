import type { Socket } from 'node:net'
import { stalledWriteMs } from './limits.ts'

/** Whether a peer reads what it is answered; asked now and then. */
export class UnreadReplies {
  /** Since when it has read none of what waits, and how much it had read by then. */
  private sinceMs = 0
  private readBytes = 0

  constructor(private readonly socket: Socket) {}

  /** Whether it has read nothing of what waits for it for {@link stalledWriteMs}. */
  stalled(nowMs: number): boolean {
    const { socket } = this
    const read = socket.bytesWritten - socket.writableLength
    if (socket.writableLength > 0 && read === this.readBytes && this.sinceMs !== 0)
      return nowMs - this.sinceMs > stalledWriteMs
    this.sinceMs = nowMs
    this.readBytes = read
    return false
  }
}
