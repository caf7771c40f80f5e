import { type Measurement, type Probe, rates } from '../probe.ts'

const tcpRates = {
  'Tcp.ActiveOpens': 'tcp.opened',
  'Tcp.PassiveOpens': 'tcp.accepted',
  'Tcp.AttemptFails': 'tcp.failed',
  'Tcp.EstabResets': 'tcp.reset',
  'Tcp.InSegs': 'tcp.in.segments',
  'Tcp.OutSegs': 'tcp.out.segments',
  'Tcp.RetransSegs': 'tcp.retransmitted',
  'Tcp.InErrs': 'tcp.in.errors',
  'Udp.InDatagrams': 'udp.in.datagrams',
  'Udp.OutDatagrams': 'udp.out.datagrams',
  'Udp.InErrors': 'udp.in.errors',
  'Udp.RcvbufErrors': 'udp.in.full',
  'Udp.SndbufErrors': 'udp.out.full',
}

/**
 * `tcp.established`: connections now; since the sample before, a second: connections `tcp.opened` from here, `tcp.accepted`, `tcp.failed` before they
 * stood, `tcp.reset`; segments `tcp.in.segments`, `tcp.out.segments`, `tcp.retransmitted`, `tcp.in.errors`; `udp.in.datagrams`, `udp.out.datagrams`,
 * `udp.in.errors`, and those dropped because a buffer was full: `udp.in.full`, `udp.out.full`.
 * Source: RFC 4022 and 4113, /proc/net/snmp.
 */
export const protocols: Probe = {
  name: 'protocols',
  files: ['net/snmp'],
  optional: true,
  measure([text], before, seconds) {
    const now = table(text)
    return [
      ...figure(now, 'Tcp.CurrEstab', 'tcp.established'),
      ...(before === undefined ? [] : rates(now, table(before[0]), seconds, tcpRates)),
    ]
  },
}

const listenRates = {
  'TcpExt.ListenOverflows': 'tcp.listen.overflows',
  'TcpExt.ListenDrops': 'tcp.listen.drops',
}

/**
 * `tcp.listen.overflows`, `tcp.listen.drops`: connections a second, since the sample before, that a program did not take in time, and that were turned
 * away for any reason. Source: the kernel's include/uapi/linux/snmp.h, /proc/net/netstat.
 */
export const listening: Probe = {
  name: 'listening',
  files: ['net/netstat'],
  optional: true,
  measure: ([now], before, seconds) =>
    before === undefined ? [] : rates(table(now), table(before[0]), seconds, listenRates),
}

const socketServices = {
  'sockets.used': 'sockets',
  'TCP.inuse': 'tcp.sockets',
  'TCP.orphan': 'tcp.orphans',
  'TCP.tw': 'tcp.time-wait',
  'UDP.inuse': 'udp.sockets',
}

/**
 * `sockets`: those of all kinds; of TCP `tcp.sockets` (of both IP versions), `tcp.orphans` (no program holds them any more), `tcp.time-wait`; `udp.sockets`.
 * Source: /proc/net/sockstat and sockstat6.
 */
export const sockets: Probe = {
  name: 'sockets',
  files: ['net/sockstat'],
  optional: true,
  measure([text]) {
    const now = socketCounts(text)
    return Object.entries(socketServices).flatMap(([name, service]) => figure(now, name, service))
  },
}

/** The same of IP version 6 alone, where the kernel has it: `tcp6.sockets`, `udp6.sockets`. */
export const sockets6: Probe = {
  name: 'sockets of IPv6',
  files: ['net/sockstat6'],
  optional: true,
  measure([text]) {
    const now = socketCounts(text)
    return [...figure(now, 'TCP6.inuse', 'tcp6.sockets'), ...figure(now, 'UDP6.inuse', 'udp6.sockets')]
  },
}

function figure(now: ReadonlyMap<string, number>, name: string, service: string): Measurement[] {
  const metric = now.get(name)
  return metric === undefined ? [] : [{ service, metric }]
}

/** Lines `TCP: inuse 1 orphan 0 …`, as `TCP.inuse` … */
export function socketCounts(text: string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const [, group, rest] of text.matchAll(/^(\w+): (.*)$/gm)) {
    const words = rest.split(' ')
    for (let i = 0; i + 1 < words.length; i += 2) counts.set(`${group}.${words[i]}`, Number(words[i + 1]))
  }
  return counts
}

/** Two lines for each group, names and figures, as `Tcp.CurrEstab` … */
function table(text: string): Map<string, number> {
  const figures = new Map<string, number>()
  const lines = text.split('\n')
  for (let i = 0; i + 1 < lines.length; i += 2) {
    const [group, ...names] = lines[i].split(' ')
    const values = lines[i + 1].split(' ')
    if (values[0] !== group) continue
    names.forEach((name, at) => figures.set(`${group.slice(0, -1)}.${name}`, Number(values[at + 1])))
  }
  return figures
}
