/** What is done to a listener on a connection of its own, and what comes of it. */
import { connect, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { setImmediate as turn } from 'node:timers/promises'
import type { SeededRandom } from '../../random.ts'
import { beforeDeadline } from '../../servers/wait.ts'
import { segments } from './bytes.ts'

/** How the peer leaves: it says that it has sent all, and reads to the end; it breaks off; or it stays, sends a byte now and then, and never reads. */
export type Leave = 'half-close' | 'reset' | 'stay'

export interface Attempt {
  /** So that a run can tell that each kind was tried. */
  readonly kind: string
  readonly bytes: Uint8Array
  readonly leave: Leave
  /** Whether it is sent over a connection that is secured first, where the listener secures any. */
  readonly secured?: boolean
}

/** A listener, and how it is treated. */
export interface Target {
  readonly name: string
  draw(random: SeededRandom): Attempt
  /** A connection for it. */
  open(attempt: Attempt, random: SeededRandom): Promise<Socket>
  /** What is wrong with all that came back; undefined where nothing is. Not asked of who did not read to the end. */
  judge(attempt: Attempt, reply: Buffer): string | undefined
  /** Lines of the server's metrics, without their values, that must have grown. */
  readonly grows: readonly string[]
}

/** A listener closes whoever has said that it sent all, however busy the machine is. */
const closingMs = 60_000

/** What is kept of an answer. */
const maxReplyBytes = 4 << 20

/** So many stay at once. */
const maxStaying = 100

/** Peers that stay. */
export class Staying {
  private readonly sockets: Socket[] = []

  add(socket: Socket): void {
    this.sockets.push(socket)
    socket.pause()
    if (this.sockets.length > maxStaying) breakOff(this.sockets.shift()!)
  }

  /** One of them sends a byte. */
  dribble(random: SeededRandom): void {
    const socket = this.sockets.length === 0 ? undefined : random.pick(this.sockets)
    if (socket?.writable === true) socket.write(Uint8Array.of(random.below(256)))
  }

  /** All of them are gone. */
  async leave(): Promise<void> {
    const closed = this.sockets.map(
      (socket) => socket.destroyed || new Promise((resolve) => socket.once('close', resolve)),
    )
    for (const socket of this.sockets.splice(0)) breakOff(socket)
    await Promise.all(closed)
  }
}

/** A plain connection, from one of many addresses of this machine: the ports of a single one would run out. */
export async function openPlain(port: number, random: SeededRandom): Promise<Socket> {
  const localAddress = `127.0.${1 + random.below(4)}.${1 + random.below(250)}`
  const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true, allowHalfOpen: true })
  await connected(socket, 'connect')
  return socket
}

/** Resolves once a socket says so. @throws Error why it did not come to that */
export function connected(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, resolve)
    socket.once('error', reject)
    // from here on a reset is the listener's right
    socket.on('error', () => undefined)
    socket.once('close', () => reject(new Error('it was closed')))
  })
}

/** What lies in its way is lost. */
function breakOff(socket: Socket): void {
  if (socket instanceof TLSSocket) socket.destroy()
  else socket.resetAndDestroy()
}

/** Does it; gives what is wrong with what came of it. */
export async function tried(
  target: Target,
  attempt: Attempt,
  staying: Staying,
  random: SeededRandom,
): Promise<string | undefined> {
  let socket: Socket
  try {
    socket = await target.open(attempt, random)
  } catch (error) {
    return `it let nobody in: ${(error as Error).message}`
  }
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  const parts: Buffer[] = []
  let bytes = 0
  if (attempt.leave === 'half-close') {
    socket.on('data', (part: Buffer) => {
      bytes += part.length
      if (bytes <= maxReplyBytes) parts.push(part)
    })
    socket.once('end', () => socket.end())
  }
  for (const part of segments(random, attempt.bytes)) {
    if (!socket.writable) break
    socket.write(part)
    await turn()
  }
  if (attempt.leave === 'stay') {
    staying.add(socket)
    return undefined
  }
  if (attempt.leave === 'half-close') socket.end()
  else breakOff(socket)
  if (!(await beforeDeadline(closed, performance.now() + closingMs))) {
    socket.destroy()
    return `its connection was not closed within ${closingMs / 1000} s`
  }
  return attempt.leave === 'half-close' ? target.judge(attempt, Buffer.concat(parts)) : undefined
}
