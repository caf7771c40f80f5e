import { encodeRecord, type CommandRecord } from '@ricci/engine'
import type { SeededRandom } from '../random.ts'
import type { Cluster } from './cluster.ts'
import type { Plan } from './plan.ts'
import { stuckRule } from './rules.ts'
import type { Host } from './workload.ts'
import type { World } from './world.ts'

/** One run in so many has somebody at the desk: what is rare draws from a source of its own, and seeds without it stay as they are. */
const deskOdds = 1 / 4
/** Mean time between two things that get stuck. */
const everyMs = 12_000

/** Things get stuck and stay so for a while; people take some of them on, for a time that may be too short, through any instance. */
export class Desk {
  readonly #random: SeededRandom
  #commands = 0

  constructor(
    private readonly world: World,
    private readonly cluster: Cluster,
    private readonly plan: Plan,
  ) {
    this.#random = world.random.fork('desk')
  }

  start(): void {
    if (this.#random.chance(deskOdds)) this.world.after(this.#random.exponential(everyMs), () => this.#next())
  }

  #next(): void {
    const random = this.#random
    const { world, cluster, plan } = this
    if (world.nowMs >= plan.calmAtMs) return
    world.after(random.exponential(everyMs), () => this.#next())
    const host = random.pick(cluster.hosts)
    host.stick(random.between(5_000, 90_000))
    if (random.chance(0.5)) world.after(random.between(1_000, 30_000), () => this.#acknowledge(host))
  }

  #acknowledge({ name, partition }: Host): void {
    const { cluster, world } = this
    const instance = this.#random.pick(cluster.instances)
    const record: CommandRecord = {
      ...{ kind: 'command', id: `desk ${this.#commands++}`, name: 'acknowledge' },
      ...{ who: 'somebody', from: 'desk', why: '' },
      arguments: { rule: stuckRule, key: `${name} stuck`, forMs: Math.round(this.#random.between(2_000, 40_000)) },
    }
    world.trace.add('desk', `takes on what is stuck at ${name}`)
    instance.append(partition, encodeRecord(record))
  }
}
