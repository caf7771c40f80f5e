import { CodecError, encodeMsg, RiemannTcpClient, validateMsg, type Event } from '@ricci/client'
import { Command } from 'commander'
import { hostname } from 'node:os'
import { parseAddress } from '../config/units.ts'
import { withExamples } from './examples.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

interface Options {
  readonly server: string
  readonly host: string
  readonly service?: string
  readonly state?: string
  readonly metric?: string
  readonly description?: string
  readonly ttl?: string
  readonly time?: string
  readonly tag?: readonly string[]
  readonly attribute?: readonly string[]
}

export function sendCommand(surroundings: Surroundings): Command {
  const command = new Command('send')
    .description('send one event and wait until it is durable')
    .option('--server <host:port>', 'where to send', surroundings.env.RICCI_SERVER ?? '127.0.0.1:5555')
    .option('-H, --host <name>', 'host of the event', hostname())
    .option('-S, --service <name>', 'service')
    .option('-s, --state <state>', 'state, for example ok, warning, critical')
    .option('-m, --metric <number>', 'metric; a whole number travels as an integer')
    .option('-d, --description <text>', 'description')
    .option('-T, --ttl <seconds>', 'seconds for which the event holds')
    .option('--time <seconds>', 'seconds since 1970; default: now')
    .option('-t, --tag <tag>', 'a tag; may be repeated', collect)
    .option('-a, --attribute <name=value>', 'an attribute; may be repeated', collect)
    .action(async (options: Options) => {
      const event = eventOf(options)
      const address = parseAddress(options.server)
      if (address === undefined) {
        throw new CommandError(ExitCode.usage, `"${options.server}" is no address; write host:port like 127.0.0.1:5555`)
      }
      checkLimits(event)
      const client = new RiemannTcpClient(address)
      try {
        await client.send([event])
      } catch (error) {
        throw new CommandError(
          ExitCode.failed,
          `the event was not acknowledged by ${options.server}: ${(error as Error).message}`,
          { cause: error },
        )
      } finally {
        await client.close()
      }
    })
  return withExamples(command, [
    'ricci send --service disk --state critical --metric 0.97 --ttl 60',
    'ricci send --server ricci.example.org:5555 -H web-1 -S deploy -t release -a version=4.2',
  ])
}

function eventOf(options: Options): Event {
  const attributes: Record<string, string> = {}
  for (const pair of options.attribute ?? []) {
    const at = pair.indexOf('=')
    if (at < 1) throw new CommandError(ExitCode.usage, `"${pair}" is no attribute; write name=value`)
    attributes[pair.slice(0, at)] = pair.slice(at + 1)
  }
  const { host, service, state, description, tag = [] } = options
  return {
    host,
    service,
    state,
    description,
    ...(options.metric === undefined ? {} : metricOf(options.metric)),
    ttl: ttlOf(options.ttl),
    time: numberOf('--time', options.time) ?? Date.now() / 1000,
    tags: tag,
    attributes,
  }
}

/** A server closes the connection of who goes beyond a limit, and says why in its own log alone. */
function checkLimits(event: Event): void {
  try {
    validateMsg(encodeMsg({ events: [event] }))
  } catch (error) {
    if (!(error instanceof CodecError)) throw error
    throw new CommandError(ExitCode.usage, error.message, { cause: error })
  }
}

function metricOf(text: string): Pick<Event, 'metric' | 'metricType'> {
  if (/^[+-]?\d+$/.test(text)) {
    const exact = BigInt(text)
    return { metric: Number.isSafeInteger(Number(exact)) ? Number(exact) : exact, metricType: 'int' }
  }
  return { metric: numberOf('--metric', text), metricType: 'double' }
}

function ttlOf(text: string | undefined): number | undefined {
  const ttl = numberOf('--ttl', text)
  if (ttl === undefined || ttl >= 0) return ttl
  throw new CommandError(ExitCode.usage, `--ttl takes seconds from 0 on, not ${text}`)
}

function numberOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() === '' || Number.isNaN(value)) {
    throw new CommandError(ExitCode.usage, `"${text}" is no number; ${option} takes one`)
  }
  if (!Number.isFinite(value)) {
    throw new CommandError(ExitCode.usage, `"${text}" is beyond what a number can hold; ${option} takes a finite one`)
  }
  return value
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value]
}
