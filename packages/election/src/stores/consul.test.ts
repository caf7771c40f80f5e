import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ConsulCluster, electionStoreConformance, without } from '@ricci/testkit'
import { Election, type Candidate, type Term } from '../index.ts'
import { consul } from './consul.ts'

/** Resolves with the value of the next such event. */
function next(candidate: Candidate, event: 'elected' | 'resumed' | 'suspended' | 'deposed'): Promise<Term> {
  return new Promise((resolve) => candidate.once(event, (value) => resolve(value as Term)))
}

describe('Consul: three servers and two client agents', { skip: without('consul'), timeout: 120_000 }, () => {
  let cluster: ConsulCluster
  let tests = 0
  before(async () => {
    cluster = await ConsulCluster.start({ servers: 3, agents: 2 })
  })
  after(() => cluster.stop())

  /** Indexes of the client agents, after the servers. */
  const agents = [3, 4] as const
  const election = (prefix: string, id: string, agentIndexes: readonly number[]): Election =>
    new Election({
      name: 'g',
      id,
      store: consul({ addresses: agentIndexes.map((agent) => cluster.agents[agent].url), prefix }),
    })

  // As users have it, clients ask client agents; each another one: what one writes the others read.
  electionStoreConformance('Consul', async () => {
    const prefix = `cluster-${++tests}`
    let stores = 0
    const reach = (addresses: string) => consul({ addresses, prefix })
    return {
      servers: () => cluster.about(),
      counted: { url: cluster.agents[agents[0]].url, protocol: 'http', reach },
      store: () => reach(cluster.agents[agents[stores++ % agents.length]].url),
      removeName: async (group, name) => {
        await cluster.request(0, `/v1/kv/${prefix}/groups/${group}/names/${name}`, { method: 'DELETE' })
      },
      endSession: async (_group, session) => {
        await cluster.request(0, `/v1/session/destroy/${session}`, { method: 'PUT' })
      },
    }
  })

  it('the leader of Consul dies: the same holder goes on under the same token', async () => {
    const prefix = `cluster-${++tests}`
    const [a, b] = agents.map((agent, at) => election(prefix, 'ab'[at], [agent]))
    const elected = next(a, 'elected')
    a.stand()
    const { token } = await elected
    const others: unknown[] = []
    b.on('elected', () => others.push('b'))
    a.on('deposed', (reason) => others.push(reason))
    b.stand()
    const leader = await cluster.leader()
    await cluster.signal(leader, 'SIGKILL')
    await cluster.restart(leader)
    // It is read again from the next leader: whether there was a suspension in between depends on how long that took.
    await cluster.healthy()
    const confirmed = (): Promise<void> => a.group.confirm().catch(confirmed)
    await confirmed()
    assert.equal(a.term?.token, token)
    assert.deepEqual(others, [])
    await Promise.all([a.close(), b.close()])
  })

  it('the agent of a leader dies: it stops, another leads, and it comes back through its other address', async () => {
    const prefix = `cluster-${++tests}`
    const [first, second] = agents
    const [a, b] = [election(prefix, 'a', [first, second]), election(prefix, 'b', [second])]
    const elected = next(a, 'elected')
    a.stand()
    const { token } = await elected
    b.stand()
    const taken = next(b, 'elected')
    b.on('elected', () => assert.ok(!a.isLeader))
    await cluster.signal(first, 'SIGKILL')
    const term = await taken
    assert.ok(term.token > token)
    const backThere = next(a, 'elected')
    await b.close()
    assert.ok((await backThere).token > term.token)
    await a.close()
    await cluster.restart(first)
    await cluster.healthy()
  })
})
