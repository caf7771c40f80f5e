/** The table's rows: how each fault is done and undone, what is measured, what is asked. */
import type { Arena } from './arena.ts'
import type { Instance } from './instance.ts'

/** What undoes a fault, resolved when it is undone; calm is waited for elsewhere. */
export type Undo = () => void | Promise<void>

/** A fault that is about to be done: whom it befalls is known, so that it takes no time. */
export interface Strike {
  /** Whose pages it may hold up: partitions. */
  readonly partitions: readonly number[]
  /** Does it; resolves once it is done. */
  readonly strike: Undo
  readonly undo: Undo
  /** What an operator does afterwards, when everything was measured. */
  readonly mend?: Undo
}

/** What is asked of a row's trials, in ms. */
export interface Asked {
  readonly medianMs?: number
  readonly worstMs?: number
}

/**
 * `flow`: from the fault to the arrival of the first page whose event was sent after it, of the partition that took longest. `latest`: the longest that
 * a page took whose event was sent from the fault on until everything was well again, from the event to its arrival.
 */
export type Measure = 'flow' | 'latest'

export interface Row {
  readonly name: string
  /** In words, for people. */
  readonly fault: string
  readonly measure: Measure
  readonly asked: Asked
  readonly askedWords: string
  /** Whether it takes a network of our own. */
  readonly cuts?: boolean
  /** Whether the same instances must go on owning: it begins when nobody is about to hand over, which takes minutes. */
  readonly ownersStay?: boolean
  /** How long it lasts, in ms; a fault without is over when it is done. */
  readonly lastsMs?: number
  prepare(arena: Arena): Promise<Strike>
}

const every = ({ partitions }: Arena): number[] => Array.from({ length: partitions }, (_, partition) => partition)

/** The instance that owns most, and what. */
async function owner(arena: Arena): Promise<{ instance: Instance; partitions: number[] }> {
  const owned = new Map<Instance, number[]>()
  for (const [partition, instance] of await arena.allOwners())
    owned.set(instance, [...(owned.get(instance) ?? []), partition])
  const [most] = [...owned].sort(([, a], [, b]) => b.length - a.length)
  return { instance: most[0], partitions: most[1] }
}

const partitionStream = (partition: number): string => `ricci.p${String(partition).padStart(2, '0')}`

/** The broker that leads a partition's stream. */
function leader({ rabbit, vhost, partitions }: Arena): Promise<number> {
  return rabbit.leaderOf(vhost, partitionStream(Math.floor(Math.random() * partitions)))
}

/**
 * Brokers that were frozen or cut off for longer than their tick may stay split for good, with all links up: an operator restarts the one that was away, as
 * `docs/cluster.md` says.
 */
const restart =
  ({ rabbit }: Arena, broker: number): Undo =>
  () =>
    rabbit.restart(broker)

/** One instance after another, when the one before has become what is waited for. */
function rollingRestart(arena: Arena, became: (instance: Instance) => Promise<void>): Promise<Strike> {
  const strike = async (): Promise<void> => {
    for (const instance of arena.instances) {
      await instance.stop()
      instance.start()
      await became(instance)
    }
  }
  return Promise.resolve({ partitions: every(arena), strike, undo: nothing })
}

/** Where nothing is to be undone. */
const nothing: Undo = () => undefined

export const rows: readonly Row[] = [
  {
    name: 'nothing',
    fault: 'none, for comparison',
    measure: 'latest',
    asked: {},
    askedWords: 'nothing: what the machine makes of it',
    lastsMs: 6_000,
    prepare: (arena) => Promise.resolve({ partitions: every(arena), strike: nothing, undo: nothing }),
  },
  {
    name: 'owner-killed',
    fault: 'owner SIGKILLed',
    measure: 'flow',
    asked: { medianMs: 1_500, worstMs: 3_000 },
    askedWords: 'median < 1.5 s, worst < 3 s',
    lastsMs: 4_000,
    async prepare(arena) {
      const { instance, partitions } = await owner(arena)
      return { partitions, strike: () => instance.kill(), undo: () => instance.start() }
    },
  },
  {
    name: 'owner-stopped',
    fault: 'owner SIGSTOPped for 8 s, and woken',
    measure: 'flow',
    asked: { worstMs: 4_000 },
    askedWords: 'worst < 4 s; nothing doubled on waking',
    lastsMs: 8_000,
    async prepare(arena) {
      const { instance, partitions } = await owner(arena)
      return { partitions, strike: () => instance.freeze(), undo: () => instance.thaw() }
    },
  },
  {
    name: 'owner-drained',
    fault: 'owner drained (as `ricci cluster drain` asks), and back',
    measure: 'latest',
    asked: { worstMs: 300 },
    askedWords: 'no page later than 300 ms',
    async prepare(arena) {
      const { instance, partitions } = await owner(arena)
      const strike = async (): Promise<void> => {
        await instance.drain(true)
        await arena.until(`${instance.name} to own nothing`, async () => {
          const roles = await instance.roles()
          return roles !== undefined && ![...roles.states.values()].includes('owning')
        })
      }
      return { partitions, strike, undo: () => instance.drain(false) }
    },
  },
  {
    name: 'owner-ended',
    fault: 'planned end of the owner (SIGTERM), and its start',
    measure: 'latest',
    asked: { worstMs: 300 },
    askedWords: 'no page later than 300 ms',
    async prepare(arena) {
      const { instance, partitions } = await owner(arena)
      return { partitions, strike: async () => void (await instance.stop()), undo: () => instance.start() }
    },
  },
  {
    name: 'rolling-restart',
    fault: 'rolling restart of all three instances, each once nothing is behind any more',
    measure: 'latest',
    asked: { worstMs: 300 },
    askedWords: 'no page later than 300 ms',
    prepare: (arena) =>
      rollingRestart(arena, ({ name }) => arena.until(`nothing to be behind ${name}`, () => arena.isRedundant())),
  },
  {
    name: 'hasty-restart',
    fault: 'rolling restart of all three instances, each as soon as the one before is ready',
    measure: 'latest',
    asked: {},
    askedWords: 'nothing lost',
    prepare: (arena) =>
      rollingRestart(arena, (instance) =>
        arena.until(`${instance.name} to be ready`, async () => (await instance.roles())?.ready === true),
      ),
  },
  {
    name: 'broker-killed',
    fault: 'SIGKILL of the broker that leads a partition',
    measure: 'latest',
    asked: { medianMs: 2_500, worstMs: 5_000 },
    askedWords: 'median < 2.5 s, worst < 5 s',
    lastsMs: 6_000,
    async prepare(arena) {
      const broker = await leader(arena)
      const { rabbit } = arena
      return {
        partitions: every(arena),
        strike: () => rabbit.signal(broker, 'SIGKILL'),
        undo: () => rabbit.restart(broker),
      }
    },
  },
  {
    name: 'broker-cut',
    fault: 'host of the broker that leads a partition cut off for 12 s',
    measure: 'latest',
    asked: { worstMs: 25_000 },
    askedWords: 'worst < 25 s (3.10.8, tick 8)',
    cuts: true,
    lastsMs: 12_000,
    async prepare(arena) {
      const broker = await leader(arena)
      let heal: Undo = nothing
      const strike = (): void => void (heal = arena.brokerHosts[broker].cut())
      return { partitions: every(arena), strike, undo: () => heal(), mend: restart(arena, broker) }
    },
  },
  {
    name: 'broker-frozen',
    fault: 'broker that leads a partition frozen for 12 s',
    measure: 'latest',
    asked: { worstMs: 25_000 },
    askedWords: 'worst < 25 s (3.10.8, tick 8)',
    lastsMs: 12_000,
    async prepare(arena) {
      const broker = await leader(arena)
      const { rabbit } = arena
      return {
        partitions: every(arena),
        strike: () => rabbit.signal(broker, 'SIGSTOP'),
        undo: () => rabbit.signal(broker, 'SIGCONT'),
        mend: restart(arena, broker),
      }
    },
  },
  {
    name: 'store-leader-killed',
    fault: "SIGKILL of Consul's leader",
    measure: 'latest',
    asked: { worstMs: 300 },
    askedWords: 'no change of owner, no page later than 300 ms',
    ownersStay: true,
    // its election included
    lastsMs: 5_000,
    async prepare(arena) {
      const server = await arena.consul.leader()
      const { consul } = arena
      return {
        partitions: every(arena),
        strike: () => consul.signal(server, 'SIGKILL'),
        undo: () => consul.restart(server),
      }
    },
  },
  {
    name: 'all-killed',
    fault: 'all three instances SIGKILLed, and started at once',
    measure: 'flow',
    asked: {},
    askedWords: 'as fast as restore; nothing lost',
    prepare(arena) {
      const strike = async (): Promise<void> => {
        await Promise.all(arena.instances.map((instance) => instance.kill()))
        for (const instance of arena.instances) instance.start()
      }
      return Promise.resolve({ partitions: every(arena), strike, undo: nothing })
    },
  },
]
