/**
 * The whole of it: three brokers, three servers of Consul and an agent beside each instance, three instances, receivers of both classes, and a load that never
 * ends; in a network of our own each broker, and each instance with its agent, is a host that can be cut off.
 */
import { partitionOf } from '@ricci/replica'
import { SeededRandom } from '../../random.ts'
import { ConsulCluster } from '../../servers/consul.ts'
import { Host } from '../../servers/hosts.ts'
import { hasOwnNetwork } from '../../servers/network.ts'
import { guarded } from '../../servers/process.ts'
import { RabbitCluster } from '../../servers/rabbitmq.ts'
import { pause } from '../../servers/wait.ts'
import { Daemon } from '../daemon.ts'
import { monotonicMs, Pager } from '../pager.ts'
import { Feed } from './feed.ts'
import { eventsExchange } from './foreign-publisher.ts'
import { Instance } from './instance.ts'
import { clusterName, type LoadSettings } from './load-protocol.ts'
import { clusterRules, Script } from './script.ts'

/** What everything runs with. */
export interface ArenaOptions {
  /** Paths of the built `ricci.mjs` and `fault-load.mjs`. */
  readonly program: string
  readonly load: string
  readonly seed: number
  readonly partitions: number
  readonly eventsPerSecond: number
  /** Jobs and notes begun a second. */
  readonly pagesPerSecond: number
  /** Whether receivers refuse some pages for now. A partition's next ones wait for that, so they do not where times are measured. */
  readonly receiversFail: boolean
  readonly report: (line: string) => void
  /** Told of it at once: whoever is, may stop it at any time. */
  readonly onStart?: (arena: Arena) => void
}

const instanceNames = ['a', 'b', 'c']
const clusters = 20
const hostsPerCluster = 10
/** Receivers answer within this time: what is measured is not their queue. */
const slowestAnswerMs = 60
/** A host falls silent every so often. */
const silenceMs = 5_000
/** Anything that must come right comes right in this time. */
const patienceMs = 120_000
/** Who is to own does: a minute after it has caught up, one partition after another. */
const settleMs = 600_000
/** It is calm when everything has been as it must be for so long. */
const calmMs = 1_000
/** In calm a page arrives within this time, on a busy machine, too. */
const promptMs = 1_000
/** Between two looks at everything: a status costs each instance a word with the brokers. */
const lookEveryMs = 200
/** What the queues are called that hold what others published. */
const inboxes = 'ricci.inbox.'
/** A broker's counts are as old as this. */
const countedMs = 6_000
/** What is asked of brokers and store where they may be frozen or cut off. */
const lookMs = 90_000

export class Arena {
  instances: readonly Instance[] = []
  pager!: Pager
  chat!: Pager
  feed!: Feed
  script!: Script
  vhost = ''
  private agents: readonly Daemon[] = []
  private timers: NodeJS.Timeout[] = []
  private watching: Promise<unknown> = Promise.resolve()
  private stopped = false
  private life = 0

  private constructor(
    readonly options: ArenaOptions,
    readonly rabbit: RabbitCluster,
    readonly consul: ConsulCluster,
    /** Of brokers and of instances; none where nothing can be cut. */
    readonly brokerHosts: readonly Host[],
    readonly instanceHosts: readonly Host[],
  ) {}

  /** Starts brokers and store. {@link begin} starts the rest. */
  static async start(options: ArenaOptions): Promise<Arena> {
    const hosts = (what: string): Host[] => (hasOwnNetwork() ? [0, 1, 2].map((at) => new Host(`${what} ${at}`)) : [])
    const [brokerHosts, instanceHosts] = [hosts('broker'), hosts('instance')]
    const own = (of: readonly Host[]): { hosts?: readonly Host[] } => (of.length === 0 ? {} : { hosts: of })
    const starting = [
      RabbitCluster.start(own(brokerHosts)),
      ConsulCluster.start({ agents: instanceNames.length, ...own(instanceHosts) }),
    ] as const
    const started = await Promise.allSettled(starting)
    const failed = started.find((result) => result.status === 'rejected')
    if (failed !== undefined) {
      for (const result of started) if (result.status === 'fulfilled') await result.value.stop()
      throw failed.reason as Error
    }
    const [rabbit, consul] = await Promise.all(starting)
    const arena = new Arena(options, rabbit, consul, brokerHosts, instanceHosts)
    options.onStart?.(arena)
    return arena
  }

  /** A log of its own, instances on it, receivers and load; resolves when all is calm. */
  async begin(): Promise<void> {
    const { options, rabbit, consul } = this
    const name = `run-${++this.life}`
    const random = new SeededRandom(`${options.seed} ${name}`)
    this.vhost = name
    this.stopped = false
    await rabbit.vhost(name)
    this.pager = await Pager.start(random.fork('pager'), 'A', slowestAnswerMs, options.receiversFail ? undefined : 0)
    this.chat = await Pager.start(random.fork('chat'), 'C', slowestAnswerMs, options.receiversFail ? undefined : 0)
    const instances: Instance[] = []
    this.instances = instances
    for (const [at, instance] of instanceNames.entries()) {
      const agent = consul.agents.filter(({ server }) => !server)[at]
      const config = {
        receivers: {
          pager: { type: 'webhook', url: this.pager.url },
          chat: { type: 'webhook', url: this.chat.url, class: 'C' },
        },
        engine: { grace: '2s', pagesPerMinute: 10_000 },
      }
      const { program, partitions } = options
      const store = `${agent.url.replace('http', 'consul')}/${name}`
      const cluster = { brokers: rabbit.urls(name), store, partitions, secret: 'nobody else is to know it' }
      const host = this.instanceHosts[at]
      instances.push(await Instance.prepare({ program, name: instance, host, rules: clusterRules, cluster, config }))
    }
    for (const instance of instances) instance.start()
    await Promise.all(instances.map(({ daemon }) => daemon!.serving()))
    await this.allOwners()
    const load: LoadSettings = {
      ports: instances.map(({ ports }) => ports.tcp),
      clusters,
      hostsPerCluster,
      eventsPerSecond: options.eventsPerSecond,
      ...((await this.takesForeign()) && { brokers: rabbit.urls(name) }),
    }
    this.agents = instances.map(({ name: at, ports }) => {
      const words = ['agent', '--server', `127.0.0.1:${ports.tcp}`, '--host', `agent-${at}`, '--interval', '2s']
      return new Daemon(options.program, words, { through: ['setpriv', ...guarded()] })
    })
    this.feed = new Feed(options.load, load)
    this.script = new Script(this.feed, random.fork('script'), clusters, hostsPerCluster)
    this.timers = [
      setInterval(() => this.script.next(), 1_000 / options.pagesPerSecond),
      setInterval(() => this.script.silence(), silenceMs),
    ]
    this.watching = Promise.all([this.watch(this.pager), this.watch(this.chat)])
    await this.calm()
  }

  /** Whether anybody may publish at the brokers. */
  private async takesForeign(): Promise<boolean> {
    const { status } = await this.rabbit.api(0, `/exchanges/${this.vhost}/${eventsExchange}`)
    return status === 200
  }

  /** Resolves when the instances have taken in what others published at the brokers. */
  async inboxesEmpty(): Promise<void> {
    if (!(await this.takesForeign())) return
    const sinceMs = monotonicMs()
    await this.until('the inboxes to be empty', async () => {
      const answer = await this.rabbit.api(0, `/queues/${this.vhost}?columns=name,messages`)
      const queues = answer.json<{ name: string; messages?: number }[]>().filter(({ name }) => name.startsWith(inboxes))
      return monotonicMs() - sinceMs > countedMs && queues.every(({ messages }) => messages === 0)
    })
  }

  /** One cluster of each of these partitions, where it has one. */
  clustersOf(partitions: readonly number[]): number[] {
    const all = Array.from({ length: clusters }, (_, cluster) => cluster)
    return partitions.flatMap((partition) => all.find((cluster) => this.partitionOf(cluster) === partition) ?? [])
  }

  get partitions(): number {
    return this.options.partitions
  }

  /** The partition of a cluster of hosts. */
  partitionOf(cluster: number): number {
    return this.partitions === 1 ? 0 : partitionOf(clusterName(cluster), this.partitions)
  }

  /** Who owns each partition, as far as the instances say. */
  async owners(): Promise<Map<number, Instance>> {
    const owners = new Map<number, Instance>()
    const all = await Promise.all(this.instances.map(async (instance) => ({ instance, roles: await instance.roles() })))
    for (const { instance, roles } of all)
      for (const [partition, state] of roles?.states ?? []) if (state === 'owning') owners.set(partition, instance)
    return owners
  }

  /** Who owns each partition; resolves once every one has an owner that says so. */
  async allOwners(): Promise<Map<number, Instance>> {
    let owners = await this.owners()
    await this.until('an owner of each partition', async () => {
      owners = await this.owners()
      return owners.size === this.partitions
    })
    return owners
  }

  /** Resolves when who is to own each partition does: until then owners change by plan. */
  async settled(): Promise<void> {
    const isSettled = async (partition: number): Promise<boolean> => {
      const answer = await this.instances[0].request(`/api/v1/cluster/explain?partition=${partition}`)
      const { owner, ranking } = answer.json<{ owner?: string; ranking: readonly { readonly instance: string }[] }>()
      return owner !== undefined && owner === ranking[0]?.instance
    }
    const all = Array.from({ length: this.partitions }, (_, partition) => partition)
    const isAll = async (): Promise<boolean> => {
      for (const partition of all) if (!(await isSettled(partition).catch(() => false))) return false
      return true
    }
    await this.until('nobody to hand over', isAll, settleMs)
  }

  /** Resolves when everything is well and has been for a while: brokers, store, an owner of each partition and others ready to take over, pages prompt. */
  async calm(): Promise<void> {
    await Promise.all([this.rabbit.healed(lookMs), this.consul.healthy(lookMs)])
    let sinceMs = monotonicMs()
    await this.until('calm', async () => {
      if (!(await this.isWell())) sinceMs = monotonicMs()
      return monotonicMs() - sinceMs > calmMs
    })
  }

  /** Jobs, notes and silences end; resolves when all that must be told is, or with what is not after a while. */
  async comeToRest(): Promise<string[]> {
    for (const timer of this.timers) clearInterval(timer)
    const { script } = this
    const endMs = monotonicMs() + patienceMs
    let missing = script.missing()
    while ((!script.atRest || missing.length > 0) && monotonicMs() < endMs) {
      await pause(lookEveryMs)
      missing = script.missing()
    }
    return script.atRest ? missing : [...missing, 'not all that fell silent or failed was told in time']
  }

  /** Ends instances in order, and receivers; gives those that did not end as they should. */
  async endInstances(): Promise<string[]> {
    const wrong: string[] = []
    for (const instance of this.instances) {
      const { code, signal } = await instance.stop()
      if (code !== 0) wrong.push(`instance ${instance.name} did not stop in order: ${signal ?? code}\n${instance.said}`)
    }
    return wrong
  }

  /** Ends what {@link begin} began; brokers and store stay. May be called again. */
  async end(): Promise<void> {
    this.stopped = true
    for (const timer of this.timers) clearInterval(timer)
    await (this.feed as Feed | undefined)?.end()
    await Promise.all(this.agents.map((agent) => agent.kill()))
    await Promise.all(this.instances.map((instance) => instance.close()))
    for (const receiver of [this.pager, this.chat] as (Pager | undefined)[]) await receiver?.close()
    await this.watching
  }

  async stop(): Promise<void> {
    await this.end()
    await Promise.all([this.rabbit.stop(), this.consul.stop()])
  }

  /** Asks again and again: what processes do is told by asking. @throws Error when it does not come */
  async until(what: string, holds: () => Promise<boolean> | boolean, withinMs = patienceMs): Promise<void> {
    const endMs = monotonicMs() + withinMs
    while (!(await holds())) {
      if (monotonicMs() > endMs) {
        const said = this.instances.map((instance) => instance.said).join('\n')
        throw new Error(`not within ${withinMs} ms: ${what}\n${said}`)
      }
      await pause(lookEveryMs)
    }
  }

  /** Whether every instance is ready, and every partition has its owner and somebody who could take over. */
  async isRedundant(): Promise<boolean> {
    const roles = await Promise.all(this.instances.map((instance) => instance.roles()))
    const states = roles.flatMap((role) => [...(role?.states.values() ?? [])])
    const [owned, standing] = ['owning', 'following'].map((each) => states.filter((is) => is === each).length)
    const ready = roles.every((role) => role?.ready === true)
    const settled = states.every((state) => state === 'owning' || state === 'following')
    return ready && settled && owned === this.partitions && standing >= this.partitions
  }

  private async isWell(): Promise<boolean> {
    if (!(await this.isRedundant())) return false
    const nowMs = monotonicMs()
    const due = this.script.pages(2 * this.options.pagesPerSecond).filter(({ sentMs }) => sentMs < nowMs - promptMs)
    return (
      due.length > 0 && due.every(({ sentMs, arrivedMs }) => arrivedMs !== undefined && arrivedMs - sentMs < promptMs)
    )
  }

  /** Tells the script what arrives at a receiver. */
  private async watch(receiver: Pager): Promise<void> {
    const { script } = this
    let [requests, effects] = [0, 0]
    const open = new Set<Pager['requests'][number]>()
    while (!this.stopped) {
      await Promise.race([receiver.next(), pause()])
      for (; requests < receiver.requests.length; requests++) {
        script.arrived(receiver.requests[requests])
        open.add(receiver.requests[requests])
      }
      for (const request of open) {
        if (request.status === 200) script.answered(request)
        if (request.status !== undefined) open.delete(request)
      }
      for (; effects < receiver.effects.length; effects++) script.tookEffect(receiver.effects[effects])
    }
  }
}
