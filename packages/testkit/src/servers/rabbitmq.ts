/** Real RabbitMQ brokers on loopback, one cluster, asked by their management API. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { CertificateAuthority } from './certificates.ts'
import type { Host } from './hosts.ts'
import { ask, type HttpAnswer } from './http.ts'
import { Member } from './member.ts'
import { freePortRange } from './ports.ts'
import { ready, removeFolder, serverFolder, ServerProcess, type ServerUser } from './process.ts'
import { beside, program } from './program.ts'

export interface RabbitOptions {
  /** Brokers, 3 unless told. */
  readonly brokers?: number
  /** Seconds of silence after which a broker takes another for dead (`net_ticktime`); 8 unless told, RabbitMQ's own default is 60. */
  readonly tickSeconds?: number
  /** A second listener that speaks TLS, with a certificate of {@link RabbitCluster.authority}; `'mutual'`: clients need one, too. */
  readonly tls?: boolean | 'mutual'
  /** A host for each broker, in a network of our own: they can be cut off from one another. */
  readonly hosts?: readonly Host[]
  /** Lines of `rabbitmq.conf` beside the ones that make a cluster. */
  readonly settings?: readonly string[]
}

/** One broker. */
export interface RabbitBroker {
  /** Its name among brokers, e.g. `r0@localhost`. */
  readonly node: string
  readonly ports: { readonly amqp: number; readonly amqps: number; readonly management: number; readonly other: number }
}

/** Whom a client is. */
export interface RabbitUser {
  readonly name: string
  readonly password: string
}

/** May do everything, everywhere; the user that RabbitMQ itself makes. */
export const rabbitAdmin: RabbitUser = { name: 'guest', password: 'guest' }

/** Of a broker: AMQP, AMQPS, management, brokers among themselves, and a range for the replicas of streams. */
const portsEach = 4
const replicaPorts = 40
/** What a broker says once it runs. */
const startedBy = 'Server startup complete'
/** A broker that starts may die for no reason of ours, one in a hundred: it is started again, as systemd would. */
const startsEach = 3

export class RabbitCluster {
  private stopping: Promise<void> | undefined

  private constructor(
    private readonly folder: string,
    readonly brokers: readonly RabbitBroker[],
    /** Their processes, in the same order. */
    readonly members: readonly Member[],
    private readonly mapper: ServerProcess,
    /** Of a program that speaks to brokers as one of theirs. */
    private readonly environment: Record<string, string>,
    /** Who signed the brokers' certificates, with `tls`. */
    readonly authority: CertificateAuthority | undefined,
  ) {}

  /** Starts one; resolves when every broker runs and sees every other. @throws Error with its output when it does not get there */
  static async start(options: RabbitOptions = {}): Promise<RabbitCluster> {
    const [rabbit, erlang] = [program('rabbitmq'), program('erlang')]
    const folder = serverFolder('rabbitmq')
    const authority = options.tls ? await CertificateAuthority.create(folder) : undefined
    const [brokers, mapperPort] = await plan(options)
    writeErl(join(folder, 'bin'), erlang.file)
    // for the brokers' users to reach their own folders
    chmodSync(folder, 0o711)
    // Brokers find one another by it. A daemon that a broker starts outlives it: this one is ours.
    const mapping = ['-port', `${mapperPort}`, '-address', '127.0.0.1']
    const mapper = new ServerProcess(beside(erlang, 'epmd'), mapping, { folder })
    const members: Member[] = []
    for (const [index, broker] of brokers.entries()) {
      const own = join(folder, `${index}`)
      mkdirSync(own)
      const host = options.hosts?.[index]
      const certificate = await authority?.issue(`broker-${index}`)
      const secured =
        certificate === undefined
          ? []
          : [
              `listeners.ssl.1 = 127.0.0.1:${broker.ports.amqps}`,
              `ssl_options.cacertfile = ${authority!.file}`,
              `ssl_options.certfile = ${certificate.certFile}`,
              `ssl_options.keyfile = ${certificate.keyFile}`,
              ...(options.tls === 'mutual'
                ? ['ssl_options.verify = verify_peer', 'ssl_options.fail_if_no_peer_cert = true']
                : []),
            ]
      writeFileSync(join(own, 'rabbitmq.conf'), `${[...settings(broker, brokers, options), ...secured].join('\n')}\n`)
      writeFileSync(join(own, 'advanced.config'), advanced(broker))
      writeFileSync(join(own, 'plugins'), '[rabbitmq_consistent_hash_exchange,rabbitmq_management].')
      const env = environment(broker, own, folder, mapperPort, rabbit.libraries)
      writeCookie(own, host?.user)
      host?.listens(broker.ports.amqp, broker.ports.other + replicaPorts)
      members.push(new Member(broker.node, rabbit, [], { folder: own, env, user: host?.user, startedBy }))
    }
    // what is asked of brokers by their own tools is asked by us
    writeCookie(folder, undefined)
    const own = environment(brokers[0], folder, folder, mapperPort, rabbit.libraries)
    const cluster = new RabbitCluster(folder, brokers, members, mapper, own, authority)
    try {
      await cluster.healed()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** Where clients go, e.g. `amqp://guest:guest@127.0.0.1:20001/vhost`. */
  url(
    broker: number,
    vhost = '/',
    { name, password }: RabbitUser = rabbitAdmin,
    scheme: 'amqp' | 'amqps' = 'amqp',
  ): string {
    const who = `${encodeURIComponent(name)}:${encodeURIComponent(password)}`
    return `${scheme}://${who}@127.0.0.1:${this.brokers[broker].ports[scheme]}/${encodeURIComponent(vhost)}`
  }

  /** Every broker's {@link url}. */
  urls(vhost = '/', user: RabbitUser = rabbitAdmin): string[] {
    return this.brokers.map((_broker, index) => this.url(index, vhost, user))
  }

  /** Asks a broker's management API: `api(0, '/nodes')`, `api(0, '/vhosts/x', { method: 'PUT', body: {} })`. */
  api(
    broker: number,
    path: string,
    question: {
      readonly method?: string
      readonly body?: unknown
      readonly user?: RabbitUser
      readonly timeoutMs?: number
    } = {},
  ): Promise<HttpAnswer> {
    const { user = rabbitAdmin, timeoutMs = 10_000, ...rest } = question
    const authorization = `Basic ${Buffer.from(`${user.name}:${user.password}`).toString('base64')}`
    const headers = { authorization, 'content-type': 'application/json' }
    return ask(`http://127.0.0.1:${this.brokers[broker].ports.management}/api${path}`, { ...rest, headers, timeoutMs })
  }

  /** A virtual host of its own, so that a test sees nothing of another's. */
  async vhost(name: string): Promise<void> {
    const { status, text } = await this.api(this.upMembers()[0], `/vhosts/${encodeURIComponent(name)}`, { body: {} })
    if (status >= 300) throw new Error(`RabbitMQ made no virtual host ${name}: ${status} ${text}`)
  }

  /** A user with rights in one virtual host: patterns of what it may configure, write and read. */
  async user(
    { name, password }: RabbitUser,
    vhost: string,
    rights: { readonly configure: string; readonly write: string; readonly read: string },
    tags = '',
  ): Promise<void> {
    const broker = this.upMembers()[0]
    const [user, permission] = [encodeURIComponent(name), `${encodeURIComponent(vhost)}/${encodeURIComponent(name)}`]
    for (const answer of [
      await this.api(broker, `/users/${user}`, { body: { password, tags } }),
      await this.api(broker, `/permissions/${permission}`, { body: rights }),
    ]) {
      if (answer.status >= 300) throw new Error(`RabbitMQ made no user ${name}: ${answer.status} ${answer.text}`)
    }
  }

  /** Resolves when all brokers run; one that died by itself is started again. */
  async healed(withinMs?: number): Promise<void> {
    for (let start = 1; ; start++) {
      const why = await this.healthy(withinMs).then(
        () => undefined,
        (error: unknown) => error,
      )
      const died = this.members.filter(({ process }) => !process.running)
      if (died.length === 0 && why === undefined) return
      if (died.length === 0 || start === startsEach) throw why ?? new Error('A broker does not stay alive.')
      await Promise.all(died.map((member) => member.restart()))
    }
  }

  /** Resolves when every broker that is up runs, and says so of all others that are up and of no more. */
  healthy(withinMs?: number): Promise<void> {
    return ready('A healthy RabbitMQ', this.upProcesses(), () => this.isHealthy(), withinMs).then(() => undefined)
  }

  /** Resolves when the other brokers take this one, which is frozen or cut off, for dead. */
  async givenUp(broker: number, withinMs?: number): Promise<void> {
    const others = this.upMembers().filter((other) => other !== broker)
    const isGivenUp = async (): Promise<true | undefined> => {
      const answers = await Promise.all(others.map((other) => this.api(other, '/nodes?columns=name,running')))
      const runs = answers.some((answer) =>
        answer
          .json<{ name: string; running: boolean }[]>()
          .some(({ name, running }) => running && name === this.brokers[broker].node),
      )
      return runs ? undefined : true
    }
    await ready(`A cluster without broker ${broker}`, this.upProcesses(), isGivenUp, withinMs)
  }

  /** Resolves with the broker that leads a stream, of those that are up. */
  async leaderOf(vhost: string, queue: string): Promise<number> {
    const path = `/queues/${encodeURIComponent(vhost)}/${encodeURIComponent(queue)}`
    const leads = async (): Promise<number | undefined> => {
      for (const broker of this.upMembers()) {
        const { node } = (await this.api(broker, path)).json<{ node?: string }>()
        const index = this.brokers.findIndex((other) => other.node === node)
        if (this.members[index]?.up === true) return index
      }
      return undefined
    }
    return ready(`A leader of ${queue}`, this.upProcesses(), leads)
  }

  /** The brokers' processes, while they run. */
  get pids(): number[] {
    return this.members.map(({ process }) => process.pid)
  }

  /** Sends a signal to a broker's process; after SIGKILL it is gone when this resolves. */
  signal(broker: number, name: NodeJS.Signals): Promise<void> {
    return this.members[broker].signal(name)
  }

  /** Has a broker raise the alarm that it is short of memory, or end it: no broker takes records meanwhile. */
  async alarm(broker: number, on: boolean): Promise<void> {
    const { node } = this.brokers[broker]
    const what = `{resource_limit, memory, '${node}'}`
    const [name, alarm] = on ? ['set_alarm', `{${what}, []}`] : ['clear_alarm', what]
    const ask = `ok = rpc:call('${node}', rabbit_alarm, ${name}, [${alarm}]), halt().`
    const words = ['-noinput', '-hidden', '-sname', 'asks@localhost', '-eval', ask]
    const child = spawn(join(this.folder, 'bin', 'erl'), words, { env: this.environment, stdio: 'ignore' })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`Broker ${broker} did not change its alarm: code ${code}`)
  }

  /** Kills a broker, if it runs, and starts it anew on its data. {@link healthy} tells when all is well again. */
  restart(broker: number): Promise<void> {
    return this.members[broker].restart()
  }

  /** Ends all of it and removes its files. May be called again. */
  stop(): Promise<void> {
    this.stopping ??= Promise.all([...this.members.map((member) => member.end()), this.mapper.end()]).then(() =>
      removeFolder(this.folder),
    )
    return this.stopping
  }

  private upMembers(): number[] {
    return this.brokers.flatMap((_broker, index) => (this.members[index].up ? [index] : []))
  }

  private upProcesses(): ServerProcess[] {
    return this.members.filter(({ up }) => up).map(({ process }) => process)
  }

  /** @throws Error that says which broker sees what of the others, where that is not all of those that are up */
  private async isHealthy(): Promise<true> {
    const up = this.upMembers()
    if (!up.every((index) => this.members[index].process.started)) throw new Error('not all have started')
    const expected = up.map((index) => this.brokers[index].node).sort()
    const views = await Promise.all(
      up.map(async (index) => {
        const answer = await this.api(index, '/nodes?columns=name,running,partitions')
        const nodes = answer.json<{ name: string; running: boolean; partitions: string[] }[]>()
        return nodes
          .filter((node) => node.running && node.partitions.length === 0)
          .map(({ name }) => name)
          .sort()
      }),
    )
    const wrong = views.flatMap((view, at) =>
      view.join() === expected.join() ? [] : [`${this.brokers[up[at]].node} sees ${view.join(', ')}`],
    )
    if (wrong.length > 0) throw new Error(wrong.join('; '))
    return true
  }
}

/** Who there will be, and where; and the port by which brokers find one another. */
async function plan({ brokers = 3 }: RabbitOptions): Promise<[RabbitBroker[], number]> {
  const first = await freePortRange(brokers * (portsEach + replicaPorts) + 1)
  return [
    Array.from({ length: brokers }, (_, index) => {
      const amqp = first + index * (portsEach + replicaPorts)
      return { node: `r${index}@localhost`, ports: { amqp, amqps: amqp + 1, management: amqp + 2, other: amqp + 3 } }
    }),
    first + brokers * (portsEach + replicaPorts),
  ]
}

/** The start script takes the first `erl` of the path: one that works wherever Erlang was unpacked, and becomes the broker's process. */
function writeErl(folder: string, erlexec: string): void {
  const bin = dirname(erlexec)
  const words = [
    `ROOTDIR='${join(bin, '../..')}'`,
    `BINDIR='${bin}'`,
    'EMU=beam PROGNAME=erl',
    `exec '${erlexec}' "$@"`,
  ]
  mkdirSync(folder)
  writeFileSync(join(folder, 'erl'), `#!/bin/sh\nexport ${words.slice(0, 3).join(' ')}\n${words[3]}\n`, { mode: 0o755 })
}

/** What brokers know one another by, which only its owner may read; and the broker's folder is that one's. */
function writeCookie(own: string, user: ServerUser | undefined): void {
  const cookie = join(own, '.erlang.cookie')
  writeFileSync(cookie, 'RICCI')
  chmodSync(cookie, 0o400)
  if (user === undefined) return
  for (const path of [own, cookie]) chownSync(path, user.uid, user.gid)
}

function settings(
  { ports }: RabbitBroker,
  brokers: readonly RabbitBroker[],
  { tickSeconds = 8, settings: more = [] }: RabbitOptions,
): string[] {
  const discovery = brokers.map(({ node }, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${node}`)
  return [
    `listeners.tcp.1 = 127.0.0.1:${ports.amqp}`,
    'management.tcp.ip = 127.0.0.1',
    `management.tcp.port = ${ports.management}`,
    'cluster_formation.peer_discovery_backend = rabbit_peer_discovery_classic_config',
    ...discovery,
    // a first broker of a cluster waits so long for others
    'cluster_formation.discovery_retry_limit = 2',
    'cluster_formation.discovery_retry_interval = 200',
    'cluster_partition_handling = pause_minority',
    `net_ticktime = ${tickSeconds}`,
    // a test's machine may be short of either, which is no matter of the test's
    'vm_memory_high_watermark.absolute = 1GB',
    'disk_free_limit.absolute = 10MB',
    'log.file = false',
    'log.console = true',
    'log.console.level = info',
    ...more,
  ]
}

function advanced({ ports }: RabbitBroker): string {
  const range = `{port_range,{${ports.other + 1},${ports.other + replicaPorts}}}`
  return `[{aten,[{poll_interval,500}]},{osiris,[${range}]},{kernel,[{inet_dist_use_interface,{127,0,0,1}}]}].`
}

function environment(
  { node, ports }: RabbitBroker,
  own: string,
  shared: string,
  mapperPort: number,
  libraries: readonly string[],
): Record<string, string> {
  return {
    PATH: `${join(shared, 'bin')}:${process.env.PATH ?? '/usr/bin:/bin'}`,
    HOME: own,
    LANG: 'C.UTF-8',
    ...(libraries.length === 0 ? {} : { LD_LIBRARY_PATH: libraries.join(':') }),
    RABBITMQ_NODENAME: node,
    RABBITMQ_DIST_PORT: `${ports.other}`,
    RABBITMQ_BASE: own,
    RABBITMQ_MNESIA_BASE: join(own, 'data'),
    RABBITMQ_LOG_BASE: join(own, 'log'),
    RABBITMQ_CONFIG_FILE: join(own, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(own, 'advanced.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(own, 'plugins'),
    RABBITMQ_PID_FILE: join(own, 'pid'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(own, 'generated'),
    RABBITMQ_SCHEMA_DIR: join(own, 'schema'),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    ERL_EPMD_PORT: `${mapperPort}`,
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP_BYTES: '0',
    // the script becomes the broker's process, which signals then reach
    RUNNING_UNDER_SYSTEMD: 'true',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none',
  }
}
