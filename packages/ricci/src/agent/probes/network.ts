import { perSecond, type Probe } from '../probe.ts'

/** The machine's talk with itself, and one end of each container's line: the other end, or the bridge, shows the same. */
const leftOut = /^(?:lo|veth.*)$/

interface Counters {
  readonly in: number
  readonly out: number
  readonly inPackets: number
  readonly outPackets: number
  /** Broken or dropped. */
  readonly inErrors: number
  readonly outErrors: number
  readonly inDrops: number
  readonly outDrops: number
}

const services: readonly (readonly [keyof Counters, string])[] = [
  ['in', 'in'],
  ['out', 'out'],
  ['inPackets', 'in.packets'],
  ['outPackets', 'out.packets'],
  ['inErrors', 'in.errors'],
  ['outErrors', 'out.errors'],
  ['inDrops', 'in.drops'],
  ['outDrops', 'out.drops'],
]

/**
 * Of each interface since the sample before: `net.NAME.in` and `.out` in bytes a second; in packets a second: `.in.packets`, `.out.packets`,
 * `.in.errors`, `.out.errors` (broken or dropped), `.in.drops`, `.out.drops` (dropped). Interfaces that never carried anything are left out.
 * Source: proc(5), /proc/net/dev.
 */
export const network: Probe = {
  name: 'network',
  files: ['net/dev'],
  measure([now], before, seconds) {
    if (before === undefined) return []
    const earlier = parseNetDev(before[0])
    return [...parseNetDev(now)].flatMap(([name, counters]) => {
      const then = earlier.get(name)
      if (then === undefined) return []
      return services.map(([key, service]) => ({
        service: `net.${name}.${service}`,
        metric: perSecond(counters[key], then[key], seconds),
      }))
    })
  },
}

/** Names of the interfaces that are worth measuring. */
export function interfacesOf(text: string): string[] {
  return [...parseNetDev(text).keys()]
}

function parseNetDev(text: string): Map<string, Counters> {
  const interfaces = new Map<string, Counters>()
  for (const [, name, columns] of text.matchAll(/^ *([^ :]+): *(.*)$/gm)) {
    const [bytesIn, inPackets, errorsIn, inDrops, , , , , bytesOut, outPackets, errorsOut, outDrops] = columns
      .trim()
      .split(/\s+/)
      .map(Number)
    if (leftOut.test(name) || bytesOut === undefined || bytesIn + bytesOut === 0) continue
    interfaces.set(name, {
      in: bytesIn,
      out: bytesOut,
      inPackets,
      outPackets,
      inErrors: errorsIn + inDrops,
      outErrors: errorsOut + outDrops,
      inDrops,
      outDrops,
    })
  }
  return interfaces
}
