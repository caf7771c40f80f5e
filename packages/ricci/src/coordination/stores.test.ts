/** Coordination over real stores. */
import { after, before, describe } from 'node:test'
import { consul, etcd, postgres, systemClock as clock, type LeaseStore } from '@ricci/election'
import { ConsulCluster, coordinationConformance, EtcdCluster, PostgresServer, without } from '@ricci/testkit'
import { GroupCoordination } from './group.ts'

/** A partition that no test campaigns for. */
const otherPartition = 99

/** The suite, each test in a group of its own, over stores that `reach` gives. */
function suite(name: string, reach: () => LeaseStore): void {
  let tests = 0
  coordinationConformance(name, async (context) => {
    const group = `test-${++tests}`
    const made = (id: string) => new GroupCoordination({ name: group, store: reach(), id, clock, profile: 'fast' })
    const asking = made('asking')
    context.after(() => asking.close())
    return {
      join: async (instance) => made(instance),
      // A question to the store and its answer.
      turn: async () => void (await asking.isHeld(otherPartition)),
    }
  })
}

describe('Consul: three servers and a client agent', { skip: without('consul'), timeout: 240_000 }, () => {
  let cluster: ConsulCluster
  before(async () => {
    cluster = await ConsulCluster.start({ servers: 3, agents: 1 })
  })
  after(() => cluster.stop())
  suite('Consul', () => consul({ addresses: [cluster.agents[3].url], prefix: 'ricci' }))
})

describe('etcd: one member', { skip: without('etcd'), timeout: 240_000 }, () => {
  let cluster: EtcdCluster
  before(async () => {
    cluster = await EtcdCluster.start({ members: 1 })
  })
  after(() => cluster.stop())
  suite('etcd', () => etcd({ addresses: [cluster.members[0].url] }))
})

describe('PostgreSQL', { skip: without('postgres'), timeout: 240_000 }, () => {
  let server: PostgresServer
  before(async () => {
    server = await PostgresServer.start({ fsync: false })
  })
  after(() => server.stop())
  suite('PostgreSQL', () => postgres({ url: server.url, schema: 'ricci' }))
})
