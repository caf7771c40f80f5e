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
  readonly reads: number
  readonly writes: number
  /** Of all requests together. */
  readonly readMs: number
  readonly writeMs: number
  readonly waitingMs: number
}

/**
 * Of each disk since the sample before: `disk.NAME.read` and `.write` in bytes a second, `.reads` and `.writes` in requests a second,
 * `.read.latency` and `.write.latency` in seconds a request, `.queue` how many waited or were at work on average, `.use` the share of the time
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
  const rate = (key: keyof Counters) => perSecond(now[key], before[key], seconds)
  const latency = (spentMs: number, requests: number) => (requests > 0 ? spentMs / requests / 1000 : 0)
  return [
    { service: `disk.${name}.read`, metric: rate('readBytes') },
    { service: `disk.${name}.write`, metric: rate('writtenBytes') },
    { service: `disk.${name}.reads`, metric: rate('reads') },
    { service: `disk.${name}.writes`, metric: rate('writes') },
    { service: `disk.${name}.read.latency`, metric: latency(rate('readMs'), rate('reads')) },
    { service: `disk.${name}.write.latency`, metric: latency(rate('writeMs'), rate('writes')) },
    { service: `disk.${name}.queue`, metric: rate('waitingMs') / 1000 },
    { service: `disk.${name}.use`, metric: Math.min(1, rate('busyMs') / 1000) },
  ]
}

function parseDiskstats(text: string): Map<string, Counters> {
  const disks = new Map<string, Counters>()
  for (const line of text.split('\n')) {
    const columns = line.trim().split(/\s+/)
    if (columns.length < 14 || noDisk.test(columns[2])) continue
    const [, , name] = columns
    const [reads, , readSectors, readMs, writes, , writtenSectors, writeMs, , busyMs, waitingMs] = columns
      .slice(3)
      .map(Number)
    const readBytes = readSectors * sectorBytes
    const writtenBytes = writtenSectors * sectorBytes
    if (readBytes + writtenBytes > 0)
      disks.set(name, { readBytes, writtenBytes, busyMs, reads, writes, readMs, writeMs, waitingMs })
  }
  for (const name of [...disks.keys()]) {
    const match = partition.exec(name)
    if (match !== null && disks.has(match[1] ?? match[2])) disks.delete(name)
  }
  return disks
}
