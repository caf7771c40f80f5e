/**
 * Free ports of 127.0.0.1 for servers that are told theirs. They lie below the range that the kernel hands out to others, so that a server which
 * is down finds its port free when it comes back, and above those that servers have by default.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

const firstPort = 20_000
const portCount = 12_000
/** Processes begin far from one another, so that two which look at the same time do not find the same. */
let next = (process.pid * 97) % portCount

/** So many ports that nobody listens on, neither TCP nor UDP, and that this process has not given yet. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let tried = 0; ports.length < count; tried++) {
    if (tried === portCount) throw new Error(`No ${count} free ports of 127.0.0.1 from ${firstPort} on.`)
    const port = firstPort + next
    next = (next + 1) % portCount
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

/** The first of so many ports one after another that nobody listens on. */
export async function freePortRange(count: number): Promise<number> {
  for (let tried = 0; tried < portCount; tried += count) {
    const ports = await freePorts(count)
    if (ports[count - 1] - ports[0] === count - 1) return ports[0]
  }
  throw new Error(`No ${count} free ports of 127.0.0.1 in a row from ${firstPort} on.`)
}

async function isFree(port: number): Promise<boolean> {
  const stream = createServer()
  const datagrams = createSocket('udp4')
  try {
    await Promise.all([
      once(stream.listen(port, '127.0.0.1'), 'listening'),
      once(datagrams.bind(port, '127.0.0.1'), 'listening'),
    ])
    return true
  } catch {
    return false
  } finally {
    await Promise.allSettled([close(stream), close(datagrams)])
  }
}

function close(socket: { close(closed: () => void): void }): Promise<void> {
  return new Promise((resolve) => socket.close(resolve))
}
