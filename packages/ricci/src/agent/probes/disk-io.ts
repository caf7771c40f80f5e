import { type Measurement, perSecond, type Probe } from '../probe.ts'

/** Sectors of /proc/diskstats are these, whatever the device's own are. */
const sectorBytes = 512

/** Devices that are memory, files or media, and no disks. */
const noDisk = /^(?:loop|ram|zram|fd|sr|nbd)\d+$/
/** A partition's name, with its disk's as the first or second group. */
const partition = /^(?:((?:sd|vd|xvd|hd)[a-z]+)\d+|((?:nvme\d+n\d+|mmcblk\d+|md\d+))p\d+)$/

interface Counters {
  readonly readBytes: number
  readonly writtenBytes: number
  readonly busyMs: number
}

/**
 * Of each disk since the sample before: `disk.NAME.read` and `disk.NAME.write` in bytes a second, `disk.NAME.use` the share of the time
 * in which it was at work. Disks that never did anything are left out, and so are partitions of a disk that is there.
 * Source: the kernel's Documentation/admin-guide/iostats.rst, /proc/diskstats.
 */
export const diskIo: Probe = {
  name: 'disk io',
  files: ['diskstats'],
  measure([now], before, seconds) {
    if (before === undefined) return []
    const earlier = parseDiskstats(before[0])
    return [...parseDiskstats(now)].flatMap(([name, counters]) => {
      const then = earlier.get(name)
      return then === undefined ? [] : measurements(name, counters, then, seconds)
    })
  },
}

function measurements(name: string, now: Counters, before: Counters, seconds: number): Measurement[] {
  const busy = perSecond(now.busyMs, before.busyMs, seconds) / 1000
  return [
    { service: `disk.${name}.read`, metric: perSecond(now.readBytes, before.readBytes, seconds) },
    { service: `disk.${name}.write`, metric: perSecond(now.writtenBytes, before.writtenBytes, seconds) },
    { service: `disk.${name}.use`, metric: Math.min(1, busy) },
  ]
}

function parseDiskstats(text: string): Map<string, Counters> {
  const disks = new Map<string, Counters>()
  for (const line of text.split('\n')) {
    const columns = line.trim().split(/\s+/)
    if (columns.length < 14 || noDisk.test(columns[2])) continue
    const [, , name] = columns
    const readBytes = Number(columns[5]) * sectorBytes
    const writtenBytes = Number(columns[9]) * sectorBytes
    if (readBytes + writtenBytes > 0) disks.set(name, { readBytes, writtenBytes, busyMs: Number(columns[12]) })
  }
  for (const name of [...disks.keys()]) {
    const match = partition.exec(name)
    if (match !== null && disks.has(match[1] ?? match[2])) disks.delete(name)
  }
  return disks
}
