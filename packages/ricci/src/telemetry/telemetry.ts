import { InternalEvents } from './internal-events.ts'
import type { Logger } from './logger.ts'
import { Metrics } from './metrics.ts'

/** The internal events of a server, with its metrics. */
export class Telemetry extends InternalEvents {
  constructor(log: Logger, monotonicMs: () => number) {
    super(log, monotonicMs, (tally, gauges) => new Metrics(tally, gauges))
  }
}
