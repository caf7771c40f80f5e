import { bytesText, type Measurement, percent, stateOf } from '../probe.ts'

/** Share of a file system that is used up; those of riemann-health. */
const thresholds = { warning: 0.9, critical: 0.95 }

/** File systems that are space on a disk of this machine. A share of another machine is left out: asking one that is gone hangs. */
const onDisk = /^(?:ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|bcachefs|vfat|exfat|ntfs3?|fuseblk)$/

export interface Mount {
  readonly point: string
  readonly isReadOnly: boolean
  /** The kernel makes it read-only when it finds an error. */
  readonly isReadOnlyOnErrors: boolean
}

export interface FileSystem {
  readonly mountPoint: string
  /** Blocks of this many bytes. */
  readonly blockBytes: number
  readonly blocks: number
  readonly freeBlocks: number
  /** Free for who is not root. */
  readonly availableBlocks: number
  /** Inodes; 0 where it makes them as it needs them. */
  readonly inodes: number
  readonly freeInodes: number
}

/**
 * Mount points whose space is worth measuring, one per device: the shortest. A container's root is an overlay and counts, too.
 * Source: proc(5), /proc/mounts.
 */
export function mountsOf(mounts: string): Mount[] {
  const byDevice = new Map<string, Mount>()
  for (const line of mounts.split('\n')) {
    const [device, point, type, options = ''] = line.split(' ')
    if (point === undefined || !(onDisk.test(type) || (type === 'overlay' && point === '/'))) continue
    const path = point.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    const known = byDevice.get(device)
    if (known !== undefined && path.length >= known.point.length) continue
    const words = options.split(',')
    byDevice.set(device, {
      point: path,
      isReadOnly: words.includes('ro'),
      isReadOnlyOnErrors: words.includes('errors=remount-ro'),
    })
  }
  // of what is mounted over something else the last is what one sees
  return [...new Map(Array.from(byDevice.values(), (mount) => [mount.point, mount])).values()].sort((a, b) =>
    a.point < b.point ? -1 : 1,
  )
}

/**
 * `disk POINT read-only`: 1 or 0; `critical` where it was writable before, or is one that turns read-only when an error is found.
 * @param wasWritable mount points that were, which is added to
 */
export function readOnly(mounts: readonly Mount[], wasWritable: Set<string>): Measurement[] {
  return mounts.map(({ point, isReadOnly, isReadOnlyOnErrors }) => {
    const service = `disk ${point} read-only`
    if (!isReadOnly) {
      wasWritable.add(point)
      return { service, metric: 0, state: 'ok' }
    }
    const isBroken = wasWritable.has(point) || isReadOnlyOnErrors
    const description = isBroken ? 'it takes no writes any more: look into the kernel’s log' : 'mounted read-only'
    return { service, metric: 1, state: isBroken ? 'critical' : 'ok', description }
  })
}

/**
 * `disk POINT`: share of a file system that is used up, as df computes it; `disk POINT free`: bytes that users can still have; `disk POINT inodes`: share
 * of the inodes in use, where their number is fixed.
 */
export function diskSpace(systems: readonly FileSystem[]): Measurement[] {
  return systems.flatMap((system) => {
    const { mountPoint, blockBytes, blocks, freeBlocks, availableBlocks } = system
    const used = blocks - freeBlocks
    // what is kept back for root counts as neither
    const reachable = used + availableBlocks
    if (blocks <= 0 || reachable <= 0) return []
    const share = used / reachable
    const free = availableBlocks * blockBytes
    return [
      {
        service: `disk ${mountPoint}`,
        metric: share,
        state: stateOf(share, thresholds),
        description: `${percent(share)} used, ${bytesText(free)} free`,
      },
      { service: `disk ${mountPoint} free`, metric: free },
      ...inodes(system),
    ]
  })
}

function inodes({ mountPoint, inodes: all, freeInodes }: FileSystem): Measurement[] {
  if (all <= 0) return []
  const share = (all - freeInodes) / all
  return [
    {
      service: `disk ${mountPoint} inodes`,
      metric: share,
      state: stateOf(share, thresholds),
      description: `${percent(share)} used, ${freeInodes} free`,
    },
  ]
}
