import type { Survey } from '../probe.ts'
import { socketCounts } from './sockets.ts'

/** By the kernel's numbers, include/net/tcp_states.h. */
const states = [
  'established',
  'syn-sent',
  'syn-recv',
  'fin-wait-1',
  'fin-wait-2',
  'time-wait',
  'close',
  'close-wait',
  'last-ack',
  'listen',
  'closing',
]

/**
 * With more sockets than this the states are not counted: the kernel writes a line of 150 bytes for each, and `tcp.established`, `tcp.time-wait` and
 * `tcp.orphans`, which it counts by itself, remain.
 */
const maxSocketsRead = 5_000

/**
 * `tcp.state.STATE`: sockets of TCP in each state, both versions of IP together. Source: proc(5), /proc/net/tcp and tcp6.
 */
export const tcpStates: Survey = {
  name: 'TCP states',
  async measure(machine) {
    const ifThere = (file: string) => machine.read(file).catch(() => '')
    const known = socketCounts(await ifThere('net/sockstat'))
    const expected = (known.get('TCP.inuse') ?? Infinity) + (known.get('TCP.tw') ?? 0)
    if (expected > maxSocketsRead) return []
    const counts = states.map(() => 0)
    for (const text of await Promise.all(['net/tcp', 'net/tcp6'].map(ifThere))) {
      for (const [, state] of text.matchAll(/^ *\d+: \S+ \S+ ([0-9A-F]{2}) /gm))
        counts[Number.parseInt(state, 16) - 1]++
    }
    return states.map((state, i) => ({ service: `tcp.state.${state}`, metric: counts[i] }))
  },
}
