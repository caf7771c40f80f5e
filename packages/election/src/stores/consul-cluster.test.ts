import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { ConsulCluster, electionStoreConformance, HttpMeddler, without } from '@ricci/testkit'
import { Election, ElectionGroup, type Candidate, type Term } from '../index.ts'
import { consul } from './consul.ts'

/** Resolves with the value of the next such event. */
function next(candidate: Candidate, event: 'elected' | 'resumed' | 'suspended' | 'deposed'): Promise<Term> {
  return new Promise((resolve) => candidate.once(event, (value) => resolve(value as Term)))
}

describe('A cluster of Consul', { skip: without('consul'), timeout: 120_000 }, () => {
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

  // Each client asks another agent: what one writes the others read.
  electionStoreConformance('Consul, through several agents,', async () => {
    const prefix = `cluster-${++tests}`
    let stores = 0
    return {
      store: () => consul({ addresses: cluster.agents[stores++ % cluster.agents.length].url, prefix }),
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
    const { group } = a
    // It is read again from the next leader: whether there was a suspension in between depends on how long that took.
    const again = new Promise<void>((resolve) => group.on('store', (answers) => answers && resolve()))
    await Promise.race([again, next(a, 'resumed')])
    await cluster.restart(leader)
    await cluster.healthy()
    if (!a.isLeader) await next(a, 'resumed')
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

  it('256 names cost no more requests than one', async (context) => {
    const meddler = await HttpMeddler.start(cluster.agents[agents[0]].url)
    try {
      /** So long is counted, in ms; a lease of 1 s asks four times a second. */
      const countedMs = 5000
      const count = async (names: number): Promise<Map<string, number>> => {
        const store = consul({ addresses: meddler.url, prefix: `cluster-${++tests}` })
        const group = new ElectionGroup({ name: 'g', id: 'a', store, lease: '1s', detect: '1s', fenced: true })
        const candidates = Array.from({ length: names }, (_, at) => group.candidate(`name-${at}`))
        await Promise.all(candidates.map((candidate) => candidate.campaign()))
        const before = meddler.asked.length
        // Steady time is what is measured here: the one thing that no event tells.
        await new Promise<void>((resolve) => setTimeout(() => resolve(), countedMs))
        const asked = meddler.asked.slice(before)
        assert.ok(candidates.every(({ isLeader }) => isLeader))
        const counts = new Map<string, number>()
        for (const path of asked) {
          const kind = path.replace(/\?.*|\/v1\/kv\/.*|[^/]*:.*|[0-9a-f-]{36}$/g, '')
          counts.set(kind, (counts.get(kind) ?? 0) + 1)
        }
        await group.close()
        return counts
      }
      const sum = (counts: Map<string, number>): number => [...counts.values()].reduce((a, b) => a + b, 0)
      const [one, many] = [await count(1), await count(256)]
      context.diagnostic(`in ${countedMs / 1000} s: ${sum(one)} requests for one name, ${sum(many)} for 256`)
      assert.ok(sum(many) <= sum(one) * 1.1 + 1, JSON.stringify([[...one], [...many]]))
    } finally {
      await meddler.close()
    }
  })
})
