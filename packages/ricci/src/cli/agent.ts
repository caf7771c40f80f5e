import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { isIP, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as tlsConnect } from 'node:tls'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Command, Option } from 'commander'
import type { Destination, Door, LocalAgent, LocalOptions } from '../agent/local-agent.ts'
import { parseServer, type Place, type ServerName } from '../agent/servers/places.ts'
import { stateFolder } from '../config/state-folder.ts'
import { parseAddress, parseDuration, parseSize, type Address } from '../config/units.ts'
import { isLoopback } from '../http/rebinding.ts'
import { nodeClock, nodeRandom } from '../server/node-clock.ts'
import { createLogger, type LogFormat } from '../telemetry/logger.ts'
import { agentSources, withSourceOptions, type SourceWords } from './agent-sources.ts'
import { withExamples } from './examples.ts'
import { outputOption, type OutputFormat } from './output-option.ts'
import { untilStopped } from './signals.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import { version } from './release.ts'

interface Options extends SourceWords {
  readonly server: readonly string[]
  readonly tls?: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly host: string
  readonly interval: string
  readonly listen?: string
  readonly http?: string
  readonly keep: 'disk' | 'memory'
  readonly keepSize?: string
  readonly data: string
  readonly logFormat?: LogFormat
}

/** Shorter intervals cost more than they tell; longer ones outlast the default ttl of 60 s. */
const shortestMs = 500
const longestMs = 3_600_000

/** Of what programs sent: on the disk ten hours of 3,000 events each 10 s, in memory half an hour of them. */
const keepSizes = { disk: '1GiB', memory: '64MiB' } as const

/** Less would not hold what the disk writes in one go. */
const smallestKeepBytes = 1 << 20

/** What is garbage is collected so often: a thousandth of a core. */
const collectEveryMs = 30_000

const usualServer = '127.0.0.1:5555'
const usualListen = '127.0.0.1:5555'
const usualHttp = '127.0.0.1:5556'

export function agentCommand(surroundings: Surroundings): Command {
  const { env } = surroundings
  const given = (name: string): string | undefined => (env[name] === '' ? undefined : env[name])
  const plain = new Command('agent')
    .description(
      'measure this machine, take what its programs send, and bring both to a server, whatever becomes of servers; until SIGTERM or Ctrl-C',
    )
    .addOption(
      new Option(
        '--server <host:port...>',
        'where servers are, or the name of an SRV record (_riemann._tcp.example.org), one is sent to at a time; or amqp:// and amqps:// addresses of brokers (RICCI_SERVER, several with commas)',
      )
        // named, so that the help shows no password
        .default(listOf(given('RICCI_SERVER') ?? usualServer), usualServer),
    )
    .option('--tls', 'speak TLS to servers (RICCI_TLS=1)', given('RICCI_TLS') === '1' || undefined)
    .option('--ca <file>', 'who signs the servers’ certificates, PEM (RICCI_CA)', given('RICCI_CA'))
    .option('--cert <file>', 'this machine’s certificate, PEM (RICCI_CERT)', given('RICCI_CERT'))
    .option('--key <file>', 'its key, PEM (RICCI_KEY)', given('RICCI_KEY'))
    .option('--host <name>', 'name of this machine in its events (RICCI_HOST)', given('RICCI_HOST') ?? hostname())
    .option('--interval <duration>', 'time between two measurements (RICCI_INTERVAL)', given('RICCI_INTERVAL') ?? '5s')
  const command = withSourceOptions(plain)
    .option(
      '--listen <host:port>',
      `where this machine’s programs send to, Riemann TCP and UDP; "none": nowhere (RICCI_LISTEN; ${usualListen} where no server is)`,
      given('RICCI_LISTEN'),
    )
    .option(
      '--http <host:port>',
      `the same for events over HTTP, and health; "none": nowhere (RICCI_HTTP; ${usualHttp} where no server is)`,
      given('RICCI_HTTP'),
    )
    .addOption(
      new Option('--keep <where>', 'what is acknowledged to programs is on the disk, or in memory (RICCI_KEEP)')
        .choices(['disk', 'memory'])
        .default(given('RICCI_KEEP') ?? 'disk'),
    )
    .option(
      '--keep-size <size>',
      `how much of it; beyond that the oldest is dropped and counted (RICCI_KEEP_SIZE; ${keepSizes.disk}, in memory ${keepSizes.memory})`,
      given('RICCI_KEEP_SIZE'),
    )
    .option(
      '--data <folder>',
      'where on the disk (RICCI_DATA)',
      given('RICCI_DATA') ?? join(stateFolder({ env, root: process.getuid?.() === 0 }), 'agent'),
    )
    .addOption(new Option('--log-format <format>', 'json or people').choices(['json', 'people']))
    .addCommand(checkCommand(surroundings))
    .action(async (options: Options) => {
      const to = destinationOf(options)
      const intervalMs = parseDuration(options.interval)
      if (intervalMs === undefined || intervalMs < shortestMs || intervalMs > longestMs) {
        throw usage(`"${options.interval}" is no interval; write one from 500ms to 1h, like 5s`)
      }
      const local = localOf(options, 'servers' in to ? to.servers : [])
      // measured: 10 MB less each; an agent makes little garbage, and is never in a hurry
      for (const flag of ['--semi-space-growth-factor=1', '--optimize-for-size', '--expose-gc'])
        setFlagsFromString(flag)
      const collect = runInNewContext('gc') as () => void
      // all that a server needs besides is not loaded: an agent is small
      const [{ LocalAgent }, { uncountedTelemetry }] = await Promise.all([
        import('../agent/local-agent.ts'),
        import('../telemetry/uncounted.ts'),
      ])
      const format = options.logFormat ?? (surroundings.interactive ? 'people' : 'json')
      const log = createLogger({ format, write: surroundings.complain })
      const besides = agentSources(options, env, { clock: nodeClock, onProblem: (text) => log.warn(text) })
      const agent: LocalAgent = new LocalAgent({
        ...{ host: options.host, version, to, intervalMs, local, ...besides },
        telemetry: uncountedTelemetry(log, () => nodeClock.monotonicMs()),
        clock: nodeClock,
        random: nodeRandom,
      })
      const stopped = untilStopped(surroundings)
      // Left to itself the heap is let grow to twice of what is in use, and that never falls again: 5 MB. A collection takes some 30 ms.
      const collecting = setInterval(collect, collectEveryMs)
      try {
        await agent.start()
        log.info({ host: options.host, interval: options.interval }, 'the agent measures this machine')
        await stopped.promise
      } finally {
        await agent.stop()
        clearInterval(collecting)
        stopped.dispose()
      }
    })
  return withExamples(command, [
    'ricci agent',
    'ricci agent --server ricci-a.example.org:5555 ricci-b.example.org:5555',
    'RICCI_SERVER=ricci.example.org:5555 ricci agent --interval 10s',
  ])
}

/**
 * The command line with `check` at its beginning: it would be taken for one more server behind `--server`.
 * @param words those behind `agent`
 */
export function withCheckFirst(words: readonly string[]): readonly string[] {
  const at = words.findIndex((word, i) => {
    const option = words.slice(0, i).findLast((other) => other.startsWith('-'))
    return word === 'check' && option === '--server' && words[i - 1] !== '--server'
  })
  return at < 0 ? words : ['check', ...words.slice(0, at), ...words.slice(at + 1)]
}

/** Its options are those of the agent. */
function checkCommand(surroundings: Surroundings): Command {
  const command = new Command('check')
    .description('measure once, print what would be sent, and send nothing')
    .addOption(outputOption())
    .action(async (_own: unknown, command: Command) => {
      const { host, output, ...words } = command.optsWithGlobals<Options & { output: OutputFormat }>()
      const onProblem = (text: string): void => surroundings.complain(`${text}\n`)
      const besides = agentSources(words, surroundings.env, { clock: nodeClock, onProblem })
      const [{ wouldSend }, { eventTable }] = await Promise.all([import('../agent/agent.ts'), import('./events.ts')])
      const events = await wouldSend({ host, clock: nodeClock, onProblem, ...besides })
      surroundings.write(output === 'json' ? `${JSON.stringify(events)}\n` : eventTable(events))
    })
  return withExamples(command, ['ricci agent check'])
}

function listOf(text: string): string[] {
  return text.split(',').filter((part) => part !== '')
}

function usage(text: string): CommandError {
  return new CommandError(ExitCode.usage, text)
}

function serverOf(text: string): ServerName {
  const name = parseServer(text.trim())
  if (name !== undefined) return name
  // there may be a password in it
  const shown = text.replace(/.*@/, '…@')
  throw usage(
    `"${shown}" is no server; write host:port like 127.0.0.1:5555, or the name of an SRV record, which begins with _`,
  )
}

function destinationOf(options: Options): Destination {
  const given = options.server.flatMap(listOf).map((text) => text.trim())
  if (given.length === 0) throw usage(`no server was named; write host:port like ${usualServer}`)
  const brokers = given.filter((text) => /^amqps?(\+srv)?:\/\//.test(text))
  if (brokers.length === 0) {
    const connect = options.tls === true ? overTls(options) : undefined
    return { servers: given.map(serverOf), connect }
  }
  if (brokers.length < given.length) throw usage('servers, or brokers of RabbitMQ: give one kind')
  // not repeated in what is said: there is a password in it
  if (!brokers.every((url) => URL.canParse(url)))
    throw usage('the address of a broker is amqps://USER:PASSWORD@HOST/VHOST')
  const [ca, cert, key] = [options.ca, options.cert, options.key].map(read)
  return { brokers, ...((ca ?? cert) !== undefined && { tls: { ca, cert, key } }) }
}

function read(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw usage(`${file} cannot be read: ${(error as Error).message}`)
  }
}

/** What is listened for: where nothing was said, the usual places, unless a server is there or is to be reached there. */
function localOf(options: Options, names: readonly ServerName[]): LocalOptions | undefined {
  const isServerHere = names.some((name) => name.kind === 'host' && isLoopback(name.host))
  const where = (text: string | undefined, usual: string, option: string): Door | undefined => {
    if (text === 'none' || (text === undefined && isServerHere)) return undefined
    const address = parseAddress(text ?? usual)
    if (address === undefined)
      throw usage(`"${text}" is no address for ${option}; write host:port like ${usual}, or none`)
    if (names.some((name) => name.kind === 'host' && sameAddress(name, address))) {
      throw usage(
        `${option} ${text ?? usual} is where the server is, too: the agent would send to itself; give one of the two another port`,
      )
    }
    return { ...address, yields: text === undefined }
  }
  const riemann = where(options.listen, usualListen, '--listen')
  const http = where(options.http, usualHttp, '--http')
  if (riemann === undefined && http === undefined) return undefined
  if (!Object.hasOwn(keepSizes, options.keep))
    throw usage(`"${options.keep}" is no place to keep; write disk or memory`)
  const size = options.keepSize ?? keepSizes[options.keep]
  const maxBytes = parseSize(size)
  if (maxBytes === undefined || maxBytes < smallestKeepBytes) {
    throw usage(`"${size}" is no size to keep; write 1MiB or more, like 512MiB`)
  }
  return {
    ...{ riemann, http },
    keep: options.keep === 'memory' ? { maxBytes } : { maxBytes, folder: options.data },
  }
}

function sameAddress(a: Address, b: Address): boolean {
  return a.port === b.port && (a.host === b.host || (isLoopback(a.host) && isLoopback(b.host)))
}

/** Files are read with each connection: those that were renewed count from then on. @throws CommandError for one that cannot be read now */
function overTls({ ca, cert, key }: Options): (place: Place) => Socket {
  if ((cert === undefined) !== (key === undefined)) throw usage('--cert and --key go together; give both, or neither')
  for (const file of [ca, cert, key]) read(file)
  return ({ host, address, port }) =>
    tlsConnect({
      ...{ host: address, port, ca: read(ca), cert: read(cert), key: read(key) },
      // an address is verified as such
      servername: isIP(host) === 0 ? host : '',
    })
}
