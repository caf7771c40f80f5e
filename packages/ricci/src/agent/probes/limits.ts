import { percent, type Probe, stateOf } from '../probe.ts'

/** Of what the kernel allows: new ones are refused, or packets dropped, when it is full. */
const thresholds = { warning: 0.9, critical: 0.95 }

/** `fd`: share of the machine's file descriptors that is open; `fd.open`: how many. Source: proc(5), /proc/sys/fs/file-nr. */
export const fileDescriptors: Probe = {
  name: 'file descriptors',
  files: ['sys/fs/file-nr'],
  optional: true,
  measure([text]) {
    const [allocated, unused, most] = text.trim().split(/\s+/).map(Number)
    if (!(most > 0)) throw new Error('/proc/sys/fs/file-nr is not three numbers')
    const open = allocated - unused
    return filling('fd', open / most, `${open} of ${most} open`, { service: 'fd.open', metric: open })
  },
}

/**
 * `conntrack`: share of the table of tracked connections that is in use; `conntrack.used`: entries.
 * Source: the kernel's Documentation/networking/nf_conntrack-sysctl.rst.
 */
export const conntrack: Probe = {
  name: 'conntrack',
  files: ['sys/net/netfilter/nf_conntrack_count', 'sys/net/netfilter/nf_conntrack_max'],
  optional: true,
  measure(texts) {
    const [used, most] = texts.map(Number)
    if (!(most > 0)) throw new Error('/proc/sys/net/netfilter/nf_conntrack_max is no number above 0')
    return filling('conntrack', used / most, `${used} of ${most} used`, { service: 'conntrack.used', metric: used })
  },
}

function filling(service: string, share: number, text: string, count: { service: string; metric: number }) {
  return [
    { service, metric: share, state: stateOf(share, thresholds), description: `${percent(share)}: ${text}` },
    count,
  ]
}
