/** Riemann's protocol over UDP: nothing is answered, so it is counted what became of each. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { encodeMsg } from '@ricci/client'
import type { SeededRandom } from '../../random.ts'
import { mutated, noise } from './bytes.ts'
import { drawFrames } from './riemann.ts'

/** The longest that goes over IPv4. */
const longestBytes = 65_507

/** Sends them. */
export class Datagrams {
  private constructor(
    private readonly socket: Socket,
    private readonly port: number,
    private readonly good: readonly Uint8Array[],
  ) {}

  static async open(port: number, good: readonly Uint8Array[]): Promise<Datagrams> {
    const socket = createSocket('udp4')
    socket.on('error', () => undefined)
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    return new Datagrams(socket, port, good)
  }

  /** Draws one and sends it; gives its kind. */
  async send(random: SeededRandom): Promise<string> {
    const { kind, bytes } = this.draw(random)
    await new Promise<void>((resolve, reject) =>
      this.socket.send(bytes, this.port, '127.0.0.1', (error) => (error === null ? resolve() : reject(error))),
    )
    return kind
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.socket.close(resolve))
  }

  private draw(random: SeededRandom): { readonly kind: string; readonly bytes: Uint8Array } {
    const at = random.next()
    if (at < 0.5) return { kind: 'mutated', bytes: mutated(random, random.pick(this.good), this.good) }
    if (at < 0.6) return { kind: 'noise', bytes: noise(random, random.below(200)) }
    if (at < 0.65) {
      const description = 'd'.repeat(16_000 + random.below(800))
      return { kind: 'long', bytes: encodeMsg({ events: [{ host: 'hostile', description, ttl: 2 }] }) }
    }
    if (at < 0.66) return { kind: 'longest', bytes: Buffer.alloc(longestBytes - random.below(100)) }
    const { kind, bytes } = drawFrames(random, this.good)
    return { kind: `frame: ${kind}`, bytes: bytes.subarray(0, longestBytes) }
  }
}

/** Datagrams that the kernel dropped because a port's buffer was full; proc(5), `net/udp`. */
export function droppedByKernel(port: number): number {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = readFileSync('/proc/net/udp', 'utf8').split('\n')
  const fields = lines.map((line) => line.trim().split(/\s+/)).filter(([, address]) => address?.endsWith(local))
  return fields.reduce((sum, line) => sum + Number(line.at(-1)), 0)
}
