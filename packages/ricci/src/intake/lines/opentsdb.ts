import type { Event } from '@ricci/client'
import type { LineProtocol } from './line-listener.ts'
import { fieldsOf, LineError, metricOf, quoted, tagged, timeOf, type Tag } from './line-parser.ts'

/** What the line itself says. */
const filled = ['service', 'metric', 'time', 'description']

/**
 * A line of OpenTSDB's telnet protocol: `put METRIC TIMESTAMP VALUE name=value …`, or `version`. The service is the metric's name with all tags but the
 * host's, the description the name alone; a timestamp beyond ten digits is in milliseconds.
 * Definition: OpenTSDB's "telnet style API"; shapes as Riemann's opentsdb server makes them, which takes the verb for granted.
 * @throws LineError
 */
export function parseOpenTsdb(line: string): Event | 'version' {
  const [verb, name, timestamp, value, ...pairs] = fieldsOf(line)
  if (verb === undefined) throw new LineError('it is empty')
  if (verb === 'version') return 'version'
  if (verb !== 'put') throw new LineError(`unknown command: ${quoted(verb)}; it takes put and version`)
  if (name === undefined || timestamp === undefined || value === undefined)
    throw new LineError('it lacks a field: put METRIC TIMESTAMP VALUE name=value …')
  const tags = pairs.map(tagOf)
  const named = tags.filter((tag) => tag.name !== 'host').map((tag) => ` ${tag.name}=${tag.value}`)
  const event = {
    service: `${name}${named.join('')}`,
    description: name,
    metric: metricOf(value),
    metricType: 'double' as const,
    time: seconds(timeOf(timestamp)),
  }
  return tagged(event, tags, filled)
}

function tagOf(pair: string): Tag {
  const [name, value, ...more] = pair.split('=')
  if (name === '' || value === undefined || value === '' || more.length > 0)
    throw new LineError(`a tag is no name=value: ${quoted(pair)}`)
  return { name, value }
}

/** Ten digits last until the year 2286. */
const longestSeconds = 9_999_999_999

function seconds(time: number): number {
  return time > longestSeconds ? time / 1_000 : time
}

/** What OpenTSDB's own server answers begins with; collectors look for it. */
const version = 'net.opentsdb\nBuilt on (ricci)\n'

/** OpenTSDB's telnet protocol: what is wrong is answered, what is right is not. */
export const openTsdb: LineProtocol = {
  transport: 'opentsdb',
  name: 'OpenTSDB',
  parse: (line) => {
    const parsed = parseOpenTsdb(line)
    return parsed === 'version' ? { answer: version } : parsed
  },
  complaint: (why) => `put: illegal argument: ${why}\n`,
}
