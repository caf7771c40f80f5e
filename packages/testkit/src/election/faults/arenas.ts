/** The real stores that faults are done to, under one face. */
import { profiles, type Profile } from '@ricci/election'
import { ConsulCluster, type ConsulCut } from '../../servers/consul.ts'
import { EtcdCluster } from '../../servers/etcd.ts'
import { hasOwnNetwork } from '../../servers/network.ts'
import { PostgresServer } from '../../servers/postgres.ts'
import type { ProgramName } from '../../servers/program.ts'
import { Fleet } from './fleet.ts'

/** What the bounds of faults are made of: how long things take at most on a machine with time to spare, in ms. */
export interface Pace {
  /** The lease D. */
  readonly leaseMs: number
  /** From the last sign of life of a leader that died to the first act of another. */
  readonly crashMs: number
  /** What the store's servers need to agree again once one of them has died, or a single one has, to recover. */
  readonly electionMs: number
  /** What a server needs to start. */
  readonly startMs: number
  /** After how long the store takes for dead what hangs on an agent that nobody hears from. */
  readonly agentMs?: number
  /** After how long the store ends a session whose agent answers to probes and passes nothing on, where there are such probes. */
  readonly sessionMs?: number
}

/** A store, and three candidates that elect in it. */
export interface Arena {
  readonly fleet: Fleet
  /** What the candidates run with, in words. */
  readonly settings: string
  readonly pace: Pace
  /** Kills what leads in the store; gives what brings it back. */
  killLeader(): Promise<() => Promise<void>>
  /** Kills what does not lead, where there is such. */
  killFollower?(): Promise<() => Promise<void>>
  /** Kills so many that the rest cannot decide. */
  loseQuorum?(): Promise<() => Promise<void>>
  /** Kills what a candidate asks first, and nobody else needs. */
  killAgent?(member: number): Promise<() => Promise<void>>
  /** Cuts that off from the store's servers, where packets can be dropped. */
  cutAgent?(member: number, how: ConsulCut): () => Promise<void>
  /** Moves the store's wall clock, where it may be moved; gives what moves it back. */
  moveClock?(ms: number): () => void
  /** An operator removes the leader's key or row. */
  removeKey(): Promise<void>
  stop(): Promise<void>
}

/** An arena by its name, and the servers it needs. */
export interface ArenaKind {
  readonly name: string
  readonly servers: readonly ProgramName[]
  /** The faults at which its settings make a difference; all unless told. */
  readonly faults?: readonly string[]
  start(program: string): Promise<Arena>
}

const name = 'faults'

/** Kills members of a cluster; what that gives brings them back. */
function killer(cluster: ConsulCluster | EtcdCluster) {
  return async (...indexes: number[]): Promise<() => Promise<void>> => {
    for (const index of indexes) await cluster.signal(index, 'SIGKILL')
    return async () => {
      for (const index of indexes) await cluster.restart(index)
      await cluster.healthy()
    }
  }
}

async function consul(program: string, profile: Profile, ownGossip = false): Promise<Arena> {
  const canCut = hasOwnNetwork()
  const settings = ownGossip ? { gossip_lan: {} } : {}
  const cluster = await ConsulCluster.start({ servers: 3, agents: 3, ownUsers: canCut, settings })
  const ways = cluster.agents.filter(({ server }) => !server).map(({ url }) => [url])
  const { leaseMs, detectMs } = profiles[profile]
  const fleet = await Fleet.start({
    program,
    settings: { kind: 'consul', name, lease: leaseMs, detect: detectMs },
    ways,
  })
  const kill = killer(cluster)
  return {
    fleet,
    settings: `profile ${profile} (lease ${leaseMs} ms, detection ${detectMs} ms); 3 servers, raft_multiplier 1, a client agent beside each candidate${ownGossip ? ', gossip as Consul comes' : ''}`,
    pace: {
      leaseMs,
      crashMs: detectMs + leaseMs,
      // measured with raft_multiplier 1: 2.3 to 3.6 s
      electionMs: 4000,
      startMs: 3000,
      // measured with gossip as Consul comes; ours is quicker, unless the machine is so busy that gossip makes allowances for it
      agentMs: 7100,
      // twice the session's TTL, and the servers' look at it; in quick gossip's 200 ms there is no time for a second probe
      ...(ownGossip && { sessionMs: 21_000 }),
    },
    killLeader: async () => kill(await cluster.leader()),
    killFollower: async () => kill(((await cluster.leader()) + 1) % 3),
    loseQuorum: async () => kill(0, 1),
    killAgent: (member) => kill(3 + member),
    ...(canCut && {
      cutAgent(member: number, how: ConsulCut) {
        const heal = cluster.cut(3 + member, how)
        return async () => {
          heal()
          await cluster.healthy()
        }
      },
    }),
    async removeKey() {
      await cluster.request(0, `/v1/kv/election/groups/${name}/names/leader`, { method: 'DELETE' })
    },
    async stop() {
      await fleet.stop()
      await cluster.stop()
    },
  }
}

async function etcd(program: string, trustLease: boolean): Promise<Arena> {
  const cluster = await EtcdCluster.start({ members: 3 })
  const urls = cluster.members.map(({ url }) => url)
  // Each candidate asks another member first.
  const ways = urls.map((_, at) => [...urls.slice(at), ...urls.slice(0, at)])
  const leaseMs = trustLease ? 1800 : 500
  const settings = { kind: 'etcd', name, lease: '500ms', detect: '500ms', trustLease } as const
  const fleet = await Fleet.start({ program, settings, ways })
  const kill = killer(cluster)
  return {
    fleet,
    settings: `${trustLease ? 'its leases trusted' : 'profile fast (lease 500 ms)'}, TTL 2 s; 3 members with the default timing`,
    // its TTL, the half second between its looks at leases, and the successor's wait; of a lease that is trusted nine tenths are used
    pace: { leaseMs, crashMs: 2000 + 500 + (trustLease ? 0 : leaseMs), electionMs: 2000, startMs: 3000 },
    killLeader: async () => kill(await cluster.leader()),
    killFollower: async () => kill(((await cluster.leader()) + 1) % 3),
    loseQuorum: async () => kill(0, 1),
    async removeKey() {
      const key = Buffer.from(`election/groups/${name}/leader/leader`).toString('base64')
      await cluster.request(0, '/v3/kv/deleterange', { key })
    },
    async stop() {
      await fleet.stop()
      await cluster.stop()
    },
  }
}

async function postgres(program: string, expiry: 'observed' | 'database-clock'): Promise<Arena> {
  const server = await PostgresServer.start({ ownClock: true })
  const settings = { kind: 'postgres', name, lease: '1s', detect: '1s', expiry } as const
  const ways = [[server.url], [server.url], [server.url]]
  const fleet = await Fleet.start({ program, settings, ways })
  return {
    fleet,
    settings: `expiry ${expiry}, TTL 1 s; one server`,
    // what waits looks every quarter of the lease
    pace: { leaseMs: 1000, crashMs: 1250, electionMs: 3500, startMs: 3000 },
    async killLeader() {
      // A crash of the server: its sessions are gone, and it recovers.
      const restarted = server.restart('immediate')
      return () => restarted
    },
    // by the database's clock two act when it is set forward, as its description says
    ...(expiry === 'observed' && {
      moveClock(ms: number) {
        server.setClockOffset(ms)
        return () => server.setClockOffset(0)
      },
    }),
    async removeKey() {
      await server.query(`delete from election.names where grp = '${name}'`)
    },
    async stop() {
      await fleet.stop()
      await server.stop()
    },
  }
}

/** The stores, and how they are used. */
export const arenaKinds: readonly ArenaKind[] = [
  { name: 'consul', servers: ['consul'], start: (program) => consul(program, 'fast') },
  {
    name: 'consul-default',
    servers: ['consul'],
    faults: [
      'SIGKILL of the leader',
      'SIGTERM of the leader',
      'SIGSTOP of the leader',
      'SIGKILL of what leads in the store',
      "the leader's wall clock an hour ahead, and back",
      "the leader's wall clock an hour back, and it is cut off",
    ],
    start: (program) => consul(program, 'default'),
  },
  {
    name: 'consul-gossip',
    servers: ['consul'],
    faults: [
      "SIGKILL of the leader's agent",
      "the leader's agent is cut off",
      "the leader's agent is cut off, its TCP probes are not",
    ],
    start: (program) => consul(program, 'fast', true),
  },
  { name: 'etcd', servers: ['etcd'], start: (program) => etcd(program, false) },
  { name: 'etcd-trusting', servers: ['etcd'], start: (program) => etcd(program, true) },
  { name: 'postgres', servers: ['postgres', 'faketime'], start: (program) => postgres(program, 'observed') },
  {
    name: 'postgres-clock',
    servers: ['postgres', 'faketime'],
    start: (program) => postgres(program, 'database-clock'),
  },
]
