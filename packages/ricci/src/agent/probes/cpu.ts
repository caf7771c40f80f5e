import { percent, type Measurement, type Probe, stateOf } from '../probe.ts'

/** Share of the time in which the CPUs worked; those of riemann-health. */
const thresholds = { warning: 0.9, critical: 0.95 }

/** Clock ticks since boot, by what they went into. */
interface Times {
  readonly user: number
  readonly system: number
  readonly iowait: number
  readonly idle: number
  readonly nice: number
  readonly irq: number
  readonly softirq: number
  readonly steal: number
  readonly guest: number
  readonly total: number
}

/**
 * How the CPUs spent the time since the sample before, in shares from 0 to 1: `cpu` (not idle), `cpu.user`, `cpu.system`,
 * `cpu.iowait`, `cpu.idle`, `cpu.steal` of all together, and `cpu.0`, `cpu.0.user` … of each. Parts of others: `.nice` and `.guest` of user, `.irq` and
 * `.softirq` of system. Source: proc(5), /proc/stat.
 */
export const cpu: Probe = {
  name: 'cpu',
  files: ['stat'],
  measure([now], before) {
    if (before === undefined) return []
    const earlier = parseStat(before[0])
    return [...parseStat(now)].flatMap(([name, times]) => {
      const then = earlier.get(name)
      return then === undefined ? [] : shares(name, times, then)
    })
  },
}

const parts = ['nice', 'irq', 'softirq', 'steal', 'guest'] as const

function shares(name: string, now: Times, before: Times): Measurement[] {
  const total = now.total - before.total
  if (total <= 0) return []
  // the kernel corrects idle and iowait downwards at times
  const share = (key: keyof Times) => Math.min(1, Math.max(0, now[key] - before[key]) / total)
  const [user, system, iowait, idle] = [share('user'), share('system'), share('iowait'), share('idle')]
  const use = Math.max(0, 1 - idle - iowait)
  const whole = name === 'cpu'
  return [
    {
      service: name,
      metric: use,
      ...(whole ? { state: stateOf(use, thresholds) } : {}),
      description: `${percent(use)} used: user ${percent(user)}, system ${percent(system)}, waiting for disks ${percent(iowait)}`,
    },
    { service: `${name}.user`, metric: user },
    { service: `${name}.system`, metric: system },
    { service: `${name}.iowait`, metric: iowait },
    { service: `${name}.idle`, metric: idle },
    ...parts.map((part) => ({ service: `${name}.${part}`, metric: share(part) })),
  ]
}

/** Times by `cpu`, `cpu.0`, `cpu.1` … */
function parseStat(text: string): Map<string, Times> {
  const all = new Map<string, Times>()
  for (const [, number, columns] of text.matchAll(/^cpu(\d*) +(.*)$/gm)) {
    const [user, nice, system, idle, iowait = 0, irq = 0, softirq = 0, steal = 0, guest = 0, niceGuest = 0] = columns
      .split(' ')
      .map(Number)
    const times = { user: user + nice, system: system + irq + softirq, iowait, idle, nice, irq, softirq, steal }
    const total = times.user + times.system + iowait + idle + steal
    // of virtual machines that run here; the kernel counts it as user or nice, too
    all.set(number === '' ? 'cpu' : `cpu.${number}`, { ...times, guest: guest + niceGuest, total })
  }
  if (!all.has('cpu')) throw new Error('/proc/stat has no line for the CPUs')
  return all
}

/** Number of CPUs in a /proc/stat. */
export function countCpus(text: string): number {
  return [...text.matchAll(/^cpu\d+ /gm)].length
}
