/** A real Consul on loopback: servers that elect a leader, and client agents, each on ports of its own. */
import { randomUUID } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CertificateAuthority } from './certificates.ts'
import type { Host } from './hosts.ts'
import { ask, type HttpAnswer, type HttpQuestion } from './http.ts'
import { Member } from './member.ts'
import { freePorts } from './ports.ts'
import { cutNetwork } from './network.ts'
import { ready, removeFolder, serverFolder, type ServerUser } from './process.ts'
import { program } from './program.ts'

export interface ConsulOptions {
  /** Servers, 3 unless told. */
  readonly servers?: number
  /** Client agents, none unless told: a server answers as an agent does. */
  readonly agents?: number
  /** How patient Raft is, 1 to 10: 1 unless told, which is Consul's advice for production; Consul's own default is 5. */
  readonly raftMultiplier?: number
  /**
   * One server in Consul's development mode, for tests that need no cluster: it leads after half a second and keeps nothing over a
   * restart. `servers` does not count then.
   */
  readonly dev?: boolean
  /** Access is denied to whoever has no token; {@link ConsulCluster.token} may do everything. */
  readonly acl?: boolean
  /** HTTPS only, with a certificate of {@link ConsulCluster.authority}; `'mutual'`: clients need one, too. */
  readonly tls?: boolean | 'mutual'
  /** Each client agent runs as a user of its own, by which the network tells what it sends: {@link ConsulCluster.cut}. Needs root. */
  readonly ownUsers?: boolean
  /** The host of each client agent, in a network of our own. */
  readonly hosts?: readonly Host[]
  /** On top of every agent's configuration, e.g. `{ session_ttl_min: '1s' }`. */
  readonly settings?: Readonly<Record<string, unknown>>
}

/** One agent: a server or a client agent. */
export interface ConsulAgent {
  readonly name: string
  readonly server: boolean
  /** Where its HTTP API is, without a slash at its end. */
  readonly url: string
  /** Ports of 127.0.0.1. */
  readonly ports: { readonly http: number; readonly serf: number; readonly server: number }
  /** Whom it runs as, with `ownUsers`. */
  readonly user?: ServerUser
}

/**
 * How an agent is cut off from the others: all of it, or **gray**: gossip over UDP and its requests to the servers are lost, while
 * gossip's probes by TCP get through, so that the others take it for alive.
 */
export type ConsulCut = 'full' | 'gray'

/** Users of nobody's: the first client agent's, and on from there. */
const firstUser = 59_000

/** Gossip as on a fast network: a dead agent is suspected within a second rather than five. */
const gossip = { gossip_interval: '50ms', probe_interval: '200ms', probe_timeout: '200ms', suspicion_mult: 3 }

export class ConsulCluster {
  /** Servers first, then client agents. */
  readonly agents: readonly ConsulAgent[]
  /** The token that may do everything, with `acl`. */
  readonly token: string | undefined
  /** Who signed the agents' certificates, with `tls`. */
  readonly authority: CertificateAuthority | undefined
  /** Their processes, in the same order. */
  readonly members: readonly Member[]
  private stopping: Promise<void> | undefined

  private constructor(
    private readonly folder: string,
    given: Pick<ConsulCluster, 'agents' | 'token' | 'authority'> & { members: readonly Member[] },
    private readonly tls: HttpQuestion['tls'],
  ) {
    this.agents = given.agents
    this.token = given.token
    this.authority = given.authority
    this.members = given.members
  }

  /** Starts one; resolves when it is healthy and can be written to. @throws Error with its output when it does not get there */
  static async start(options: ConsulOptions = {}): Promise<ConsulCluster> {
    const { acl = false, tls = false, dev = false } = options
    const consul = program('consul')
    const folder = serverFolder('consul')
    // for its users to reach their own folders
    if (options.ownUsers === true || options.hosts !== undefined) chmodSync(folder, 0o711)
    const token = acl ? randomUUID() : undefined
    const authority = tls === false ? undefined : await CertificateAuthority.create(folder)
    const agents = await plan(options)
    const members: Member[] = []
    for (const agent of agents) {
      const home = join(folder, agent.name)
      mkdirSync(home)
      if (agent.user !== undefined) chownSync(home, agent.user.uid, agent.user.gid)
      const certificate = await authority?.issue(`${agent.name}.dc1.consul`, {
        names: [`${agent.server ? 'server' : 'client'}.dc1.consul`],
      })
      const secured =
        certificate === undefined
          ? {}
          : {
              ca_file: authority!.file,
              cert_file: certificate.certFile,
              key_file: certificate.keyFile,
              verify_incoming: tls === 'mutual',
              verify_outgoing: true,
            }
      const settings = { ...configuration(agent, agents, options, token), ...secured, ...options.settings }
      const file = join(home, 'consul.json')
      writeFileSync(file, JSON.stringify(dev ? settings : { ...settings, data_dir: join(home, 'data') }))
      const words = ['agent', ...(dev ? ['-dev'] : []), `-config-file=${file}`]
      members.push(new Member(agent.name, consul, words, { folder: home, user: agent.user }))
    }
    const client = await authority?.issue('client')
    const trust = authority && { ca: authority.certificate, cert: client?.cert, key: client?.key }
    const cluster = new ConsulCluster(folder, { agents, token, authority, members }, trust)
    try {
      await cluster.healthy()
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** Asks an agent, with the token that may do everything unless the question has one. */
  request(agent: number, path: string, question: HttpQuestion = {}): Promise<HttpAnswer> {
    const headers = { ...(this.token === undefined ? {} : { 'x-consul-token': this.token }), ...question.headers }
    return ask(this.agents[agent].url + path, { tls: this.tls, ...question, headers })
  }

  /** Resolves with the index of the server that leads, once a majority of those that are up say so and it is one of them. */
  leader(withinMs?: number): Promise<number> {
    return ready('A leader of Consul', this.upProcesses(), () => this.findLeader(), withinMs)
  }

  /**
   * Resolves when there is a leader, autopilot finds every server healthy, and every agent reads through its own connection. To be
   * waited for between two kills: Raft backs off from elections that follow one another closely.
   */
  healthy(withinMs?: number): Promise<void> {
    return ready('A healthy Consul', this.upProcesses(), () => this.isHealthy(), withinMs).then(() => undefined)
  }

  /** What it is, as its members say: version, servers, client agents. */
  async about(): Promise<string> {
    const members = (await this.request(0, '/v1/agent/members')).json<{ Tags: { role: string; build: string } }[]>()
    const versions = new Set(members.map(({ Tags }) => Tags.build.split(':')[0]))
    const servers = members.filter(({ Tags }) => Tags.role === 'consul').length
    return `Consul ${[...versions].join(', ')}: ${servers} servers, ${members.length - servers} client agents`
  }

  /** Sends a signal to an agent's process; after SIGKILL it is gone when this resolves. */
  signal(agent: number, name: NodeJS.Signals): Promise<void> {
    return this.members[agent].signal(name)
  }

  /** Kills an agent, if it runs, and starts it anew on its data. {@link healthy} tells when all is well again. */
  restart(agent: number): Promise<void> {
    return this.members[agent].restart()
  }

  /** Cuts a client agent off from the others, in a network of our own and with `ownUsers`; its HTTP API still answers. Gives what heals it. */
  cut(agent: number, how: ConsulCut): () => void {
    const { user, ports } = this.agents[agent]
    if (user === undefined) throw new Error('This cluster was not started with ownUsers.')
    const from = `uidrange ${user.uid}-${user.uid}`
    const servers = this.agents.filter(({ server }) => server)
    const gossip = [`${from} ipproto udp`, `ipproto udp dport ${ports.serf}`]
    const requests = servers.map(({ ports: { server } }) => `${from} ipproto tcp dport ${server}`)
    if (how === 'gray') return cutNetwork({ drop: [...gossip, ...requests] })
    return cutNetwork({
      drop: [...gossip, from, `ipproto tcp dport ${ports.serf}`],
      spare: [`${from} ipproto tcp sport ${ports.http}`],
    })
  }

  /** A token that may do what these rules say, e.g. `key_prefix "app/" { policy = "write" }`. */
  async createToken(rules: string): Promise<string> {
    const policy = await this.request(0, '/v1/acl/policy', { body: { Name: randomUUID(), Rules: rules } })
    if (policy.status !== 200) throw new Error(`Consul refused a policy: ${policy.text}`)
    const { ID } = policy.json<{ ID: string }>()
    const answer = await this.request(0, '/v1/acl/token', { body: { Policies: [{ ID }] } })
    return answer.json<{ SecretID: string }>().SecretID
  }

  /** Ends all of it and removes its files. May be called again. */
  stop(): Promise<void> {
    this.stopping ??= Promise.all(this.members.map((member) => member.end())).then(() => removeFolder(this.folder))
    return this.stopping
  }

  private upProcesses() {
    return this.members.filter(({ up }) => up).map(({ process }) => process)
  }

  private async findLeader(): Promise<number | undefined> {
    const asked = this.agents.flatMap(({ server }, index) => (server && this.members[index].up ? [index] : []))
    const answers = await Promise.all(
      asked.map((index) => this.request(index, '/v1/status/leader').then((answer) => answer.json<string>(), String)),
    )
    const found = asked.find((index) => {
      const address = `127.0.0.1:${this.agents[index].ports.server}`
      const saying = answers.filter((answer) => answer === address).length
      return answers[asked.indexOf(index)] === address && 2 * saying > asked.length
    })
    return found
  }

  private async isHealthy(): Promise<true | undefined> {
    const leader = await this.findLeader()
    if (leader === undefined) return undefined
    const servers = this.agents.filter(({ server }) => server).length
    // of a single server autopilot has nothing to say but two seconds later
    if (servers > 1) {
      const answer = await this.request(leader, '/v1/operator/autopilot/health')
      const { Healthy, Servers } = answer.json<{ Healthy: boolean; Servers: unknown[] }>()
      if (!Healthy || Servers.length !== servers) return undefined
    }
    const up = this.agents.flatMap((_agent, index) => (this.members[index].up ? [index] : []))
    const reads = await Promise.all(up.map((index) => this.request(index, '/v1/catalog/nodes?consistent')))
    // an agent that is not in the catalog yet has no check that a session could be bound to
    const complete = reads.every((read) => read.status === 200 && read.json<unknown[]>().length === this.agents.length)
    return complete ? true : undefined
  }
}

/** Who there will be, and where. */
async function plan({
  servers = 3,
  agents = 0,
  dev = false,
  tls = false,
  ownUsers = false,
  hosts,
}: ConsulOptions): Promise<ConsulAgent[]> {
  const serverCount = dev ? 1 : servers
  const ports = await freePorts(3 * (serverCount + agents))
  return Array.from({ length: serverCount + agents }, (_, index) => {
    const [http, serf, server] = ports.slice(3 * index)
    const host = index < serverCount ? undefined : hosts?.[index - serverCount]
    for (const port of [http, serf, server]) host?.listens(port)
    return {
      name: index < serverCount ? `server-${index}` : `agent-${index - serverCount}`,
      server: index < serverCount,
      url: `${tls === false ? 'http' : 'https'}://127.0.0.1:${http}`,
      ports: { http, serf, server },
      ...(ownUsers && index >= serverCount && { user: { uid: firstUser + index, gid: firstUser + index } }),
      ...(host !== undefined && { user: host.user }),
    }
  })
}

/** An agent's configuration without what TLS adds. */
function configuration(
  { name, server, ports }: ConsulAgent,
  agents: readonly ConsulAgent[],
  { raftMultiplier = 1, tls = false, dev = false }: ConsulOptions,
  token: string | undefined,
): Record<string, unknown> {
  const off = -1
  const servers = agents.filter((agent) => agent.server)
  return {
    node_name: name,
    server,
    ...(server && !dev ? { bootstrap_expect: servers.length } : {}),
    bind_addr: '127.0.0.1',
    client_addr: '127.0.0.1',
    ports: {
      http: tls === false ? ports.http : off,
      https: tls === false ? off : ports.http,
      serf_lan: ports.serf,
      server: ports.server,
      serf_wan: off,
      dns: off,
      grpc: off,
    },
    retry_join: servers.filter((other) => other.name !== name).map((other) => `127.0.0.1:${other.ports.serf}`),
    retry_interval: '250ms',
    gossip_lan: gossip,
    ...(dev ? {} : { performance: { raft_multiplier: raftMultiplier } }),
    // a busy machine's follower is not unhealthy
    autopilot: { last_contact_threshold: '2s', server_stabilization_time: '1s' },
    disable_update_check: true,
    log_level: 'info',
    ...(token === undefined
      ? {}
      : {
          primary_datacenter: 'dc1',
          acl: { enabled: true, default_policy: 'deny', tokens: { master: token, agent: token } },
        }),
  }
}
