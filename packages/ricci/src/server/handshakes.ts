/** Connections of a server over TLS that are not secure yet: whoever says nothing may fill so many places, and keeps no server from ending. */
import type { Socket } from 'node:net'
import type { Server, TLSSocket } from 'node:tls'

/** Counts those of one server, from its making on. */
export class Handshakes {
  /** By address and port: the secure socket is another object than the one it was made of. */
  private readonly sockets = new Map<string, Socket>()

  /** @param onTooMany told of whom there was no place for, by address */
  constructor(server: Server, most: number, onTooMany: (socket: Socket) => void) {
    server.on('connection', (socket: Socket) => {
      if (this.sockets.size >= most) {
        onTooMany(socket)
        socket.destroy()
        return
      }
      const key = keyOf(socket)
      this.sockets.set(key, socket)
      socket.once('close', () => this.sockets.delete(key))
    })
    server.prependListener('secureConnection', (socket: TLSSocket) => this.sockets.delete(keyOf(socket)))
  }

  /** Ends them: the server waits for no one else's. */
  cut(): void {
    for (const socket of this.sockets.values()) socket.destroy()
  }
}

function keyOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`
}
