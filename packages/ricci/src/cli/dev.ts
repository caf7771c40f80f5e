import { relative, resolve } from 'node:path'
import { Command } from 'commander'
import { defaultConfig, type Config } from '../config/config.ts'
import { nodeClock } from '../server/node-clock.ts'
import { Server, type Addresses } from '../server/server.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { portOf } from './ports.ts'
import { untilStopped } from './signals.ts'
import type { Surroundings } from './surroundings.ts'
import { version } from './version.ts'

interface Options {
  readonly directory: string
  readonly rules?: string
  readonly data?: string
  readonly port: string
  readonly httpPort: string
}

/** `ricci dev` is what `npm start` runs: server and agent in one process, on this machine, with the example rules. */
export function devCommand(surroundings: Surroundings): Command {
  return new Command('dev')
    .description('watch this very machine: server and agent in one process; rules are reloaded at the start')
    .option('--directory <folder>', 'where data (.ricci) and rules (examples/rules) lie', '.')
    .option('--rules <folder>', 'the rules, instead of examples/rules')
    .option('--data <folder>', 'the data, instead of .ricci/data')
    .option('--port <port>', 'Riemann TCP and UDP; 0: any free one', '5555')
    .option('--http-port <port>', 'HTTP; 0: any free one', '5556')
    .action(async (options: Options) => {
      const config = devConfig(options)
      const log = createLogger({ format: 'people', write: surroundings.complain })
      const server = new Server({
        config,
        version,
        telemetry: new Telemetry(log, () => nodeClock.monotonicMs()),
        console: (line) => surroundings.write(`${line}\n`),
        reloadAtStart: true,
      })
      const stopped = untilStopped(surroundings)
      try {
        const addresses = await server.start()
        await server.ready()
        if (!stopped.signal.aborted) surroundings.write(greeting(config, addresses))
        await stopped.promise
      } finally {
        await server.stop()
        stopped.dispose()
      }
    })
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
  const here = (path: string): string => relative(process.cwd(), path) || '.'
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
