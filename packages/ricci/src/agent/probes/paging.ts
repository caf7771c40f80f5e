import { type Probe, rates } from '../probe.ts'

const perSecond = {
  pswpin: 'swap.in',
  pswpout: 'swap.out',
  pgfault: 'page-faults',
  pgmajfault: 'page-faults.major',
}

/**
 * Since the sample before: `swap.in`, `swap.out`: pages a second; `page-faults`, `page-faults.major` (those that waited for a disk): faults a
 * second; `oom-kills`: processes that the kernel ended because memory had run out. Source: proc(5), /proc/vmstat.
 */
export const paging: Probe = {
  name: 'paging',
  files: ['vmstat'],
  optional: true,
  measure([text], before, seconds) {
    if (before === undefined) return []
    const now = counters(text)
    const then = counters(before[0])
    const kills = now.get('oom_kill')
    return [
      ...rates(now, then, seconds, perSecond),
      ...(kills === undefined
        ? []
        : [{ service: 'oom-kills', metric: Math.max(0, kills - (then.get('oom_kill') ?? kills)) }]),
    ]
  },
}

function counters(text: string): Map<string, number> {
  return new Map(
    Array.from(text.matchAll(/^(pswpin|pswpout|pgfault|pgmajfault|oom_kill) (\d+)$/gm), ([, name, count]) => [
      name,
      Number(count),
    ]),
  )
}
