import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { frame } from '@ricci/client'

/** `ok: true` as a frame. */
const ackBytes = 6

/**
 * Clients that each keep so many messages in flight: an ack that comes lets the next message go. The generator costs as little as it
 * can, so that the server is what is waited for.
 */
export class LoadGenerator {
  private constructor(
    private readonly sockets: readonly Socket[],
    private readonly inFlight: number,
  ) {}

  static async connect(port: number, connections: number, inFlight: number): Promise<LoadGenerator> {
    const sockets = Array.from({ length: connections }, () => connect({ host: '127.0.0.1', port, noDelay: true }))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    return new LoadGenerator(sockets, inFlight)
  }

  /** Sends messages, each over whichever connection is free for it; resolves when all are acknowledged. */
  async send(frames: readonly Uint8Array[]): Promise<void> {
    let next = 0
    await Promise.all(
      this.sockets.map(
        (socket) =>
          new Promise<void>((resolve, reject) => {
            let unacknowledged = 0
            let received = 0
            const fill = (): void => {
              socket.cork()
              while (unacknowledged < this.inFlight && next < frames.length) {
                socket.write(frames[next++])
                unacknowledged++
              }
              socket.uncork()
              if (unacknowledged === 0) end()
            }
            const onData = (chunk: Buffer): void => {
              received += chunk.length
              const acks = Math.floor(received / ackBytes)
              received -= acks * ackBytes
              unacknowledged -= acks
              if (unacknowledged < 0) end(new Error('the server answered more than an acknowledgement a message'))
              else fill()
            }
            const onClose = (): void => end(new Error('the server closed a connection'))
            const end = (error?: Error): void => {
              socket.off('data', onData).off('close', onClose)
              if (error === undefined) resolve()
              else reject(error)
            }
            socket.on('data', onData).on('close', onClose)
            fill()
          }),
      ),
    )
  }

  async close(): Promise<void> {
    await Promise.all(
      this.sockets.map(async (socket) => {
        const closed = once(socket, 'close')
        socket.destroy()
        await closed
      }),
    )
  }
}

/** Messages as they go over TCP. */
export function framed(messages: readonly Uint8Array[]): Uint8Array[] {
  return messages.map((message) => frame(message))
}
