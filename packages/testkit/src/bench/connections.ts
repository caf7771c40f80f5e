import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeMsg, frame } from '@ricci/client'
import { Daemon } from './daemon.ts'
import { Fleet } from './fleet.ts'
import { framed, LoadGenerator } from './load.ts'
import { compare, median, roundsFor, type Benchmark, type Contender } from './measure.ts'

const rules = `import { index, rules } from 'ricci'
export default rules(index())
`

/** How often in a second something is sent: each time a slice of it. */
const slicesPerSecond = 50

/** `ok: true` as a frame. */
const ackBytes = 6

export const benchmark: Benchmark = {
  about:
    'the whole server: 15,000 events a second in messages of 100 over 10 connections, alone and beside 2,000 connections of one event a second',
  async run(options) {
    const { tiny = false } = options
    const [connections, seconds, hosts] = tiny ? [20, 1, 5] : [2_000, 10, 500]
    const daemon = await Daemon.start(rules)
    const generator = await LoadGenerator.connect(daemon.port, 10, 64)
    const crowd = await Crowd.connect(daemon.port, connections)
    try {
      const fleet = new Fleet({ hosts, startSeconds: Math.floor(Date.now() / 1000), everySeconds: 1 })
      const single = connections * seconds
      const spent = { alone: [] as number[], both: [] as number[] }
      const contender = (name: string, events: number, beside: boolean): Contender => {
        let frames: Uint8Array[] = []
        return {
          name,
          events,
          cpuNs: () => daemon.cpuNs(),
          prepare: () => void (frames = framed(fleet.nextMessages(100))),
          async run() {
            const before = daemon.cpuNs()
            await paced(seconds, async (from, to) => {
              const slice = (count: number): [number, number] => [Math.floor(from * count), Math.floor(to * count)]
              const sent = generator.send(frames.slice(...slice(frames.length)))
              if (beside) crowd.send(...slice(single))
              await sent
            })
            await Promise.all([daemon.applied(), crowd.answered()])
            spent[beside ? 'both' : 'alone'].push(daemon.cpuNs() - before)
          },
        }
      }
      const figures = await compare(
        [
          contender('the bulk load alone', fleet.keys, false),
          contender(`beside it ${connections.toLocaleString('en')} connections`, fleet.keys + single, true),
        ],
        { warm: 1, ...roundsFor(options, 7) },
      )
      const more = median(spent.both) - median(spent.alone)
      const indexed = await daemon.metric('ricci_engine_index_events')
      if (indexed !== fleet.keys + connections)
        throw new Error(`${indexed} keys are in the index, ${fleet.keys + connections} were sent`)
      const share = (ns: number): string => `${((100 * ns) / (seconds * 1e9)).toFixed(1)} % of a core`
      return {
        figures,
        notes: [
          `${connections.toLocaleString('en')} events a second of as many connections cost ${(more / single).toFixed(0)} ns each, ${share(more)} (the bulk load alone: ${share(median(spent.alone))})`,
          `resident: ${(daemon.residentBytes() / 1e6).toFixed(0)} MB`,
        ],
      }
    } finally {
      await Promise.all([generator.close(), crowd.close()])
      await daemon.stop()
    }
  },
}

/** Has the slices of a time sent, each in its turn; from and to: shares of all. */
async function paced(seconds: number, send: (from: number, to: number) => Promise<void>): Promise<void> {
  const slices = seconds * slicesPerSecond
  const began = performance.now()
  for (let slice = 0; slice < slices; slice++) {
    await send(slice / slices, (slice + 1) / slices)
    const waitMs = began + ((slice + 1) * 1_000) / slicesPerSecond - performance.now()
    if (waitMs > 0) await sleep(waitMs)
  }
}

/** Connections that each send an event in their turn, and are acknowledged. */
class Crowd {
  private unanswered = 0
  private wake = (): void => undefined

  private constructor(private readonly sockets: readonly Socket[]) {
    for (const socket of sockets)
      socket.on('data', ({ length }: Buffer) => {
        this.unanswered -= length / ackBytes
        if (this.unanswered <= 0) this.wake()
      })
  }

  static async connect(port: number, count: number): Promise<Crowd> {
    const sockets: Socket[] = []
    // a listener's queue holds some hundred of those who wait to be accepted
    while (sockets.length < count) {
      const some = Array.from({ length: Math.min(100, count - sockets.length) }, () =>
        connect({ host: '127.0.0.1', port, noDelay: true }),
      )
      await Promise.all(some.map((socket) => once(socket, 'connect')))
      sockets.push(...some)
    }
    return new Crowd(sockets)
  }

  /** Those from one number to another send theirs, round and round. */
  send(from: number, to: number): void {
    const { sockets } = this
    const time = Math.floor(Date.now() / 1000)
    for (let n = from; n < to; n++) {
      const at = n % sockets.length
      const event = { host: `single-${at}`, service: 'heartbeat', state: 'ok', metric: n, time, ttl: 120 }
      sockets[at].write(frame(encodeMsg({ events: [event] })))
      this.unanswered++
    }
  }

  /** Resolves once all that was sent is acknowledged. */
  async answered(): Promise<void> {
    while (this.unanswered > 0) await new Promise<void>((resolve) => (this.wake = resolve))
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
