import type { Measurement, Probe } from '../probe.ts'
import { isSpace, pathOf } from './disk-space.ts'

/**
 * `disk POINT read-only`: 1 or 0, of those whose space is measured; `critical` where the file system itself takes no writes although it was mounted for them: the
 * kernel did that, because it had found an error. Who mounts read-only says so of the mount, too, and who binds read-only of the mount alone.
 * Source: proc(5), /proc/self/mountinfo.
 */
export const readOnly: Probe = {
  name: 'read-only file systems',
  files: ['self/mountinfo'],
  optional: true,
  measure([text]) {
    const byDevice = new Map<string, { readonly point: string; readonly measurement: Measurement }>()
    for (const line of text.split('\n')) {
      const [mount, system] = line.split(' - ')
      const [type, device, options = ''] = (system ?? '').split(' ')
      const [, , , , escaped, flags = ''] = mount.split(' ')
      if (escaped === undefined || !isSpace(type, escaped)) continue
      const point = pathOf(escaped)
      const known = byDevice.get(device)
      if (known === undefined || point.length < known.point.length)
        byDevice.set(device, { point, measurement: measured(point, isReadOnly(flags), isReadOnly(options)) })
    }
    // of what is mounted over something else the last is what one sees
    const byPoint = new Map(Array.from(byDevice.values(), ({ point, measurement }) => [point, measurement]))
    return [...byPoint.values()]
  },
}

function isReadOnly(options: string): boolean {
  return options.split(',').includes('ro')
}

function measured(point: string, isMount: boolean, isSystem: boolean): Measurement {
  const service = `disk ${point} read-only`
  if (isSystem && !isMount)
    return {
      service,
      metric: 1,
      state: 'critical',
      description: 'it takes no writes any more; the kernel’s log says why',
    }
  return { service, metric: isMount ? 1 : 0, state: 'ok' }
}
