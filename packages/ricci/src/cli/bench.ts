import { RiemannTcpClient, type Event } from '@ricci/client'
import { Command, InvalidArgumentError } from 'commander'
import { parseAddress } from '../config/units.ts'
import { withExamples } from './examples.ts'
import { outputOption, table, type OutputFormat } from './output.ts'
import { untilStopped } from './signals.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

interface Options {
  readonly server: string
  readonly events: number
  readonly seconds: number
  readonly connections: number
  readonly batch: number
  readonly hosts: number
  readonly output: OutputFormat
}

/** How a load was taken. */
export interface BenchResult {
  readonly sent: number
  readonly acked: number
  readonly failed: number
  /** What the first that failed was told. */
  readonly failure?: string
  readonly seconds: number
  readonly ackedPerSecond: number
  /** From when a message was due to its ack: what a server that stands still makes late counts, also for those not yet sent. */
  readonly ackMs: { readonly p50: number; readonly p99: number; readonly most: number }
}

/** Long enough to be looked at, short enough to be gone when one looks for something else. */
const ttlSeconds = 30
/** What waits for an ack, in messages of one connection: beyond it the server does not keep up, and that is the result. */
const mostOutstanding = 1_000
/** Messages a second times seconds: what is remembered of each is a number. */
const mostMessages = 5_000_000
const turnMs = 5

export function benchCommand(surroundings: Surroundings): Command {
  const { env, complain, write } = surroundings
  const command = new Command('bench')
    .description('put a load on a server, and say how fast it acknowledged')
    .option('--server <host:port>', 'where to send', env.RICCI_SERVER ?? '127.0.0.1:5555')
    .option('--events <rate>', 'so many a second, like 10000/s', rateOf, 10_000)
    .option('--seconds <count>', 'for so long', countOf(3_600), 10)
    .option('--connections <count>', 'over so many connections', countOf(1_000), 4)
    .option('--batch <count>', 'so many events in a message', countOf(10_000), 100)
    .option('--hosts <count>', 'of so many hosts, ricci-bench-1 and on', countOf(100_000), 100)
    .addOption(outputOption())
    .action(async (options: Options) => {
      const address = parseAddress(options.server)
      if (address === undefined) {
        const text = `"${options.server}" is no address; write host:port like 127.0.0.1:5555`
        throw new CommandError(ExitCode.usage, text)
      }
      if ((options.events / options.batch) * options.seconds > mostMessages) {
        const text = `that is more than ${mostMessages} messages; take a larger --batch, or fewer --seconds`
        throw new CommandError(ExitCode.usage, text)
      }
      complain(notice)
      const stopped = untilStopped(surroundings)
      const clients = Array.from({ length: options.connections }, () => new RiemannTcpClient(address))
      try {
        const result = await load(clients, options, stopped.signal, progressOf(surroundings, options))
        write(options.output === 'json' ? `${JSON.stringify(result)}\n` : resultTable(result))
        if (result.failed > 0) {
          const text = `${result.failed} events were not acknowledged: ${result.failure}`
          throw new CommandError(ExitCode.failed, text)
        }
      } finally {
        stopped.dispose()
        await Promise.all(clients.map((client) => client.close()))
      }
    })
  return withExamples(
    command,
    ['ricci bench', 'ricci bench --events 50000/s --seconds 60 --server ricci.example.org:5555'],
    `The events are of hosts ricci-bench-1 and on, state ok, tag ricci-bench, with a ttl of ${ttlSeconds} s. The rules in force see them, and see them
expire: rules that page for any host that falls silent leave them out by: not tagged "ricci-bench"`,
  )
}

const notice = `The rules in force see these events, and see them expire ${ttlSeconds} s later (hosts ricci-bench-N, tag ricci-bench).\n`

function progressOf({ attended, complain }: Surroundings, { seconds }: Options): (passedMs: number) => void {
  let told = 0
  return (passedMs) => {
    const second = Math.floor(passedMs / 1000)
    if (attended !== true || second < 2 || second === told) return
    told = second
    complain(`\r${second} of ${seconds} s …${passedMs >= seconds * 1000 ? '\r\u001b[K' : ''}`)
  }
}

/** Sends as a clock says, whether or not the server keeps up, until the time is over or the signal aborts; then waits for what is on its way. */
async function load(
  clients: readonly Pick<RiemannTcpClient, 'send' | 'outstanding'>[],
  { events, seconds, batch, hosts }: Options,
  until: AbortSignal,
  progress: (passedMs: number) => void,
): Promise<BenchResult> {
  const latencies: number[] = []
  const waiting = new Set<Promise<void>>()
  const totals = { sent: 0, acked: 0, failed: 0 }
  let failure: string | undefined
  const startedMs = performance.now()
  const endMs = startedMs + seconds * 1000
  let next = 0
  const dueMs = (message: number): number => startedMs + ((message * batch) / events) * 1000
  while (!until.aborted && performance.now() < endMs) {
    while (dueMs(next) <= performance.now()) {
      const client = clients[next % clients.length]
      if (client.outstanding >= mostOutstanding) break
      const dueAtMs = dueMs(next)
      const message = messageOf(next * batch, batch, hosts)
      next++
      totals.sent += batch
      const done = client.send(message).then(
        () => {
          totals.acked += batch
          latencies.push(performance.now() - dueAtMs)
        },
        (error: Error) => {
          totals.failed += batch
          failure ??= error.message
        },
      )
      waiting.add(done)
      void done.then(() => waiting.delete(done))
    }
    progress(performance.now() - startedMs)
    await new Promise((resolve) => setTimeout(resolve, turnMs))
  }
  await Promise.all(waiting)
  progress(seconds * 1000)
  const tookS = (performance.now() - startedMs) / 1000
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => rounded(latencies[Math.floor(share * (latencies.length - 1))] ?? 0)
  return {
    ...totals,
    ...(failure !== undefined && { failure }),
    seconds: rounded(tookS),
    ackedPerSecond: Math.round(totals.acked / tookS),
    ackMs: { p50: at(0.5), p99: at(0.99), most: at(1) },
  }
}

function messageOf(first: number, count: number, hosts: number): Event[] {
  const time = Date.now() / 1000
  return Array.from({ length: count }, (_, n) => {
    const at = first + n
    const host = `ricci-bench-${(at % hosts) + 1}`
    // services that agents and instances use for themselves are told apart from hosts' own, as in the list of silent hosts
    const service = `ricci bench ${Math.floor(at / hosts) % servicesPerHost}`
    return { host, service, state: 'ok', metric: at, time, ttl: ttlSeconds, tags: ['ricci-bench'] }
  })
}

const servicesPerHost = 10

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}

function resultTable({ sent, acked, seconds, ackedPerSecond, ackMs }: BenchResult): string {
  const rows = [
    ['sent', `${sent} events in ${seconds} s`],
    ['acknowledged', `${acked}, ${ackedPerSecond} a second`],
    ['ack latency', `p50 ${ackMs.p50} ms, p99 ${ackMs.p99} ms, most ${ackMs.most} ms`],
  ]
  return table(['', ''], rows).trimStart()
}

function rateOf(text: string): number {
  const [, digits] = /^(\d{1,7})(\/s)?$/.exec(text) ?? []
  if (digits === undefined || Number(digits) === 0)
    throw new InvalidArgumentError('write events a second, like 10000/s.')
  return Number(digits)
}

function countOf(most: number): (text: string) => number {
  return (text) => {
    if (!/^\d+$/.test(text) || Number(text) < 1 || Number(text) > most) {
      throw new InvalidArgumentError(`write a whole number from 1 to ${most}.`)
    }
    return Number(text)
  }
}
