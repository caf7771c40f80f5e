import { bytesText, type Measurement, percent, type Probe, stateOf } from '../probe.ts'

/** Share of memory that is not available any more; those of riemann-health. */
const thresholds = { warning: 0.85, critical: 0.95 }

/**
 * `memory`: share that is in use and could not be given back, from 0 to 1; `memory.available`, `memory.cached`: bytes; `swap`: share
 * in use, and `swap.used` in bytes, where there is swap. Source: proc(5), /proc/meminfo.
 */
export const memory: Probe = {
  name: 'memory',
  files: ['meminfo'],
  measure([meminfo]) {
    const total = field(meminfo, 'MemTotal')
    if (total === undefined || total === 0) throw new Error('/proc/meminfo has no MemTotal')
    const cached = (field(meminfo, 'Cached') ?? 0) + (field(meminfo, 'Buffers') ?? 0)
    // kernels before 3.14 do not say what is available
    const available = field(meminfo, 'MemAvailable') ?? (field(meminfo, 'MemFree') ?? 0) + cached
    const used = 1 - available / total
    return [
      {
        service: 'memory',
        metric: used,
        state: stateOf(used, thresholds),
        description: `${percent(used)} used, ${bytesText(available)} of ${bytesText(total)} available`,
      },
      { service: 'memory.available', metric: available },
      { service: 'memory.cached', metric: cached },
      ...swap(meminfo),
    ]
  },
}

function swap(meminfo: string): Measurement[] {
  const total = field(meminfo, 'SwapTotal') ?? 0
  if (total === 0) return []
  const used = total - (field(meminfo, 'SwapFree') ?? 0)
  return [
    { service: 'swap', metric: used / total, description: `${bytesText(used)} of ${bytesText(total)} used` },
    { service: 'swap.used', metric: used },
  ]
}

/** A line's value in bytes. */
function field(meminfo: string, name: string): number | undefined {
  const match = new RegExp(`^${name}: +(\\d+) kB$`, 'm').exec(meminfo)
  return match === null ? undefined : Number(match[1]) * 1024
}
