import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { RiemannTcpClient } from '@ricci/client'
import { Command } from 'commander'
import { startAgent, type Agent } from '../agent/agent.ts'
import { parseAddress, parseDuration, type Address } from '../config/units.ts'
import { nodeClock } from '../server/node-clock.ts'
import { createLogger, type Logger } from '../telemetry/logger.ts'
import { agentSources, type AgentSources, type SourceWords, withSourceOptions } from './agent-sources.ts'
import { untilStopped } from './signals.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

interface Options extends SourceWords {
  readonly server: string
  readonly host: string
  readonly interval: string
}

/** Shorter intervals cost more than they tell; longer ones outlast the default ttl of 60 s. */
const shortestMs = 500
const longestMs = 3_600_000

export function agentCommand(surroundings: Surroundings): Command {
  const { env } = surroundings
  return withSourceOptions(new Command('agent'))
    .description('measure this machine and send what is found to a server, until SIGTERM or Ctrl-C')
    .option('--server <host:port>', 'where to send', env.RICCI_SERVER ?? '127.0.0.1:5555')
    .option('--host <name>', 'name of this machine in its events', env.RICCI_HOST ?? hostname())
    .option('--interval <duration>', 'time between two measurements', env.RICCI_INTERVAL ?? '5s')
    .action(async ({ server, host, interval, ...words }: Options) => {
      const address = parseAddress(server)
      if (address === undefined) {
        throw new CommandError(ExitCode.usage, `"${server}" is no address; write host:port like 127.0.0.1:5555`)
      }
      const intervalMs = parseDuration(interval)
      if (intervalMs === undefined || intervalMs < shortestMs || intervalMs > longestMs) {
        throw new CommandError(ExitCode.usage, `"${interval}" is no interval; write one from 500ms to 1h, like 5s`)
      }
      const log = createLogger({ format: surroundings.interactive ? 'people' : 'json', write: surroundings.complain })
      const sources = agentSources(words, env, { clock: nodeClock, onProblem: (text) => log.warn(text) })
      const stopped = untilStopped(surroundings)
      const agent = localAgent(address, host, intervalMs, log, sources)
      log.info({ server, host, interval }, 'the agent measures this machine')
      try {
        await stopped.promise
      } finally {
        await agent.stop()
        stopped.dispose()
      }
    })
}

/** An agent for this machine, sending over TCP. @throws RicciError `AGENT_UNSUPPORTED` */
export function localAgent(
  server: Address,
  host: string,
  intervalMs: number,
  log: Logger,
  sources?: AgentSources,
): Agent {
  return startAgent({
    ...sources,
    client: new RiemannTcpClient(server),
    host,
    // a name of its own in each life, so that its marks never meet those of an earlier one
    producer: `${host}/agent-${randomBytes(6).toString('hex')}`,
    intervalMs,
    clock: nodeClock,
    onProblem: (text) => log.warn(text),
  })
}
