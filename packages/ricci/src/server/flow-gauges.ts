import type { FlowStats } from '@ricci/replica'
import type { Gauges } from '../telemetry/metrics.ts'
import type { Partitions } from './partitions.ts'

/** What metrics tell of the flows of an instance's partitions. */
export function flowGauges(partitions: Partitions): Gauges {
  const flows = (): readonly FlowStats[] => partitions.all().flatMap(({ replica }) => replica.stats().flows)
  const sum = (of: (flow: FlowStats) => number) => (): number => flows().reduce((all, flow) => all + of(flow), 0)
  return {
    ricci_flow_events: sum(({ events }) => events),
    ricci_flow_lag_seconds: () => Math.max(0, ...flows().map(({ lagMs }) => lagMs)) / 1000,
    ricci_flow_dropped_events_total: sum(({ dropped }) => dropped),
    ricci_flow_sent_events_total: sum(({ delivered }) => delivered),
    ricci_flow_refused_events_total: sum(({ refused }) => refused),
    ricci_flow_failures_total: sum(({ failed }) => failed),
  }
}
