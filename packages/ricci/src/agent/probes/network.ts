import { perSecond, type Probe } from '../probe.ts'

/** The machine's talk with itself, and one end of each container's line: the other end, or the bridge, shows the same. */
const leftOut = /^(?:lo|veth.*)$/

interface Counters {
  readonly in: number
  readonly out: number
  readonly inErrors: number
  readonly outErrors: number
}

/**
 * Of each interface since the sample before: `net.NAME.in` and `net.NAME.out` in bytes a second, `net.NAME.in.errors` and
 * `net.NAME.out.errors` in packets a second (broken or dropped). Interfaces that never carried anything are left out.
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
      const rate = (key: keyof Counters) => perSecond(counters[key], then[key], seconds)
      return [
        { service: `net.${name}.in`, metric: rate('in') },
        { service: `net.${name}.out`, metric: rate('out') },
        { service: `net.${name}.in.errors`, metric: rate('inErrors') },
        { service: `net.${name}.out.errors`, metric: rate('outErrors') },
      ]
    })
  },
}

function parseNetDev(text: string): Map<string, Counters> {
  const interfaces = new Map<string, Counters>()
  for (const [, name, columns] of text.matchAll(/^ *([^ :]+): *(.*)$/gm)) {
    const [bytesIn, , errorsIn, droppedIn, , , , , bytesOut, , errorsOut, droppedOut] = columns
      .trim()
      .split(/\s+/)
      .map(Number)
    if (leftOut.test(name) || bytesOut === undefined || bytesIn + bytesOut === 0) continue
    interfaces.set(name, {
      in: bytesIn,
      out: bytesOut,
      inErrors: errorsIn + droppedIn,
      outErrors: errorsOut + droppedOut,
    })
  }
  return interfaces
}
