import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { relative, resolve } from 'node:path'
import { Command } from 'commander'
import { LocalAgent } from '../agent/local-agent.ts'
import { defaultConfig, type Config } from '../config/config.ts'
import { parseAddress } from '../config/units.ts'
import type { RicciError } from '../errors.ts'
import { describeSwitch } from '../rules/switch-report.ts'
import { TypeCheck } from '../rules/type-check.ts'
import { watchFolder } from '../rules/watch-folder.ts'
import { builtFile } from '../server/built-file.ts'
import { nodeClock, nodeRandom } from '../server/node-clock.ts'
import { Server } from '../server/server.ts'
import type { Addresses } from '../server/status.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { agentSources } from './agent-sources.ts'
import { portOf } from './ports.ts'
import { untilStopped } from './signals.ts'
import { withExamples } from './examples.ts'
import type { Surroundings } from './surroundings.ts'
import { version } from './release.ts'

interface Options {
  readonly directory: string
  readonly rules?: string
  readonly data?: string
  readonly port: string
  readonly httpPort: string
}

/** Whoever looks on wants to see something move. */
const agentIntervalMs = 1_000

/** `ricci dev` is what `npm start` runs: server and agent in one process, on this machine, with the example rules. */
export function devCommand(surroundings: Surroundings): Command {
  const command = new Command('dev')
    .description('watch this very machine: server and agent in one process; rules take effect when they are saved')
    .option('--directory <folder>', 'where data (.ricci) and rules (examples/rules) lie', '.')
    .option('--rules <folder>', 'the rules, instead of examples/rules')
    .option('--data <folder>', 'the data, instead of .ricci/data')
    .option('--port <port>', 'Riemann TCP and UDP; 0: any free one', '5555')
    .option('--http-port <port>', 'HTTP; 0: any free one', '5556')
    .action(async (options: Options) => {
      const config = devConfig(options)
      const log = createLogger({ format: 'people', level: 'warn', write: surroundings.complain })
      // started at the first change of the rules, and kept: who writes rules saves often
      const types = new TypeCheck({ file: builtFile('type-checker'), clock: nodeClock, keep: true })
      const make = (): Server =>
        new Server({
          config,
          types,
          version,
          telemetry: new Telemetry(log, () => nodeClock.monotonicMs()),
          console: (line) => surroundings.print(`${line}\n`),
        })
      const stopped = untilStopped(surroundings)
      let agent: LocalAgent | undefined
      let unwatch: (() => void) | undefined
      let server: Server | undefined
      try {
        const begun = await startedOnceRulesLoad(make, config.rulesFolder, surroundings, stopped.signal)
        if (begun === undefined) return
        server = begun.server
        const { addresses } = begun
        agent = await agentBeside(addresses, log, surroundings)
        await Promise.race([server.ready(), stopped.promise])
        if (!stopped.signal.aborted) {
          tell(surroundings, greeting(config, addresses))
          const running = server
          const reload = (): void => void reloadRules(running, surroundings, stopped.signal)
          unwatch = watchFolder(config.rulesFolder, nodeClock, reload)
          reload()
        }
        await stopped.promise
      } finally {
        unwatch?.()
        await agent?.stop()
        await types.close()
        await server?.stop()
        stopped.dispose()
      }
    })
  return withExamples(command, ['ricci dev', 'ricci dev --directory ~/monitoring --port 0 --http-port 0'])
}

/**
 * Starts a server. On a new log it needs rules: while those of the folder are wrong, somebody writes them, and the next save is waited for.
 * Undefined where it was told to stop meanwhile.
 */
async function startedOnceRulesLoad(
  make: () => Server,
  rulesFolder: string,
  { complain }: Surroundings,
  signal: AbortSignal,
): Promise<{ readonly server: Server; readonly addresses: Addresses } | undefined> {
  for (;;) {
    let unwatch = (): void => undefined
    const stopped = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
    // from before they are read: what is saved meanwhile counts
    const saved = new Promise<void>((resolve) => (unwatch = watchFolder(rulesFolder, nodeClock, resolve)))
    const server = make()
    try {
      return { server, addresses: await server.start() }
    } catch (error) {
      await server.stop()
      const { code = '', message } = error as { code?: string; message: string }
      // a folder that is not there is more likely a path that is wrong
      if (!code.startsWith('RULES_') || !existsSync(rulesFolder)) throw error
      complain(`${message}\nWaiting for rules that are right: save them in ${rulesFolder}. Ctrl-C stops it.\n`)
      // to watch a folder keeps no process alive
      const alive = setInterval(() => undefined, 60_000)
      await Promise.race([saved, stopped])
      clearInterval(alive)
      if (signal.aborted) return undefined
    } finally {
      unwatch()
    }
  }
}

/** Puts in force what the folder holds, and says what came of it where that is news. */
async function reloadRules(server: Server, surroundings: Surroundings, stopped: AbortSignal): Promise<void> {
  try {
    const { switched, report } = await server.reloadFrom('ricci dev')
    if (!switched) return
    const what = report === undefined ? '' : `: ${describeSwitch(report)}`
    tell(surroundings, `The rules were switched${what}.\n`)
  } catch (error) {
    if (stopped.aborted) return
    const { message } = error as Error
    surroundings.complain(
      `The rules were not switched, the old ones run on:\n${message}\nThe next save is tried again.\n`,
    )
  }
}

/** Says something that is of no importance to the server itself. */
function tell(surroundings: Surroundings, text: string): void {
  surroundings.print(text).catch(() => undefined)
}

/** The agent of this machine; none where there is no /proc: the server is of use all the same. */
async function agentBeside(
  { tcp }: Addresses,
  log: Logger,
  surroundings: Surroundings,
): Promise<LocalAgent | undefined> {
  const agent = new LocalAgent({
    ...{ host: hostname(), version, clock: nodeClock, random: nodeRandom, intervalMs: agentIntervalMs },
    ...agentSources({}, surroundings.env, { clock: nodeClock, onProblem: (text) => log.warn(text) }),
    to: { servers: [{ kind: 'host', ...parseAddress(tcp!)! }] },
    // figures of its own: the server's are not of what it sends
    telemetry: new Telemetry(log, () => nodeClock.monotonicMs()),
  })
  try {
    await agent.start()
    return agent
  } catch (error) {
    if ((error as RicciError).code !== 'AGENT_UNSUPPORTED') throw error
    surroundings.complain(`${(error as Error).message}\n`)
    return undefined
  }
}

function devConfig(options: Options): Config {
  const directory = resolve(options.directory)
  const riemann = { host: '127.0.0.1', port: portOf(options.port) }
  return {
    ...defaultConfig(directory),
    dataFolder: resolve(options.data ?? `${directory}/.ricci/data`),
    rulesFolder: resolve(options.rules ?? `${directory}/examples/rules`),
    listen: { tcp: riemann, udp: riemann, http: { host: '127.0.0.1', port: portOf(options.httpPort) } },
  }
}

function greeting(config: Config, addresses: Addresses): string {
  const here = (path: string): string => {
    const short = relative(process.cwd(), path)
    return short === '' || short.startsWith('..') ? path : short
  }
  return [
    `Ricci ${version} watches this machine.`,
    `  events   Riemann TCP and UDP on ${addresses.tcp}`,
    `  HTTP     http://${addresses.http} (/readyz, /metrics, /api/v1/status)`,
    `  rules    ${here(config.rulesFolder)}`,
    `  data     ${here(config.dataFolder)}`,
    'Pages are printed here. Ctrl-C stops it.',
    '',
  ].join('\n')
}
