/**
 * Free ports of 127.0.0.1 for servers that are told theirs. They lie below the range that the kernel hands out to others, so that a server which
 * is down finds its port free when it comes back, and above those that servers have by default.
 *
 * A port that is free when it is looked at may be another process' before its server listens, seconds later. So ports are taken in blocks: who
 * listens on a block's first port, until its process ends, is the only one to give the others.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

const firstPort = 20_000
/** Three brokers' fit in one. */
const blockPorts = 200
const blocks = 60
/** How many one process takes before it gives ports of its own again. */
const blocksEach = 8
/** The next that this process looks at: others begin elsewhere. */
let block = process.pid % blocks
/** First ports of the blocks that are ours. */
const ours: number[] = []
/** Ports of one of them that are to be given. */
let left: number[] = []

/** So many ports that nobody listens on, neither TCP nor UDP, and that neither this process nor another has given. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  for (let tried = 0; ports.length < count; tried++) {
    if (tried > blocksEach * blockPorts)
      throw new Error(`No ${count} free ports of 127.0.0.1 in ${ours.length} blocks.`)
    if (left.length === 0) left = await nextBlock()
    const port = left.shift()!
    if (await isFree(port)) ports.push(port)
  }
  return ports
}

/** The first of so many ports one after another that nobody listens on. */
export async function freePortRange(count: number): Promise<number> {
  if (count >= blockPorts) throw new Error(`${count} ports in a row are more than a block of ${blockPorts} has.`)
  for (;;) {
    if (left.length < count) left = await nextBlock()
    const ports = await freePorts(count)
    if (ports[count - 1] - ports[0] === count - 1) return ports[0]
  }
}

async function nextBlock(): Promise<number[]> {
  if (ours.length < blocksEach) ours.push(await claimBlock())
  else ours.push(ours.shift()!)
  return Array.from({ length: blockPorts - 1 }, (_, index) => ours.at(-1)! + 1 + index)
}

/** The first port of a block that is ours from now on. @throws Error when all are taken */
async function claimBlock(): Promise<number> {
  for (let tried = 0; tried < blocks; tried++) {
    const first = firstPort + block * blockPorts
    block = (block + 1) % blocks
    const guard = createServer().unref()
    try {
      await once(guard.listen(first, '127.0.0.1'), 'listening')
      return first
    } catch {
      // another process has it
    }
  }
  throw new Error(`All ports of 127.0.0.1 from ${firstPort} to ${firstPort + blocks * blockPorts - 1} are taken.`)
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
