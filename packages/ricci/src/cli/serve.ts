import { Command, Option } from 'commander'
import { defaultConfig, loadConfig } from '../config/config.ts'
import { Server } from '../server/server.ts'
import { createLogger, type LogFormat } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { untilStopped } from './signals.ts'
import { withExamples } from './examples.ts'
import type { Surroundings } from './surroundings.ts'
import { version } from './release.ts'

interface Options {
  readonly config?: string
  readonly logFormat?: LogFormat
}

/** As often as Riemann's own instrumentation. */
const selfEventsMs = 10_000

export function serveCommand(surroundings: Surroundings): Command {
  const command = new Command('serve')
    .description('run the server, until SIGTERM or Ctrl-C; SIGHUP reloads the rules')
    .option('-c, --config <file>', 'the configuration (YAML); without it all defaults, with rules in ./rules')
    .addOption(
      new Option('--log-format <format>', 'json or people; people where a terminal looks on').choices([
        'json',
        'people',
      ]),
    )
    .action(async ({ config: file, logFormat }: Options) => {
      const config = file === undefined ? defaultConfig(process.cwd()) : loadConfig(file)
      const format = logFormat ?? (surroundings.interactive ? 'people' : 'json')
      const telemetry = new Telemetry(createLogger({ format, write: surroundings.complain }), () => performance.now())
      const server = new Server({
        config,
        version,
        telemetry,
        selfEventsMs,
        console: (line) => surroundings.print(`${line}\n`),
      })
      const stopped = untilStopped(surroundings, ['SIGINT', 'SIGTERM'])
      const reload = (): void => {
        server.reloadFrom('SIGHUP').then(
          ({ switched }) => {
            if (!switched) telemetry.log.info('reloaded: rules and settings are those in force')
          },
          (error: Error) => telemetry.log.error(`the rules were not switched, the old ones run on:\n${error.message}`),
        )
      }
      surroundings.signals.on('SIGHUP', reload)
      try {
        const addresses = await Promise.race([server.start(), stopped.promise])
        // told to stop before: it may have waited for brokers
        if (addresses !== undefined) {
          const where = { ...addresses, data: config.dataFolder, rules: config.rulesFolder }
          telemetry.log.info(where, `ricci ${version} serves`)
          await stopped.promise
        }
        telemetry.log.info('stopping')
      } finally {
        surroundings.signals.off('SIGHUP', reload)
        await server.stop()
        stopped.dispose()
      }
    })
  return withExamples(
    command,
    ['ricci serve --config /etc/ricci/ricci.yaml'],
    "Needs no configuration to try it: then it keeps its data under /var/lib/ricci or the user's state folder, and takes the rules in ./rules.",
  )
}
