import { perSecond, type Probe } from '../probe.ts'

const microsecondsPerSecond = 1e6

/**
 * Since the sample before: `pressure.RESOURCE`: share of the time in which some task waited for it; `pressure.RESOURCE.full`: in which
 * none could go on. Of the whole machine nobody is ever kept from all CPUs, so of them there is no `full`.
 * Source: the kernel's Documentation/accounting/psi.rst. Kernels before 4.20 and those booted without `psi=1` have none of it.
 */
const pressureOf = (resource: string): Probe => ({
  name: `pressure of ${resource}`,
  files: [`pressure/${resource}`],
  optional: true,
  measure([now], before, seconds) {
    if (before === undefined) return []
    const earlier = waited(before[0])
    return [...waited(now)].flatMap(([kind, total]) => {
      const then = earlier.get(kind)
      if (then === undefined || (kind === 'full' && resource === 'cpu')) return []
      const metric = Math.min(1, perSecond(total, then, seconds) / microsecondsPerSecond)
      return [{ service: kind === 'some' ? `pressure.${resource}` : `pressure.${resource}.full`, metric }]
    })
  },
})

export const pressure: readonly Probe[] = ['cpu', 'memory', 'io', 'irq'].map(pressureOf)

/** Microseconds since boot, by `some` and `full`. */
function waited(text: string): Map<string, number> {
  return new Map(Array.from(text.matchAll(/^(some|full) .*total=(\d+)$/gm), ([, kind, total]) => [kind, Number(total)]))
}
