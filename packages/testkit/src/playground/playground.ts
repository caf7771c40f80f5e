/**
 * A cluster to break by hand: three brokers, three servers of Consul and an agent of it beside each of three instances, all real processes on free ports of
 * loopback; jobs that fail and recover; and a receiver of pages. Whatever happens is told as a line.
 */
import type { Event } from '@ricci/client'
import { Instance } from '../faults/cluster/instance.ts'
import { RoamingProducer } from '../faults/cluster/roaming-producer.ts'
import { monotonicMs } from '../faults/pager.ts'
import type { SeededRandom } from '../random.ts'
import { ConsulCluster } from '../servers/consul.ts'
import type { Member } from '../servers/member.ts'
import { RabbitCluster } from '../servers/rabbitmq.ts'
import { pause } from '../servers/wait.ts'
import { hostClusters, jobRules, Jobs, type Tally } from './jobs.ts'
import { Keeper, type Kept } from './keeper.ts'
import { Owners, type Word } from './owners.ts'
import { Receiver, type Page } from './receiver.ts'
import { changed, took, type Row } from './screen.ts'

/** What a line is about. */
type LineKind = 'page' | 'owner' | 'process' | 'alarm'

export interface PlaygroundOptions {
  /** Path of the built `ricci.mjs`. */
  readonly program: string
  readonly random: SeededRandom
  /** A job fails or recovers each time this has passed. */
  readonly everyMs: number
  /** A process that died is started again so much later. */
  readonly restartMs: number
  readonly say: (kind: LineKind, text: string) => void
}

const partitions = 4
const instanceNames = ['a', 'b', 'c']
const vhost = 'ricci'
/** Between two looks at an instance, and at producers that wait for an ack. */
const lookEveryMs = 250
/** Every host says so often that it is there, with a value that changes. */
const beatMs = 5_000
/** What is said holds until it is said anew: nothing expires while somebody plays. */
const ttlSeconds = 7 * 86_400
/** Instances own all partitions in this time, on a busy machine, too. */
const beginMs = 120_000
/** Frozen or without a majority, Consul does not say who leads. */
const leaderMs = 500
/** Lines of a log that say why its process ended. */
const lastLines = 3

/** What is asked of an instance's status. */
interface Status {
  readonly partitions: readonly { readonly partition: number; readonly replica: Omit<Word, 'partition'> }[]
}

/** Something that is kept running, and shown. */
interface Shown extends Kept {
  readonly http: string
}

export class Playground {
  private readonly jobs: Jobs
  private readonly owners = new Owners()
  private readonly closing: (() => Promise<unknown>)[] = []
  private readonly timers: NodeJS.Timeout[] = []
  private readonly listeners = new Set<() => void>()
  private consul: ConsulCluster | undefined
  private shown: readonly Shown[] = []
  private keeper: Keeper | undefined
  private producers: readonly RoamingProducer[] = []
  private receiver: Receiver | undefined
  private stopped = false

  private constructor(private readonly options: PlaygroundOptions) {
    this.jobs = new Jobs(options.random)
  }

  /** Starts all of it; resolves when every partition has an owner, and the first job fails after that. @throws Error where it does not get there */
  static async start(options: PlaygroundOptions): Promise<Playground> {
    const playground = new Playground(options)
    try {
      await playground.begin()
    } catch (error) {
      await playground.stop()
      throw error
    }
    return playground
  }

  /** Every process as it is now. */
  async rows(): Promise<Row[]> {
    const leader = await this.consul!.leader(leaderMs).catch(() => undefined)
    return this.shown.map((each) => {
      const { name, pid, http } = each
      const condition = this.keeper!.condition(each)
      const owned = this.owners.of(name.split(' ')[1])
      const role =
        condition === 'frozen'
          ? `frozen; kill -CONT ${pid} wakes it`
          : condition === 'gone'
            ? 'is started again soon'
            : name === `Consul server ${leader}`
              ? 'leads'
              : name.startsWith('instance') && owned.length > 0
                ? `owns ${owned.join(', ')}`
                : ''
      return { name, pid: condition === 'gone' ? undefined : pid, http, role }
    })
  }

  /** Where instances answer. */
  get urls(): string[] {
    return this.shown.filter(({ name }) => name.startsWith('instance')).map(({ http }) => http)
  }

  /** No job fails or recovers any more; resolves when all pages were told, the time has passed or the signal aborts. */
  async settle(withinMs: number, signal?: AbortSignal): Promise<Tally> {
    for (const timer of this.timers) clearInterval(timer)
    this.timers.push(this.producing())
    const done = AbortSignal.any([AbortSignal.timeout(withinMs), ...(signal === undefined ? [] : [signal])])
    while (!done.aborted && this.jobs.tally().missing.length > 0) await this.nextPage(done)
    return this.jobs.tally()
  }

  tally(): Tally {
    return this.jobs.tally()
  }

  /** Pages that came once more under the key of one that was told. */
  get repeats(): number {
    return this.receiver?.repeats ?? 0
  }

  /** Resolves when another page was told, or the signal aborts. */
  nextPage(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.listeners.delete(done)
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.listeners.add(done)
      signal.addEventListener('abort', done)
    })
  }

  /** Ends all of it and removes its files. */
  async stop(): Promise<void> {
    this.stopped = true
    for (const timer of this.timers) clearInterval(timer)
    await this.keeper?.stop()
    await Promise.all(this.producers.map((producer) => producer.end()))
    await Promise.all(this.closing.map((close) => close()))
  }

  private async begin(): Promise<void> {
    const { options, closing } = this
    const keep = async <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
      const started = await starting
      closing.push(() => started.stop())
      return started
    }
    const servers = [keep(RabbitCluster.start()), keep(ConsulCluster.start({ agents: instanceNames.length }))] as const
    await Promise.allSettled(servers)
    const [rabbit, consul] = await Promise.all(servers)
    this.consul = consul
    await rabbit.vhost(vhost)
    const receiver = await Receiver.start((page) => this.told(page))
    this.receiver = receiver
    closing.push(() => receiver.close())
    const agents = consul.agents.filter(({ server }) => !server)
    const management = rabbit.brokers.map(({ ports }) => `http://guest:guest@127.0.0.1:${ports.management}`)
    const instances: Instance[] = []
    for (const [at, name] of instanceNames.entries()) {
      const store = agents[at].url.replace('http', 'consul')
      const cluster = {
        brokers: rabbit.urls(vhost),
        management,
        store,
        partitions,
        secret: 'known to the three of them',
      }
      const config = {
        receivers: { pager: { type: 'webhook', url: receiver.urlFor(name) } },
        engine: { grace: '2s', pagesPerMinute: 10_000 },
      }
      const instance = await Instance.prepare({ program: options.program, name, rules: jobRules, cluster, config })
      closing.push(() => instance.close())
      instances.push(instance)
    }
    this.shown = [
      ...instances.map(instanceShown),
      ...rabbit.members.map((member, at) =>
        memberShown(`broker ${at}`, member, `http://127.0.0.1:${rabbit.brokers[at].ports.management}`),
      ),
      ...consul.agents.map(({ server, url }, at) => {
        const name = server ? `server ${at}` : `agent of ${instanceNames[agents.indexOf(consul.agents[at])]}`
        return memberShown(`Consul ${name}`, consul.members[at], url)
      }),
    ]
    for (const instance of this.shown.slice(0, instances.length)) await instance.start()
    this.keeper = new Keeper(this.shown, options.restartMs, (text) => options.say('process', text))
    const watching = Promise.all(instances.map((instance) => this.watch(instance)))
    closing.push(() => watching)
    await this.allOwned()
    const ports = instances.map((instance) => instance.ports.tcp)
    this.producers = hostClusters.map((name, cluster) => new RoamingProducer(`jobs/${name}`, cluster + 1, ports))
    const { everyMs } = options
    this.timers.push(
      setInterval(() => this.next(), everyMs),
      setInterval(() => this.beat(), beatMs),
      this.producing(),
    )
  }

  private async allOwned(): Promise<void> {
    const endMs = monotonicMs() + beginMs
    while (Array.from({ length: partitions }, (_, at) => this.owners.ownerOf(at)).includes(undefined)) {
      if (monotonicMs() > endMs || this.stopped) {
        const said = this.shown.slice(0, instanceNames.length).map((each) => `${each.name}: ${each.said}`)
        throw new Error(`not all partitions have an owner:\n${said.join('\n')}`)
      }
      await pause()
    }
  }

  /** Tells of changes of owners and of alarms, while an instance answers. */
  private async watch(instance: Instance): Promise<void> {
    while (!this.stopped) {
      await pause(lookEveryMs)
      for (const { alarm, msg } of linesOf(instance))
        if (typeof alarm === 'string') this.options.say('alarm', `${instance.name}: ${msg}`)
      try {
        const status = (await instance.request('/api/v1/status')).json<Status>()
        const words = status.partitions.map(({ partition, replica }) => ({ ...replica, partition }))
        for (const change of this.owners.learn(words)) this.options.say('owner', changed(change))
      } catch {
        // gone or frozen: others tell
      }
    }
  }

  private next(): void {
    const job = this.jobs.next(monotonicMs())
    if (job === undefined) return
    this.send(job.cluster, [{ host: job.host, service: 'job', state: job.failed ? 'critical' : 'ok' }])
  }

  private beat(): void {
    for (const cluster of hostClusters.keys()) {
      const hosts = this.jobs.all.filter((job) => job.cluster === cluster)
      this.send(
        cluster,
        hosts.map(({ host }) => ({ host, service: 'alive', state: 'ok' })),
      )
    }
  }

  private send(cluster: number, events: readonly Event[]): void {
    const producer = this.producers[cluster]
    if (!producer.hasRoom) return
    const attributes = { cluster: hostClusters[cluster] }
    producer.send(events.map((event) => ({ ...event, ttl: ttlSeconds, time: Date.now() / 1_000, attributes })))
  }

  /** What waits for an ack goes elsewhere, and pages that do not come are told of. */
  private producing(): NodeJS.Timeout {
    return setInterval(() => {
      for (const producer of this.producers) producer.look()
      for (const { host, due } of this.jobs.overdue(monotonicMs()))
        this.options.say('page', `${due!.action} ${host} is late`)
    }, lookEveryMs)
  }

  private told(page: Page): void {
    const verdict = this.jobs.told(page, monotonicMs())
    const what = `${page.action.padEnd(7)} ${page.rule} ${page.host}`
    const told = verdict.kind === 'due' ? took(verdict.afterMs, verdict.late) : 'DOUBLED: nothing like that was due'
    this.options.say('page', `${what}, ${told}, by ${page.by}`)
    for (const tell of [...this.listeners]) tell()
  }
}

/** What an instance logged since it was asked last: nothing piles up here. */
function linesOf({ daemon }: Instance): readonly { readonly alarm?: unknown; readonly msg: string }[] {
  return daemon === undefined ? [] : daemon.lines.splice(0, Math.max(0, daemon.lines.length - lastLines))
}

function instanceShown(instance: Instance): Shown {
  let daemon = instance.daemon
  return {
    name: `instance ${instance.name}`,
    http: `http://127.0.0.1:${instance.ports.http}`,
    get pid() {
      return daemon!.pid
    },
    get exited() {
      return daemon!.exited
    },
    get said() {
      return (daemon?.lines ?? [])
        .slice(-lastLines)
        .map(({ msg }) => msg)
        .join('\n')
    },
    start() {
      instance.start()
      daemon = instance.daemon
    },
  }
}

function memberShown(name: string, member: Member, http: string): Shown {
  return {
    name,
    http,
    get pid() {
      return member.process.pid
    },
    get exited() {
      return member.process.exited
    },
    get said() {
      return member.process.lines.slice(-lastLines).join('\n')
    },
    start: () => member.restart(),
  }
}
