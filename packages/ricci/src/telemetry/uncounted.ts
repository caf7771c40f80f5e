import { InternalEvents } from './internal-events.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import type { Telemetry } from './telemetry.ts'

/**
 * The internal events of an agent: they are logged, and counted nowhere. What an agent counts it sends, and tells in its status; the library that keeps a server's
 * metrics takes 4 MB.
 */
export function uncountedTelemetry(log: Logger, monotonicMs: () => number): Telemetry {
  const nowhere = { inc: () => undefined, observe: () => undefined }
  return new InternalEvents(log, monotonicMs, () => new Proxy({} as Metrics, { get: () => nowhere }))
}
