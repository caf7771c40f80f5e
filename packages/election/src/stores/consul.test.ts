import { after, before, describe } from 'node:test'
import { ConsulCluster, electionStoreConformance, without } from '@ricci/testkit'
import { consul } from './consul.ts'

describe('Consul', { skip: without('consul') }, () => {
  let cluster: ConsulCluster
  let tests = 0
  before(async () => {
    cluster = await ConsulCluster.start({ dev: true })
  })
  after(() => cluster.stop())

  electionStoreConformance('Consul', async () => {
    // Each test has its own keys.
    const prefix = `test-${++tests}`
    const addresses = cluster.agents[0].url
    return {
      store: () => consul({ addresses, prefix }),
      removeName: async (group, name) => {
        await cluster.request(0, `/v1/kv/${prefix}/groups/${group}/names/${name}`, { method: 'DELETE' })
      },
      endSession: async (_group, session) => {
        await cluster.request(0, `/v1/session/destroy/${session}`, { method: 'PUT' })
      },
    }
  })
})
