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
import type { ClusterBackend } from '../http/backend.ts'
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

  constructor(private readonly options: MembershipOptions) {
    const { config, clock, instance, coordination, telemetry, snapshots } = options
    const { identity } = config
    // one object: the key that is made of a secret is kept by it
    this.security = 'secret' in identity ? { secret: identity.secret.reveal() } : identity
    this.client = new PeerClient({ security: this.security, clock })
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
          const { code = 'PEER_REFUSED', message } = error as { code?: RicciErrorCode; message: string }
          throw new RicciError(
            code,
            `instance "${instance}" could not load the rules, so no instance switches: ${message}`,
            { cause: error },
          )
        }
      }),
    )
  }

  private otherMembers(): readonly Member[] {
    return this.members().filter(({ instance }) => instance !== this.options.instance)
  }

  async close(): Promise<void> {
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
