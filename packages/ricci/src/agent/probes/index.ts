import type { Probe, Survey } from '../probe.ts'
import { seldom } from '../seldom.ts'
import { cpu } from './cpu.ts'
import { diskIo } from './disk-io.ts'
import { kernel } from './kernel.ts'
import { conntrack, fileDescriptors } from './limits.ts'
import { links } from './links.ts'
import { load } from './load.ts'
import { memory } from './memory.ts'
import { network } from './network.ts'
import { paging } from './paging.ts'
import { pressure } from './pressure.ts'
import type { ProcessTable } from './process-table.ts'
import { processes } from './processes.ts'
import { listening, protocols, sockets, sockets6 } from './sockets.ts'
import { tcpStates } from './tcp-states.ts'
import { uptime } from './uptime.ts'

/** Every probe that reads texts; the space of file systems is asked for besides (see the sampler). */
export const probes: readonly Probe[] = [
  ...[cpu, load, kernel, memory, paging, ...pressure, diskIo, network, protocols, listening, sockets, sockets6],
  ...[fileDescriptors, conntrack, uptime],
]

/** The least time between two rounds over all processes, of the kernel's list of sockets, and of the links. */
const processesMs = 5_000
const socketsMs = 15_000
const linksMs = 10_000

/**
 * Every survey.
 * @param names of the processes to be watched
 * @param cpuMs milliseconds of CPU time that this process has used
 */
export function surveys(names: readonly string[], table: ProcessTable, cpuMs: () => number): readonly Survey[] {
  return [
    seldom(links, linksMs, cpuMs),
    seldom(tcpStates, socketsMs, cpuMs),
    seldom(processes(names, table), processesMs, cpuMs),
  ]
}
