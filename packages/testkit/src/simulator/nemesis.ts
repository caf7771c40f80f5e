import type { SeededRandom } from '../random.ts'
import type { Cluster } from './cluster.ts'
import { BrokerTrouble, type Last } from './brokers/trouble.ts'
import { InstanceTrouble } from './instance-trouble.ts'
import { isOfBrokers, isOfInstances, type InstanceSpell, type BrokerSpell, type Plan, type SpellName } from './plan.ts'
import type { PartitionLog } from './log.ts'
import { machineOf } from './network.ts'
import type { Process } from './process.ts'
import type { ReceiverMood, SimReceiver } from './receivers.ts'
import type { World } from './world.ts'

/** One long sickness in so many is a receiver that is not there. */
const downOdds = 1 / 4
/** The last freeze of a leader begins so long before all trouble ends. */
const longestFreezeMs = 12_000

/**
 * Brings trouble, by chance and by ambush. A spell begins, lasts and is undone; at the end of the trouble all are undone at once.
 *
 * An ambush strikes when it hurts most: the process that has just appended an attempt is stopped or killed, its reader silenced,
 * its receiver struck dumb; one about to send is stopped just before; the owner under which a page was just decided is given a rival.
 */
export class Nemesis {
  readonly #random: SeededRandom
  /** What is rare draws from a source of its own: seeds that have none of it stay as they are. */
  readonly #rare: SeededRandom
  readonly #active = new Set<() => void>()
  #storeAway = false
  readonly #sickForLong = new Set<SimReceiver>()
  readonly #brokers: BrokerTrouble | undefined
  readonly #instances: InstanceTrouble

  constructor(
    private readonly world: World,
    private readonly cluster: Cluster,
    private readonly plan: Plan,
  ) {
    this.#random = world.random.fork('nemesis')
    this.#rare = world.random.fork('nemesis/rare')
    const last: Last = (ms, undo) => this.#last(ms, undo)
    this.#instances = new InstanceTrouble(cluster, world.random.fork('nemesis/instances'), last)
    const { brokers } = cluster
    if (brokers === undefined) return
    this.#brokers = new BrokerTrouble(cluster, brokers, world.random.fork('nemesis/brokers'), last)
  }

  start(): void {
    const { plan, world } = this
    world.after(plan.faultsFromMs, () => this.#next())
    world.after(plan.calmAtMs, () => this.#heal())
    if (plan.noOwnerMs > 0) world.after(plan.noOwnerAtMs, () => this.#noOwner(plan.noOwnerMs))
    const kept = this.cluster.log.partition(this.#rare.below(plan.partitions))
    for (let i = 0; i < plan.retired; i++) {
      world.after(this.#random.between(plan.faultsFromMs, plan.calmAtMs), () => this.#retireOwner(kept))
    }
    for (let i = 0; i < plan.leaderFreezes; i++) {
      const atMs = this.#rare.between(plan.faultsFromMs, plan.calmAtMs - longestFreezeMs)
      world.after(atMs, () => this.#brokers?.freezeLeader(this.#rare))
    }
    if (plan.ambush === 0) return
    for (let p = 0; p < plan.partitions; p++) this.#lieInWait(this.cluster.log.partition(p))
    const may = (spell: SpellName): boolean => plan.spells.includes(spell)
    const [strike, strikeLate, strikeTooLate] = [this.#striker(), this.#striker(), this.#striker()]
    this.cluster.network.onConnecting = (process, { receiver, action, host }) => {
      const name = machineOf(process)
      const isTrigger = receiver === 'keyed' && action === 'trigger'
      if (isTrigger && may('crash') && may('sick receiver') && strikeLate()) return this.#actLate(name, receiver, host)
      if (isTrigger && may('pause') && plan.instances > 1 && strikeTooLate()) return this.#actTooLate(process, host)
      // Stopped between the decision to send and the request's first byte: what it does when it wakes must be nothing.
      if (may('pause') && strike()) this.#stop(name, this.#random.chance(0.3), true)
    }
  }

  #next(): void {
    if (!this.world.faulty) return
    this.#cast(this.#random.pick(this.plan.spells))
    this.world.after(this.#random.exponential(this.plan.spellEveryMs), () => this.#next())
  }

  /** Undoes everything and lets nothing begin any more. */
  #heal(): void {
    this.world.faulty = false
    this.world.trace.add('nemesis', 'calm from here on')
    for (const undo of this.#active) undo()
    this.#active.clear()
    this.cluster.brokers?.mend()
    for (const instance of this.cluster.instances) {
      instance.machine.setWall(0)
      if (!instance.alive) instance.start()
    }
  }

  /** Something that lasts: undone after its time, or when all trouble ends. */
  #last(ms: number, undo: () => void): void {
    const once = (): void => {
      if (this.#active.delete(once)) undo()
    }
    this.#active.add(once)
    this.world.after(ms, once)
  }

  #cast(spell: SpellName): void {
    if (isOfBrokers(spell)) this.#brokers?.cast(spell)
    else if (isOfInstances(spell)) this.#instances.cast(spell)
    else this.#castOther(spell)
  }

  #castOther(spell: Exclude<SpellName, BrokerSpell | InstanceSpell>): void {
    const { world, cluster, plan } = this
    const random = this.#random
    const instance = random.pick(cluster.instances)
    const partition = cluster.log.partition(random.below(cluster.log.partitions))
    switch (spell) {
      case 'crash':
        return this.#crash(random.pick([instance.name, this.#ownerOf(partition) ?? instance.name]))
      case 'restart':
        return this.#restart(instance.name)
      case 'pause':
        return this.#stop(random.pick([instance.name, this.#ownerOf(partition) ?? instance.name]), false)
      case 'suspend':
        return this.#stop(instance.name, true)
      case 'clock jump': {
        const ms = Math.round(random.chance(0.7) ? random.between(-4_000, 4_000) : random.between(-90_000, 90_000))
        world.fault('clock jump', instance.name, `${ms} ms`)
        world.clocksWrongMs = Math.min(world.clocksWrongMs, world.nowMs)
        instance.machine.jumpWall(ms)
        return this.#last(random.between(2_000, 40_000), () => instance.machine.setWall(0))
      }
      case 'log away':
        if (partition.away) return
        world.fault('log away', `p${partition.index}`, '')
        partition.away = true
        cluster.disturbed()
        return this.#last(random.chance(0.8) ? random.between(500, 12_000) : random.between(12_000, 60_000), () => {
          partition.comeBack()
          cluster.disturbed()
        })
      case 'log frozen':
        if (partition.frozen) return
        world.fault('log frozen', `p${partition.index}`, '')
        partition.frozen = true
        cluster.disturbed()
        return this.#last(random.between(2_500, 15_000), () => {
          partition.thaw()
          cluster.disturbed()
          // Measured: readers at a woken broker may stay silent for good.
          if (world.faulty) this.#silenceSome(partition, 0.3)
        })
      case 'append storm': {
        const { weather } = partition
        for (const kind of ['error', 'lostConfirm', 'straggler', 'duplicated', 'delayed'] as const) {
          if (random.chance(0.5)) weather[kind] = random.between(0.01, 0.15)
        }
        return this.#last(random.between(5_000, 60_000), () => {
          Object.assign(weather, { error: 0, lostConfirm: 0, straggler: 0, duplicated: 0, delayed: 0 })
        })
      }
      case 'silent reader':
        return this.#silenceSome(partition, 0.5)
      case 'reader error': {
        for (const reader of partition.readers) {
          if (!random.chance(0.5)) continue
          world.fault('reader error', reader.process.name, `p${partition.index}`)
          reader.breakOff()
        }
        return
      }
      case 'deaf reader': {
        const deaf = random.pick([...partition.readers])?.process.name
        if (deaf === undefined || partition.deaf !== undefined) return
        world.fault('reader deaf', deaf, `p${partition.index}`)
        partition.deaf = deaf
        return this.#last(random.between(10_000, 45_000), () => partition.hear())
      }
      case 'lease lost': {
        const holder = cluster.coordination.takeAway(partition.index)
        if (holder !== undefined) world.fault('lease lost', holder, `p${partition.index}`)
        return
      }
      case 'two holders':
        return this.#rival(partition)
      case 'store away':
        return this.#sendStoreAway(random.between(2_000, 60_000))
      case 'snapshots away':
        if (cluster.snapshots.away) return
        world.fault('snapshots away', 'snapshots', '')
        cluster.snapshots.away = true
        return this.#last(random.between(2_000, 60_000), () => {
          cluster.snapshots.away = false
        })
      case 'snapshot rot':
        cluster.snapshots.weather.lost = random.between(0, 0.5)
        cluster.snapshots.weather.torn = random.between(0, 0.5)
        cluster.snapshots.weather.flipped = cluster.snapshots.weather.torn
        return this.#last(random.between(10_000, 60_000), () => {
          cluster.snapshots.weather.lost = 0
          cluster.snapshots.weather.torn = 0
          cluster.snapshots.weather.flipped = 0
        })
      case 'sick receiver': {
        const receiver = cluster.receivers.get(random.pick(['pager', 'keyed', 'chat', 'chat', 'self']))!
        const moods: ReceiverMood[] = [
          'error',
          'error',
          'gateway',
          'gateway',
          'away',
          'limited',
          'hanging',
          'hanging',
          'dropping',
          'dropping',
          'refusing',
        ]
        const mood = random.pick(moods)
        receiver.mood = mood
        world.trace.add(receiver.name, `is ${mood}`)
        return this.#last(random.between(2_000, 40_000), () => {
          if (receiver.mood !== mood) return
          receiver.mood = 'well'
          world.trace.add(receiver.name, 'is well')
        })
      }
      case 'long sickness':
        return this.#longSickness(cluster.receivers.get(random.pick(['keyed', 'keyed', 'pager']))!)
      case 'bad network':
        cluster.network.requestLost = random.between(0, 0.4)
        cluster.network.slowConnect = random.between(0, 0.8)
        return this.#last(random.between(2_000, 30_000), () => {
          cluster.network.requestLost = 0
          cluster.network.slowConnect = 0
        })
      case 'producer restart':
        return random.pick(cluster.hosts).producer.restart()
      case 'disk trouble': {
        const { weather } = cluster.disk!
        weather.error = random.chance(0.5) ? random.between(0.01, 0.3) : 0
        weather.slow = random.chance(0.6) ? random.between(0.01, 0.3) : 0
        cluster.disturbed()
        return this.#last(random.between(2_000, 20_000), () => {
          weather.error = 0
          weather.slow = 0
          cluster.disturbed()
        })
      }
      case 'disk full': {
        const leftBytes = Math.round(random.between(0, 4_000))
        world.fault('disk full', 'disk', `${leftBytes} bytes are left`)
        cluster.disk!.fill(leftBytes)
        // An attempt may still fit, and its outcome no more: all the while there is no peace.
        let isFull = true
        const disturb = (): void => {
          cluster.disturbed()
          if (isFull) world.after(1_000, disturb)
        }
        disturb()
        return this.#last(random.between(2_000, 40_000), () => {
          isFull = false
          cluster.disk!.fill(undefined)
          cluster.disturbed()
        })
      }
      case 'log at its cap': {
        // No snapshot can be stored, so nothing may go; and much happens.
        if (cluster.snapshots.away) return
        world.fault('log at its cap', 'log', `at ${plan.logBytes} bytes`)
        cluster.snapshots.away = true
        for (const host of cluster.hosts) host.burst(24, random.between(1_000, 60_000))
        cluster.disturbed()
        return this.#last(random.between(10_000, 90_000), () => {
          cluster.snapshots.away = false
          cluster.disturbed()
        })
      }
      case 'rules switch':
        return cluster.switchRules(random)
      case 'stalling event': {
        // Now and then three in a row: then the rule is out until the rules are switched.
        const host = random.pick(cluster.hosts)
        const chance = random.pick([1, 0.6, 0.3])
        const count = random.pick([1, 1, 4])
        world.fault('event stalls', host.name, `${count} events, each engine with ${chance}`)
        for (let i = 0; i < count; i++) host.grind(chance)
        // An owner that passed it goes on and keeps snapshots; whoever stalls says so when it comes after that one.
        if (chance === 1 || !random.chance(0.5)) return
        const passed = cluster.log.partition(host.partition)
        world.after(random.between(3_000, 20_000), () => {
          const owner = this.#ownerOf(passed)
          if (owner !== undefined && world.faulty) this.#crash(owner)
        })
        return
      }
      case 'burst': {
        const host = random.pick(cluster.hosts)
        const count = 4 + random.below(24)
        world.fault('burst', host.name, `${count} things go wrong at once`)
        return host.burst(count, random.between(1_000, 90_000))
      }
    }
  }

  /** Long enough for digests of what waited: in one way or another it takes nothing, or does not say that it did. */
  #longSickness(receiver: SimReceiver): void {
    const random = this.#random
    if (this.#sickForLong.has(receiver)) return
    this.#sickForLong.add(receiver)
    if (this.#rare.chance(downOdds)) this.#bringDown(receiver)
    let over = false
    const next = (): void => {
      if (over) return
      receiver.mood = random.pick(['error', 'gateway', 'limited', 'away', 'away'])
      this.world.trace.add(receiver.name, `is ${receiver.mood}`)
      this.world.after(random.between(2_000, 30_000), next)
    }
    next()
    this.#last(random.between(50_000, 90_000), () => {
      over = true
      receiver.mood = 'well'
      receiver.down = false
      this.#sickForLong.delete(receiver)
      this.world.trace.add(receiver.name, 'is well')
    })
  }

  /** It is not there at all, so of nothing that is tried can there be doubt; and what goes wrong just then is over before it is back. */
  #bringDown(receiver: SimReceiver): void {
    const { world, cluster } = this
    const rare = this.#rare
    receiver.down = true
    world.trace.add(receiver.name, 'is down')
    const host = rare.pick(cluster.hosts)
    const count = 3 + rare.below(4)
    world.fault('burst', host.name, `${count} things go wrong at once`)
    host.burst(count, rare.between(10_000, 40_000))
  }

  /** One after the other of those who keep a partition is gone for good; others are to keep it then. */
  #retireOwner(partition: PartitionLog): void {
    const left = this.cluster.instances.filter(({ retired }) => !retired)
    const owner = this.cluster.instance(this.#ownerOf(partition) ?? '')
    const gone = owner ?? this.#rare.pick(left)
    this.world.fault('retired', gone.name, '')
    gone.retire()
  }

  #crash(name: string): void {
    const instance = this.cluster.instance(name)
    if (instance === undefined || !instance.alive) return
    this.world.fault('crash', name, '')
    instance.crash()
    this.#last(this.#random.between(300, 25_000), () => instance.start())
  }

  #restart(name: string): void {
    const instance = this.cluster.instance(name)
    if (instance === undefined || !instance.running) return
    this.world.fault('restart', name, 'a clean one')
    void instance.stopCleanly()
    this.#last(this.#random.between(15_000, 30_000), () => instance.start())
  }

  #stop(name: string, suspended: boolean, ambushed = false): void {
    const instance = this.cluster.instance(name)
    if (instance === undefined || !instance.running) return
    // An ambush lasts until the successor has claimed, waited and repeated: what the woken one still sends comes last.
    const long = ambushed ? 0.8 : 0.4
    const ms = this.#random.chance(long) ? this.#random.between(5_000, 35_000) : this.#random.between(200, 5_000)
    this.world.fault(suspended ? 'suspend' : 'pause', name, `${Math.round(ms)} ms`)
    instance.stop(suspended)
    this.#last(ms, () => instance.goOn())
  }

  #silenceSome(partition: PartitionLog, share: number): void {
    this.cluster.silence(partition.index, () => this.#random.chance(share))
  }

  /** A receiver acts on a request long after it came; by then its sender is gone or has sent again, and what it speaks of is over. */
  #actLate(sender: string, receiverName: string, hostName: string): void {
    const random = this.#random
    const { receivers, hosts } = this.cluster
    const receiver = receivers.get(receiverName)!
    const mood = random.chance(0.6) ? 'slow' : 'resetting'
    receiver.mood = mood
    this.#last(random.between(200, 500), () => {
      if (receiver.mood === mood) receiver.mood = 'well'
      if (mood === 'slow') this.#crash(sender)
    })
    const host = hosts.find(({ name }) => name === hostName)
    this.world.after(random.between(1_000, 4_000), () => host?.mend())
  }

  /**
   * A request hangs for longer than any sender reckons with and takes effect when its sender's successor has sent it again, and has
   * resolved it. The sender was stopped all the while: what it then says is the only thing by which anybody knows.
   */
  #actTooLate(sender: Process, hostName: string): void {
    const random = this.#random
    const { receivers, hosts } = this.cluster
    const receiver = receivers.get('keyed')!
    const instance = this.cluster.instance(machineOf(sender))!
    receiver.hold = (held) => {
      if (!sender.running) return
      this.world.fault('pause', instance.name, 'until its request has taken effect')
      instance.stop(false)
      this.#last(random.between(18_000, 35_000), () => {
        if (!sender.alive || sender.running) return
        held.act()
        instance.goOn()
      })
      const host = hosts.find(({ name }) => name === hostName)
      this.world.after(random.between(500, 3_000), () => host?.mend())
    }
    this.#last(5_000, () => {
      receiver.hold = undefined
    })
  }

  #rival(partition: PartitionLog): void {
    const ms = this.#random.between(500, 15_000)
    const holder = this.cluster.coordination.giveToAnother(partition.index, ms)
    if (holder !== undefined) this.world.fault('two holders', holder, `p${partition.index} for ${Math.round(ms)} ms`)
  }

  #sendStoreAway(ms: number): void {
    if (this.#storeAway) return
    this.#storeAway = true
    this.world.fault('store away', 'store', `${Math.round(ms)} ms`)
    this.cluster.coordination.setAway(true)
    this.#last(ms, () => {
      this.#storeAway = false
      this.cluster.coordination.setAway(false)
    })
  }

  /** The store goes away, then every owner crashes: nobody may claim, publishers go on through whoever runs. */
  #noOwner(ms: number): void {
    this.world.fault('no owner', 'nemesis', `${Math.round(ms)} ms`)
    this.#sendStoreAway(ms)
    for (const instance of this.cluster.instances) {
      if (!instance.owns()) continue
      instance.crash()
      this.world.after(this.#random.between(500, 5_000), () => instance.start())
    }
  }

  #ownerOf(partition: PartitionLog): string | undefined {
    return this.cluster.instances.find((instance) => instance.ownsPartition(partition.index))?.name
  }

  /** Says whether to strike now. Whoever comes after the one that was struck is given time to act. */
  #striker(): () => boolean {
    const { world, plan } = this
    let restUntilMs = plan.faultsFromMs
    return () => {
      if (!world.faulty || world.nowMs < restUntilMs || !this.#random.chance(plan.ambush)) return false
      restUntilMs = world.nowMs + this.#random.exponential(25_000)
      return true
    }
  }

  #lieInWait(partition: PartitionLog): void {
    const { world, cluster, plan } = this
    const random = this.#random
    const may = (spell: SpellName): boolean => plan.spells.includes(spell)
    const strike = this.#striker()
    cluster.onWritten(partition.index, (kind) => {
      if (!strike()) return
      const owner = this.#ownerOf(partition)
      if (owner === undefined) return
      // What the owner does next depends on where in the next few milliseconds it is struck.
      const delayMs = random.pick([0, random.between(0, 15), random.between(0, 40), random.between(0, 1_500)])
      world.after(delayMs, () => {
        if (!world.faulty) return
        if (kind === 'attempt' || kind === 'outcome') {
          if (may('pause') && random.chance(0.5)) this.#stop(owner, may('suspend') && random.chance(0.3), true)
          else if (may('crash') && random.chance(0.7)) this.#crash(owner)
          else if (may('silent reader')) this.#silenceSome(partition, 0.7)
          else if (may('sick receiver')) this.#cast('sick receiver')
        } else if (kind === 'events' && may('two holders') && random.chance(0.1)) {
          this.#rival(partition)
          if (may('silent reader')) this.cluster.silence(partition.index, (machine) => machine === owner)
        } else if (kind === 'claim' && may('silent reader')) {
          this.#silenceSome(partition, 0.5)
        }
      })
    })
  }
}
