import type { SeededRandom } from '../../random.ts'
import type { Cluster } from '../cluster.ts'
import type { Instance } from '../instance.ts'
import type { BrokerSpell } from '../plan.ts'
import { netTickMs, type SimBroker, type SimBrokers } from './brokers.ts'

/** Something that lasts: undone after its time, or when all trouble ends. */
export type Last = (ms: number, undo: () => void) => void

/** What is younger is not let go of. */
const trimAfterMs = 20_000

/** So often each host speaks shortly before a leader wakes. */
const wordsBeforeWaking = 3

/** Brings trouble to brokers and to the way to them. */
export class BrokerTrouble {
  constructor(
    private readonly cluster: Cluster,
    private readonly brokers: SimBrokers,
    private readonly random: SeededRandom,
    private readonly last: Last,
  ) {}

  cast(spell: BrokerSpell): void {
    const { random } = this
    const partition = random.pick(this.brokers.partitions)
    const broker = random.chance(0.6) ? partition.leader : random.pick(this.brokers.all)
    this.cluster.disturbed()
    switch (spell) {
      case 'broker killed':
        return this.#kill(broker, random.between(1_000, 25_000))
      case 'broker frozen':
        return this.#freeze(broker, random.chance(0.5) ? random.between(300, netTickMs) : random.between(8_500, 25_000))
      case 'broker cut off':
        return this.#cutOff(broker)
      case 'brokers away': {
        const ms = random.chance(0.6) ? random.between(3_000, 20_000) : random.between(20_000, 60_000)
        this.#fault('brokers away', 'brokers', `for ${Math.round(ms)} ms`)
        const how = random.pick(['killed', 'frozen'])
        const gone = random.chance(0.5) ? this.brokers.all : random.shuffled(this.brokers.all).slice(1)
        for (const one of gone) {
          if (how === 'killed') this.#kill(one, ms)
          else this.#freeze(one, ms)
        }
        return
      }
      case 'brokers short of memory':
        if (this.brokers.blocked !== undefined) return
        this.#fault(spell, 'brokers', '')
        this.brokers.blocked = 'low on memory'
        return this.#last(random.between(1_000, 20_000), () => (this.brokers.blocked = undefined))
      case 'binding lost':
        if (!partition.bindable) return
        this.#fault(spell, 'brokers', partition.name)
        partition.bound = false
        // Mostly whoever publishes next makes it again; else it may not, for a while.
        partition.bindable = random.chance(0.4)
        return this.#last(random.between(10_000, 60_000), () => (partition.bindable = true))
      case 'log trimmed':
        return this.#trim(this.brokers.partitions.indexOf(partition))
      case 'link cut':
      case 'link slow':
        return this.#link(spell)
    }
  }

  /**
   * A leader is frozen for hardly longer than the others wait, and mostly leads still when it wakes: what they took for it may then be confirmed and in no
   * log. Shortly before that hosts speak, through an instance that does not read the partition: all that it has to go by is that confirm.
   */
  freezeLeader(random: SeededRandom): void {
    const { brokers, cluster } = this
    // Of two that are gone the third would be a minority.
    if (brokers.all.some(({ process }) => !process.running)) return
    const order = random.shuffled([...brokers.partitions.keys()])
    const index = order.find((one) => this.#blind(one) !== undefined) ?? order[0]
    const ms = netTickMs + random.between(100, 2_000)
    cluster.disturbed()
    this.#freeze(brokers.partitions[index].leader, ms)
    for (const host of cluster.hosts) {
      if (host.partition !== index) continue
      for (let i = 0; i < wordsBeforeWaking; i++) {
        cluster.world.after(ms - random.between(100, 1_200), () => {
          const door = this.#blind(index)
          if (door !== undefined) host.producer.turnTo(door)
          host.deploy(`deploy at ${cluster.world.nowMs.toFixed(3)}`)
        })
      }
    }
  }

  /** An instance that does not read a partition. */
  #blind(partition: number): Instance | undefined {
    return this.cluster.instances.find((one) => one.running && one.appliedOffset(partition) === undefined)
  }

  /** Retention lets go of what no reader is at and the newest snapshot does not need. */
  #trim(index: number): void {
    const { instances, snapshots, world } = this.cluster
    const stream = this.brokers.partitions[index]
    const machines = instances.map(({ name }) => name)
    const applied = instances.map((instance) => instance.appliedOffset(index) ?? Infinity)
    const first =
      Math.min(snapshots.newest(index, machines), ...applied, stream.offsetAt(world.nowMs - trimAfterMs)) + 1
    if (first <= stream.first) return
    this.#fault('log trimmed', stream.name, `begins at ${first}`)
    stream.first = first
    const late = instances.find(({ name, alive }) => alive && snapshots.newest(index, [name]) < first - 1)
    if (late !== undefined && this.random.chance(0.6)) this.#isolate(late)
  }

  /** Started anew while it hears nobody of whom it could have a newer snapshot than its own. */
  #isolate(instance: Instance): void {
    const { links, instances, world } = this.cluster
    const others = instances.filter((other) => other !== instance)
    world.fault('peer cut', instance.name, 'all')
    const undo = others.flatMap(({ name }) => [links.cut(instance.name, name), links.cut(name, instance.name)])
    world.fault('crash', instance.name, '')
    instance.crash()
    world.after(this.random.between(500, 4_000), () => instance.start())
    this.#last(this.random.between(8_000, 25_000), () => undo.forEach((mend) => mend()))
  }

  #kill(broker: SimBroker, ms: number): void {
    if (!broker.process.alive) return
    this.#fault('broker killed', broker.name, '')
    this.brokers.kill(broker)
    this.#last(ms, () => broker.process.alive || this.brokers.restart(broker))
  }

  #freeze(broker: SimBroker, ms: number): void {
    if (!broker.process.running) return
    this.#fault('broker frozen', broker.name, `${Math.round(ms)} ms`)
    this.brokers.freeze(broker)
    this.#last(ms, () => this.brokers.thaw(broker))
  }

  /** From the other brokers, in one direction or both, alone or with some instances on its side. */
  #cutOff(broker: SimBroker): void {
    const { random, brokers, cluster } = this
    const isWhole = random.chance(0.7)
    const undo: (() => void)[] = []
    const sever = (one: string, other: string): void => {
      const [out, back] = isWhole ? [true, true] : random.pick([[true, false] as const, [false, true] as const])
      if (out) undo.push(cluster.links.cut(one, other))
      if (back) undo.push(cluster.links.cut(other, one))
    }
    for (const other of brokers.all) if (other !== broker) sever(broker.name, other.name)
    const itsSide = cluster.instances.filter(() => random.chance(0.3))
    for (const { name } of cluster.instances) {
      const isOnItsSide = itsSide.some((one) => one.name === name)
      if (random.chance(0.3)) continue
      for (const other of brokers.all) if ((other === broker) !== isOnItsSide) sever(name, other.name)
    }
    const ms = random.chance(0.4) ? random.between(500, netTickMs) : random.between(8_500, 30_000)
    this.#fault('broker cut off', broker.name, `${isWhole ? '' : 'in one direction, '}${Math.round(ms)} ms`)
    this.#last(ms, () => undo.forEach((mend) => mend()))
  }

  /** Between an instance and one broker or all, in one direction or both. */
  #link(spell: 'link cut' | 'link slow'): void {
    const { random, brokers, cluster } = this
    const { name } = random.pick(cluster.instances)
    const ends = random.chance(0.5) ? brokers.all : [random.pick(brokers.all)]
    const directions = random.pick(['both', 'both', 'to', 'from'])
    const delayMs = Math.round(random.between(100, 3_000))
    const undo: (() => void)[] = []
    const worsen = (from: string, to: string): void => {
      undo.push(spell === 'link cut' ? cluster.links.cut(from, to) : cluster.links.slow(from, to, delayMs))
    }
    for (const end of ends) {
      if (directions !== 'from') worsen(name, end.name)
      if (directions !== 'to') worsen(end.name, name)
    }
    const what = `${directions} ${ends.map((end) => end.name).join(' ')}`
    this.#fault(spell, name, spell === 'link cut' ? what : `${what} by ${delayMs} ms`)
    this.#last(random.between(500, 25_000), () => undo.forEach((mend) => mend()))
  }

  #last(ms: number, undo: () => void): void {
    this.last(ms, () => {
      undo()
      this.cluster.disturbed()
    })
  }

  #fault(kind: BrokerSpell, who: string, detail: string): void {
    this.cluster.world.fault(kind, who, detail)
  }
}
