import { type Probe, stateOf } from '../probe.ts'
import { countCpus } from './cpu.ts'

/** Load over the last minute per CPU; those of riemann-health. */
const thresholds = { warning: 3, critical: 8 }

/**
 * `load`: tasks that ran or wanted to over the last minute, per CPU; `load.1`, `load.5`, `load.15`: over 1, 5 and 15 minutes, of
 * the whole machine; `processes`: how many there are. Source: proc(5), /proc/loadavg.
 */
export const load: Probe = {
  name: 'load',
  files: ['loadavg', 'stat'],
  measure([loadavg, stat]) {
    const match = /^([\d.]+) ([\d.]+) ([\d.]+) (\d+)\/(\d+) /.exec(loadavg)
    if (match === null) throw new Error('/proc/loadavg is not three numbers and the count of processes')
    const [one, five, fifteen, running, processes] = match.slice(1).map(Number)
    const cpus = Math.max(1, countCpus(stat))
    return [
      {
        service: 'load',
        metric: one / cpus,
        state: stateOf(one / cpus, thresholds),
        description: `load ${one} on ${cpus} CPUs, ${running} of ${processes} running`,
      },
      { service: 'load.1', metric: one },
      { service: 'load.5', metric: five },
      { service: 'load.15', metric: fifteen },
      { service: 'processes', metric: processes },
    ]
  },
}
