/** A real etcd on loopback, spoken to by its JSON gateway. */
import { join } from 'node:path'
import { CertificateAuthority } from './certificates.ts'
import { ask, type HttpAnswer, type HttpQuestion } from './http.ts'
import { Member } from './member.ts'
import { freePorts } from './ports.ts'
import { ready, removeFolder, serverFolder } from './process.ts'
import { program } from './program.ts'

export interface EtcdOptions {
  /** Members, 3 unless told; 1 is enough for tests that need no cluster. */
  readonly members?: number
  /** Between two heartbeats of the leader; 100 ms, etcd's default, unless told. */
  readonly heartbeatMs?: number
  /** Silence after which there is an election; 1,000 ms, etcd's default, unless told. The least TTL of a lease is half as much again. */
  readonly electionMs?: number
  /** HTTPS with a certificate of {@link EtcdCluster.authority}; `'mutual'`: clients need one, too. */
  readonly tls?: boolean | 'mutual'
  /** Access is by user and password, `root` may do everything: {@link EtcdCluster.users}. */
  readonly auth?: EtcdUser
}

/** A user, and the keys it may read and write. */
export interface EtcdUser {
  readonly name: string
  readonly password: string
  /** All keys that begin with it. */
  readonly prefix: string
}

/** One member. */
export interface EtcdMember {
  readonly name: string
  /** Where clients go, without a slash at its end. */
  readonly url: string
  readonly ports: { readonly client: number; readonly peer: number }
}

const rootPassword = 'root of a test'

export class EtcdCluster {
  /** Who signed the members' certificates, with `tls`. */
  readonly authority: CertificateAuthority | undefined
  private stopping: Promise<void> | undefined
  private rootToken: string | undefined

  private constructor(
    private readonly folder: string,
    readonly members: readonly EtcdMember[],
    private readonly running: readonly Member[],
    authority: CertificateAuthority | undefined,
    private readonly tls: HttpQuestion['tls'],
  ) {
    this.authority = authority
  }

  /** Starts one; resolves when every member answers and can be written to. @throws Error with its output when it does not get there */
  static async start(options: EtcdOptions = {}): Promise<EtcdCluster> {
    const etcd = program('etcd')
    const folder = serverFolder('etcd')
    const authority = options.tls ? await CertificateAuthority.create(folder) : undefined
    const members = await plan(options)
    const running: Member[] = []
    for (const member of members) {
      const certificate = await authority?.issue(member.name)
      const secured =
        certificate === undefined
          ? []
          : [`--cert-file=${certificate.certFile}`, `--key-file=${certificate.keyFile}`, ...mutual(options, authority!)]
      running.push(new Member(member.name, etcd, [...words(member, members, folder, options), ...secured], { folder }))
    }
    const client = await authority?.issue('client')
    const trust = authority && { ca: authority.certificate, cert: client?.cert, key: client?.key }
    const cluster = new EtcdCluster(folder, members, running, authority, trust)
    try {
      await cluster.healthy()
      if (options.auth !== undefined) await cluster.enableAuth(options.auth)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** Asks a member's JSON gateway, e.g. `request(0, '/v3/kv/range', { key })`; keys and values are base64. As root, with `auth`. */
  request(member: number, path: string, body: unknown, question: HttpQuestion = {}): Promise<HttpAnswer> {
    const headers = { ...(this.rootToken === undefined ? {} : { authorization: this.rootToken }), ...question.headers }
    return ask(this.members[member].url + path, { method: 'POST', tls: this.tls, ...question, headers, body })
  }

  /** A token for requests as this user, as the `authorization` header has it. */
  async authenticate(name: string, password: string, member = 0): Promise<string> {
    const answer = await ask(`${this.members[member].url}/v3/auth/authenticate`, {
      method: 'POST',
      body: { name, password },
      tls: this.tls,
    })
    if (answer.status !== 200) throw new Error(`etcd refused user ${name}: ${answer.text}`)
    return answer.json<{ token: string }>().token
  }

  /** Resolves with the index of the member that leads, once a majority of those that are up say so and it is one of them. */
  leader(withinMs?: number): Promise<number> {
    return ready('A leader of etcd', this.upProcesses(), () => this.findLeader(), withinMs)
  }

  /** Resolves when there is a leader and every member that is up reads through it. */
  healthy(withinMs?: number): Promise<void> {
    return ready('A healthy etcd', this.upProcesses(), () => this.isHealthy(), withinMs).then(() => undefined)
  }

  /** What it is, as its members say: version, and how many there are. */
  async about(): Promise<string> {
    const answers = await Promise.all(
      this.members.map((_, index) => this.request(index, '/v3/maintenance/status', {}).then((answer) => answer.json())),
    )
    const versions = new Set((answers as { version: string }[]).map(({ version }) => version))
    const list = (await this.request(0, '/v3/cluster/member/list', {})).json<{ members: unknown[] }>()
    return `etcd ${[...versions].join(', ')}: ${list.members.length} members`
  }

  /** Sends a signal to a member's process; after SIGKILL it is gone when this resolves. */
  signal(member: number, name: NodeJS.Signals): Promise<void> {
    return this.running[member].signal(name)
  }

  /** Kills a member, if it runs, and starts it anew on its data. {@link healthy} tells when all is well again. */
  restart(member: number): Promise<void> {
    return this.running[member].restart()
  }

  /** Ends all of it and removes its files. May be called again. */
  stop(): Promise<void> {
    this.stopping ??= Promise.all(this.running.map((member) => member.end())).then(() => removeFolder(this.folder))
    return this.stopping
  }

  private upProcesses() {
    return this.running.filter(({ up }) => up).map(({ process }) => process)
  }

  private upMembers(): number[] {
    return this.members.flatMap((_member, index) => (this.running[index].up ? [index] : []))
  }

  private async findLeader(): Promise<number | undefined> {
    const asked = this.upMembers()
    const answers = await Promise.all(
      asked.map((index) =>
        this.request(index, '/v3/maintenance/status', {}).then(
          (answer) => answer.json<{ leader?: string; header?: { member_id: string } }>(),
          () => ({}) as { leader?: string; header?: { member_id: string } },
        ),
      ),
    )
    const at = answers.findIndex(({ leader, header }) => {
      const saying = answers.filter((answer) => answer.leader === header?.member_id).length
      return leader !== undefined && leader === header?.member_id && 2 * saying > asked.length
    })
    return at < 0 ? undefined : asked[at]
  }

  private async isHealthy(): Promise<true | undefined> {
    if ((await this.findLeader()) === undefined) return undefined
    // the health of a member is a linearizable read of its own, also where users must say who they are
    const answers = await Promise.all(
      this.upMembers().map((index) => ask(`${this.members[index].url}/health`, { tls: this.tls })),
    )
    return answers.every(({ text }) => /"health":\s*"true"/.test(text)) ? true : undefined
  }

  private async enableAuth({ name, password, prefix }: EtcdUser): Promise<void> {
    const base64 = (text: string) => Buffer.from(text).toString('base64')
    // the range of all keys with a prefix ends where the last byte is one higher
    const end = prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
    const perm = { permType: 'READWRITE', key: base64(prefix), range_end: base64(end) }
    const steps: [string, unknown][] = [
      ['/v3/auth/user/add', { name: 'root', password: rootPassword }],
      ['/v3/auth/user/grant', { user: 'root', role: 'root' }],
      ['/v3/auth/role/add', { name }],
      ['/v3/auth/role/grant', { name, perm }],
      ['/v3/auth/user/add', { name, password }],
      ['/v3/auth/user/grant', { user: name, role: name }],
      ['/v3/auth/enable', {}],
    ]
    for (const [path, body] of steps) {
      const answer = await this.request(0, path, body)
      if (answer.status !== 200) throw new Error(`etcd refused ${path}: ${answer.text}`)
    }
    this.rootToken = await this.authenticate('root', rootPassword)
  }
}

async function plan({ members = 3, tls }: EtcdOptions): Promise<EtcdMember[]> {
  const ports = await freePorts(2 * members)
  return Array.from({ length: members }, (_, index) => {
    const [client, peer] = ports.slice(2 * index)
    return { name: `member-${index}`, url: `${tls ? 'https' : 'http'}://127.0.0.1:${client}`, ports: { client, peer } }
  })
}

function words(
  { name, url, ports }: EtcdMember,
  members: readonly EtcdMember[],
  folder: string,
  { heartbeatMs = 100, electionMs = 1_000 }: EtcdOptions,
): string[] {
  const peer = (port: number) => `http://127.0.0.1:${port}`
  return [
    `--name=${name}`,
    `--data-dir=${join(folder, name)}`,
    `--listen-client-urls=${url}`,
    `--advertise-client-urls=${url}`,
    `--listen-peer-urls=${peer(ports.peer)}`,
    `--initial-advertise-peer-urls=${peer(ports.peer)}`,
    `--initial-cluster=${members.map((member) => `${member.name}=${peer(member.ports.peer)}`).join(',')}`,
    '--initial-cluster-state=new',
    `--heartbeat-interval=${heartbeatMs}`,
    `--election-timeout=${electionMs}`,
    '--log-outputs=stderr',
    '--logger=zap',
  ]
}

function mutual({ tls }: EtcdOptions, authority: CertificateAuthority): string[] {
  return tls === 'mutual' ? ['--client-cert-auth', `--trusted-ca-file=${authority.file}`] : []
}
