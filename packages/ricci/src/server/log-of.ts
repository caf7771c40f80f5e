import { LogProgress } from '../log/index.ts'
import { RabbitLog } from '../log/rabbitmq/rabbit-log.ts'
import { FollowingLog } from './following-log.ts'
import { nodeClock } from './node-clock.ts'
import type { LogSource } from './worker-protocol.ts'

/** The log as a thread beside the main one reads it: by itself, from files or brokers. */
export function logOf(source: LogSource): FollowingLog | RabbitLog {
  if (source.kind === 'rabbitmq') return RabbitLog.reader(source.id, { ...source.options, clock: nodeClock })
  return new FollowingLog(source.id, source.dataDirectory, new LogProgress(source.progress))
}
