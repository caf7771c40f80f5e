/** A server as one of several: its listener for the others, what it asks of them, and what it tells people of all. */
import { hostname } from 'node:os'
import type { RulesRecord } from '@ricci/engine'
import {
  partitionOf,
  type Clock,
  type CoordinationPort,
  type Member,
  type Placement,
  type SnapshotPort,
} from '@ricci/replica'
import type { Access } from '../access/access.ts'
import type { ClusterConfig } from '../config/config.ts'
import { bracketed, type Address } from '../config/units.ts'
import { RicciError, type RicciErrorCode } from '../errors.ts'
import type { ClusterBackend, Degraded } from '../http/backend.ts'
import { Acquaintance, type Met } from '../peers/acquaintance.ts'
import { PeerClient } from '../peers/client.ts'
import { PeerListener } from '../peers/listener.ts'
import { PeerSnapshots } from '../peers/peer-snapshots.ts'
import type { PartitionsBackend } from '../peers/protocol.ts'
import type { PeerSecurity } from '../peers/security.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { clusterStatus } from './cluster-status.ts'
import type { ServerStatus } from './status.ts'

export interface MembershipOptions {
  readonly instance: string
  readonly config: ClusterConfig
  readonly coordination: CoordinationPort
  /** Of the log. */
  readonly partitions: number
  /** This server's own. */
  readonly snapshots: SnapshotPort
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Another instance came. */
  readonly onJoin: () => void
  /** It turned out that the others know this instance, or do not. */
  readonly onChange: () => void
}

/** What it answers the others from. */
export interface OwnSide {
  readonly local: PartitionsBackend
  status(): Promise<unknown>
  tryRules(rules: Pick<RulesRecord, 'bundle' | 'settings'>): Promise<void>
  drain(on: boolean): void
  readonly access: Pick<Access, 'heard' | 'ownAudit'>
}

export class Membership {
  /** Asks the others. */
  readonly client: PeerClient
  /** This server's own snapshots, and theirs. */
  readonly snapshots: PeerSnapshots
  private readonly security: PeerSecurity
  private listener: PeerListener | undefined
  private readonly acquaintance = new Acquaintance()
  private readonly unsubscribe: () => void
  /** It has been told that nobody knows this instance. */
  private toldStrange = false

  constructor(private readonly options: MembershipOptions) {
    const { config, clock, instance, coordination, telemetry, snapshots } = options
    const { identity } = config
    // one object: the key that is made of a secret is kept by it
    this.security = 'secret' in identity ? { secret: identity.secret.reveal() } : identity
    const onMet = (address: string, answered: boolean): void => this.met(address, answered)
    this.client = new PeerClient({ security: this.security, clock, onMet })
    let known: ReadonlySet<string> = new Set()
    this.unsubscribe = coordination.onMembers(() => {
      const others = this.addresses()
      this.acquaintance.meet(others)
      const isNew = others.some(({ address }) => !known.has(address))
      known = new Set(others.map(({ address }) => address))
      if (isNew) options.onJoin()
    })
    this.snapshots = new PeerSnapshots({
      instance,
      local: snapshots,
      members: () => coordination.members(),
      client: this.client,
      clock,
      onTrouble: (what) => telemetry.log.warn(what),
    })
  }

  /** Listens for the others; gives what they are to be told to reach it at. @throws RicciError `LISTEN` */
  async listen(own: OwnSide): Promise<string> {
    const { config, snapshots, telemetry } = this.options
    this.listener = new PeerListener({
      listen: config.listen,
      security: this.security,
      telemetry,
      backend: {
        query: (request, signal) => own.local.query(request, signal),
        incidents: (request, signal) => own.local.incidents(request, signal),
        commands: (request, signal) => own.local.commands(request, signal),
        watch: (request, signal) => own.local.watch(request, signal),
        snapshots: (partition) => snapshots.list(partition),
        snapshot: (info) => snapshots.fetch(info),
        status: () => own.status(),
        tryRules: ({ bundle, settings }) => own.tryRules({ bundle: Buffer.from(bundle, 'base64'), settings }),
        drain: async (on) => own.drain(on),
        tokens: (known) => own.access.heard(known),
        audit: (limit) => own.access.ownAudit(limit),
      },
    })
    const port = await this.listener.listen()
    return addressOf(config.address ?? { host: reachable(config.listen.host), port })
  }

  /** The other instances that are alive and can be asked, by their names. */
  others(): ReadonlyMap<string, ReturnType<PeerClient['at']>> {
    const others = new Map<string, ReturnType<PeerClient['at']>>()
    for (const { instance, data } of this.options.coordination.members()) {
      if (instance !== this.options.instance && data.peers !== undefined)
        others.set(instance, this.client.at(data.peers))
    }
    return others
  }

  /** Why this instance is not one of the cluster, to its others; undefined while it is, as far as is known. */
  get strange(): string | undefined {
    const others = this.addresses()
    if (!this.acquaintance.isStranger(others)) return undefined
    return `the others do not know this instance (${this.acquaintance.refusedBy(others).join(', ')}): it ${lacks[this.proof]}`
  }

  /** What is worse than it should be. */
  *degraded(): Iterable<Degraded> {
    const { strange } = this
    if (strange !== undefined) return yield { part: 'peers', detail: strange }
    const refusing = this.acquaintance.refusedBy(this.addresses()).join(', ')
    if (refusing === '') return
    const detail = `${refusing} cannot be asked, and cannot ask: its ${this.proof} is another than ours; what only it keeps nobody else can tell of`
    yield { part: 'peers', detail }
  }

  private get proof(): keyof typeof lacks {
    return 'secret' in this.security ? 'secret' : 'certificate'
  }

  private met(address: string, answered: boolean): void {
    const { telemetry, onChange } = this.options
    const before = this.strange !== undefined
    this.acquaintance.note(address, answered)
    const { strange } = this
    if (strange !== undefined && !this.toldStrange) {
      this.toldStrange = true
      telemetry.alarm('not-known', strange)
    }
    if (before !== (strange !== undefined)) onChange()
  }

  private addresses(): readonly Met[] {
    return this.otherMembers().flatMap(({ instance, data: { peers } }) =>
      peers === undefined ? [] : [{ instance, address: peers }],
    )
  }

  /** What people and programs ask of all of them. */
  backend(placement: Pick<Placement, 'drain' | 'explain'>): ClusterBackend {
    const { instance, partitions } = this.options
    return {
      status: () => clusterStatus(instance, this.members(), partitions),
      explain: (of) => {
        const partition = 'key' in of ? partitionOf(of.key, partitions) : of.partition
        if (partition < partitions) return placement.explain(partition)
        const there = `there is no partition ${partition}; the log has ${partitions}, from 0 on`
        throw new RicciError('NO_PARTITION', there)
      },
      drain: async (name, drain) => {
        if (name === instance) placement.drain(drain)
        else await this.peer(name).drain(drain)
      },
    }
  }

  /** What each other instance says of itself, or why it does not. */
  async statuses(): Promise<ReadonlyMap<string, ServerStatus | Error>> {
    const told = this.otherMembers().map(
      async ({ instance, data: { peers } }): Promise<[string, ServerStatus | Error]> => {
        try {
          if (peers === undefined) return [instance, new Error('it does not say where it can be asked')]
          return [instance, knownStatus(await this.client.at(peers).status())]
        } catch (error) {
          return [instance, error as Error]
        }
      },
    )
    return new Map(await Promise.all(told))
  }

  /** Fingerprints of the rules in force by partition, as the others say; who does not answer says nothing. */
  async rulesElsewhere(): Promise<ReadonlyMap<number, string>> {
    const known = new Map<number, string>()
    for (const status of (await this.statuses()).values()) {
      if (status instanceof Error) continue
      for (const { partition, rules } of status.partitions) if (rules !== undefined) known.set(partition, rules)
    }
    return known
  }

  /** Has every other instance that is alive load rules, and throw them away. @throws RicciError with what the first of them could not */
  async tryRules({ bundle, settings }: RulesRecord): Promise<void> {
    const rules = { bundle: Buffer.from(bundle).toString('base64'), settings }
    await Promise.all(
      this.otherMembers().map(async ({ instance, data: { peers } }) => {
        try {
          if (peers === undefined) throw new RicciError('PEER_UNREACHABLE', 'it does not say where it can be asked')
          await this.client.at(peers).tryRules(rules)
        } catch (error) {
          // one that died is among the members for some seconds more: it loads what is in force when it is started again
          if ((error as RicciError).code === 'PEER_UNREACHABLE' && (await this.leaves(instance))) return
          const { code = 'PEER_REFUSED', message } = error as { code?: RicciErrorCode; message: string }
          const advice = code === 'PEER_UNREACHABLE' ? '; mend it or end it, then try again' : ''
          const text = `instance "${instance}" could not load the rules, so no instance switches: ${message}${advice}`
          throw new RicciError(code, text, { cause: error })
        }
      }),
    )
  }

  /** Whether an instance that cannot be reached is found to have gone, in a while. */
  private async leaves(instance: string): Promise<boolean> {
    const { clock, coordination } = this.options
    const isThere = (): boolean => coordination.members().some((member) => member.instance === instance)
    if (!isThere()) return true
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel()
        unsubscribe()
        resolve(!isThere())
      }
      const timer = clock.setTimer(goneMs, end)
      const unsubscribe = coordination.onMembers(() => {
        if (!isThere()) end()
      })
    })
  }

  private otherMembers(): readonly Member[] {
    return this.members().filter(({ instance }) => instance !== this.options.instance)
  }

  async close(): Promise<void> {
    this.unsubscribe()
    await this.listener?.close()
    this.client.close()
  }

  private members(): readonly Member[] {
    return this.options.coordination.members()
  }

  /** @throws RicciError `NO_INSTANCE` */
  private peer(name: string): ReturnType<PeerClient['at']> {
    const members = this.members()
    const peers = members.find((member) => member.instance === name)?.data.peers
    if (peers !== undefined) return this.client.at(peers)
    const names = members.map((member) => member.instance).join(', ') || 'none that this one knows of'
    throw new RicciError('NO_INSTANCE', `there is no instance "${name}" now; there are ${names}`)
  }
}

/** So long an instance that cannot be reached is given to be known to have gone: stores tell of a death within a few seconds. */
const goneMs = 10_000

/** What one whom nobody knows has not, and what to do. */
const lacks = {
  secret: 'has another secret than they; give all of them the same cluster.secret, and start this one again',
  certificate:
    'has no certificate of their authority; see that cluster.peers is the same authority everywhere, and start this one again',
} as const

/** Where this machine can be reached whose listener takes whatever comes. */
function reachable(host: string): string {
  return host === '0.0.0.0' || host === '::' ? hostname() : host
}

/** `host:port`, with an address of IPv6 in brackets. */
export function addressOf({ host, port }: Address): string {
  return `${bracketed(host)}:${port}`
}

/** A release before or after this one may say other things of itself. */
function knownStatus(status: unknown): ServerStatus {
  const { receivers, alarms, dropped, version } = status as Partial<ServerStatus>
  if (receivers !== undefined && alarms !== undefined && dropped !== undefined) return status as ServerStatus
  throw new Error(
    `it runs another release (${version}) and says other things of itself; ask it itself, or bring both to one release`,
  )
}
