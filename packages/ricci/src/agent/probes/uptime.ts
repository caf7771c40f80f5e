import type { Probe } from '../probe.ts'

/**
 * `uptime`: seconds since the machine started. As the one measurement that is always there it is also the sign of life that rules
 * can wait for. Source: proc(5), /proc/uptime.
 */
export const uptime: Probe = {
  name: 'uptime',
  files: ['uptime'],
  measure([text]) {
    const seconds = Number.parseFloat(text)
    if (!(seconds >= 0)) throw new Error('/proc/uptime does not begin with a number')
    return [{ service: 'uptime', metric: seconds, description: `up for ${ago(seconds)}` }]
  },
}

function ago(seconds: number): string {
  const [days, hours, minutes] = [seconds / 86_400, (seconds / 3_600) % 24, (seconds / 60) % 60].map(Math.floor)
  if (days > 0) return `${days} d ${hours} h`
  return hours > 0 ? `${hours} h ${minutes} min` : `${minutes} min`
}
