import { type Measurement, type Probe, rates } from '../probe.ts'

const perSecond = { intr: 'kernel.interrupts', ctxt: 'kernel.context-switches', processes: 'kernel.forks' }

/**
 * `kernel.interrupts`, `kernel.context-switches`, `kernel.forks`: a second, since the sample before; `processes.running`, `processes.blocked`:
 * tasks that run or want to, and that wait for a disk, now. Source: proc(5), /proc/stat.
 */
export const kernel: Probe = {
  name: 'kernel',
  files: ['stat'],
  optional: true,
  measure([text], before, seconds) {
    const now = counters(text)
    return [
      ...(before === undefined ? [] : rates(now, counters(before[0]), seconds, perSecond)),
      ...gauge(now, 'procs_running', 'processes.running'),
      ...gauge(now, 'procs_blocked', 'processes.blocked'),
    ]
  },
}

function gauge(now: ReadonlyMap<string, number>, name: string, service: string): Measurement[] {
  const metric = now.get(name)
  return metric === undefined ? [] : [{ service, metric }]
}

function counters(text: string): Map<string, number> {
  return new Map(
    Array.from(text.matchAll(/^(intr|ctxt|processes|procs_running|procs_blocked) (\d+)/gm), ([, name, count]) => [
      name,
      Number(count),
    ]),
  )
}
