import type { Probe } from '../probe.ts'
import { cpu } from './cpu.ts'
import { diskIo } from './disk-io.ts'
import { load } from './load.ts'
import { memory } from './memory.ts'
import { network } from './network.ts'
import { uptime } from './uptime.ts'

/** Every probe that reads texts; the space of file systems is asked for besides (see the sampler). */
export const probes: readonly Probe[] = [cpu, load, memory, diskIo, network, uptime]
