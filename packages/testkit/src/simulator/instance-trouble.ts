import type { SeededRandom } from '../random.ts'
import type { Last } from './brokers/trouble.ts'
import type { Cluster } from './cluster.ts'
import { storeName } from './network.ts'
import type { InstanceSpell } from './plan.ts'

/** Brings trouble to single instances: between them and the store, at their doors, in their engines. */
export class InstanceTrouble {
  constructor(
    private readonly cluster: Cluster,
    private readonly random: SeededRandom,
    private readonly last: Last,
  ) {}

  cast(spell: InstanceSpell): void {
    const { random, cluster } = this
    const { instances, links, world } = cluster
    const instance = random.pick(instances)
    switch (spell) {
      case 'store cut':
      case 'store slow': {
        const directions = random.pick(['both', 'both', 'to', 'from'])
        const delayMs = Math.round(random.between(200, 5_000))
        const worsen = (from: string, to: string): (() => void) =>
          spell === 'store cut' ? links.cut(from, to) : links.slow(from, to, delayMs)
        world.fault(spell, instance.name, spell === 'store cut' ? directions : `${directions} by ${delayMs} ms`)
        const undo = [
          ...(directions === 'from' ? [] : [worsen(instance.name, storeName)]),
          ...(directions === 'to' ? [] : [worsen(storeName, instance.name)]),
        ]
        return this.last(random.between(1_000, 40_000), () => undo.forEach((mend) => mend()))
      }
      case 'store wiped':
        world.fault(spell, storeName, '')
        return cluster.coordination.wipe()
      case 'intake gone': {
        const gone = random.chance(0.3) ? instances : [instance]
        world.fault(spell, gone.map(({ name }) => name).join(' '), '')
        for (const one of gone) one.takesEvents = false
        return this.last(random.between(1_000, 30_000), () => {
          for (const one of gone) one.takesEvents = true
        })
      }
      case 'drain':
        world.fault(spell, instance.name, '')
        instance.drain(true)
        return this.last(random.between(5_000, 60_000), () => instance.drain(false))
      case 'peer cut': {
        const other = random.pick(instances.filter((one) => one !== instance))
        world.fault(spell, instance.name, other.name)
        const undo = [links.cut(instance.name, other.name), links.cut(other.name, instance.name)]
        return this.last(random.between(2_000, 30_000), () => undo.forEach((mend) => mend()))
      }
      case 'state astray':
        return instance.goAstray(random.below(cluster.log.partitions))
    }
  }
}
