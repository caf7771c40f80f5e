import type { Event } from '@ricci/client'
import type { LineProtocol } from './line-listener.ts'
import { fieldsOf, LineError, metricOf, tagged, timeOf, type Tag } from './line-parser.ts'

/** What the line itself says. */
const filled = ['service', 'metric', 'time']

/**
 * A line of Graphite's plaintext protocol, `PATH VALUE TIMESTAMP`; the path may carry tags: `PATH;name=value;…`. The path is the event's service.
 * Definition: Graphite's "plaintext protocol" and "tag support"; shapes as Riemann's graphite server with `:tags true` makes them.
 * @throws LineError
 */
export function parseGraphite(line: string): Event {
  const [path, value, timestamp, ...more] = fieldsOf(line)
  if (path === undefined) throw new LineError('it is empty')
  if (value === undefined || timestamp === undefined) throw new LineError('it lacks a field: PATH VALUE TIMESTAMP')
  if (more.length > 0) throw new LineError('it has more fields than PATH VALUE TIMESTAMP')
  const [service, ...pairs] = path.split(';')
  const event = { service, metric: metricOf(value), metricType: 'double' as const, time: timeOf(timestamp) }
  return tagged(event, pairs.filter((pair) => pair !== '').map(tagOf), filled)
}

/** One without a value says that it is there. */
function tagOf(pair: string): Tag {
  const at = pair.indexOf('=')
  return at < 0 ? { name: pair, value: '' } : { name: pair.slice(0, at), value: pair.slice(at + 1) }
}

/** Graphite's plaintext protocol, which has no answers. */
export const graphite: LineProtocol = { transport: 'graphite', name: 'Graphite', parse: parseGraphite }
