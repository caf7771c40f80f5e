import type { Machine } from '../sampler.ts'
import type { Measurement, Survey } from '../probe.ts'
import { interfacesOf } from './network.ts'

/** Beside /proc, below which a machine's files are read. */
const folder = '../sys/class/net'

/** So many links are asked about: a machine with more has them from a program, one for each guest. */
const maxLinks = 64

const megabit = 1e6

/**
 * Of each interface that ever carried anything: `net.NAME.up`: 1, or 0 and the state `warning`, where the link is known to be up or down;
 * `net.NAME.speed`: bits a second, where the device says it. Source: the kernel's Documentation/ABI/testing/sysfs-class-net.
 */
export const links: Survey = {
  name: 'links',
  async measure(machine) {
    const names = interfacesOf(await machine.read('net/dev').catch(() => ''))
    return (await Promise.all(names.slice(0, maxLinks).map((name) => link(machine, name)))).flat()
  },
}

async function link(machine: Machine, name: string): Promise<Measurement[]> {
  const ask = (file: string) =>
    machine.read(`${folder}/${name}/${file}`).then(
      (text) => text.trim(),
      () => '',
    )
  const [state, speed] = await Promise.all([ask('operstate'), ask('speed')])
  const measurements: Measurement[] = []
  // "unknown" is what tunnels and many virtual devices say; "dormant" and the like are on their way
  if (state === 'up') measurements.push({ service: `net.${name}.up`, metric: 1, state: 'ok' })
  else if (state === 'down' || state === 'lowerlayerdown')
    measurements.push({ service: `net.${name}.up`, metric: 0, state: 'warning', description: 'the link is down' })
  if (Number(speed) > 0) measurements.push({ service: `net.${name}.speed`, metric: Number(speed) * megabit })
  return measurements
}
