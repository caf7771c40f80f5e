import { bytesText, type Measurement, percent, stateOf } from '../probe.ts'

/** Share of a file system that is used up; those of riemann-health. */
const thresholds = { warning: 0.9, critical: 0.95 }

/** File systems that are space on a disk of this machine. A share of another machine is left out: asking one that is gone hangs. */
const onDisk = /^(?:ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|bcachefs|vfat|exfat|ntfs3?|fuseblk)$/

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
export function mountPoints(mounts: string): string[] {
  const byDevice = new Map<string, string>()
  for (const line of mounts.split('\n')) {
    const [device, point, type] = line.split(' ')
    if (point === undefined || !isSpace(type, point)) continue
    const path = pathOf(point)
    const known = byDevice.get(device)
    if (known === undefined || path.length < known.length) byDevice.set(device, path)
  }
  return [...new Set(byDevice.values())].sort()
}

/** A file system of that type, mounted there, is space on a disk of this machine, or a container's own. */
export function isSpace(type: string, point: string): boolean {
  return onDisk.test(type) || (type === 'overlay' && point === '/')
}

/** A path as the kernel writes it, blanks and the like in octal. */
export function pathOf(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
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
