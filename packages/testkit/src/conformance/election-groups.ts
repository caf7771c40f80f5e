/** What groups and candidates must do over every store, each member a client of its own. */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import type { ElectionTest } from './election-bench.ts'
import { SteadyGroup } from './election-requests.ts'

/** How many members compete. */
const crowd = 20

/** How many requests are counted of the group with one name, after a first lot by which the elections' own have ended. */
const counted = 60
const passedOver = 10

/** The lease meanwhile, in ms: the shorter, the more is asked in a second. */
const countedLeaseMs = 200

/** What many names may cost beside one. */
const dearest = 1.1

/** The part of the suite from end to end. */
export function groupConformance(each: ElectionTest): void {
  describe('through groups', () => {
    each(`one of ${crowd} members leads, and when it closes the next one`, async (bench) => {
      const groups = Array.from({ length: crowd }, (_, at) => bench.join(`m${at}`))
      const candidates = groups.map((group) => bench.candidate(group, 'leader'))
      const tokens: bigint[] = []
      for (const candidate of candidates) {
        candidate.on('elected', ({ token }) => {
          tokens.push(token)
          assert.equal(candidates.filter(({ isLeader }) => isLeader).length, 1)
        })
        candidate.stand()
      }
      for (let round = 1; round <= 3; round++) {
        await bench.until(`leader ${round}`, () => tokens.length === round)
        const leader = candidates.findIndex(({ isLeader }) => isLeader)
        await bench.until('all see it', () =>
          candidates.every(({ state }, at) => groups[at].isClosed || state.leader?.id === groups[leader].id),
        )
        await bench.finish(groups[leader].close())
      }
      assert.deepEqual(tokens, tokens.toSorted(ascending))
      assert.equal(new Set(tokens).size, tokens.length)
    })

    each('a name is handed over, by its holder and on request', async (bench) => {
      const [a, b, c] = ['a', 'b', 'c'].map((id) => bench.join(id))
      const [x, ...others] = [a, b, c].map((group) => bench.candidate(group, 'x'))
      x.stand()
      await bench.until('a leads', () => x.isLeader)
      for (const other of others) other.stand()
      await bench.until('all are there', () => a.members.length === 3)
      await bench.finish(x.handOver('c'))
      await bench.until('c leads', () => others[1].isLeader)
      assert.ok(!x.isLeader)
      assert.equal(await bench.finish(b.requestHandOver('x')), true)
      await bench.until('b leads', () => others[0].isLeader)
      assert.equal(await bench.finish(b.requestHandOver('nobody stands for this')), false)
    })

    each('64 names are shared by three, and what one had is taken over when it leaves', async (bench) => {
      const groups = ['a', 'b', 'c'].map((id) => bench.join(id))
      const names = Array.from({ length: 64 }, (_, at) => `name-${at}`)
      const backMs = bench.leaseMs
      // Each has a third that it prefers.
      const candidates = groups.map((group, of) =>
        names.map((name, at) => bench.candidate(group, name, { holdBackMs: at % 3 === of ? 0 : backMs })),
      )
      for (const group of groups) group.join()
      await bench.until('all are there', () => groups.every(({ members }) => members.length === 3))
      for (const candidate of candidates.flat()) candidate.stand()
      const leaders = (at: number): number[] => candidates.flatMap((of, who) => (of[at].isLeader ? [who] : []))
      await bench.until('each name has its leader', () => names.every((_, at) => leaders(at).length === 1))
      assert.deepEqual(
        names.map((_, at) => leaders(at)),
        names.map((_, at) => [at % 3]),
      )
      await bench.finish(groups[0].close())
      await bench.until('all have one again', () =>
        names.every((_, at) => leaders(at).length === 1 && !leaders(at).includes(0)),
      )
      assert.deepEqual(
        groups[1].members.map(({ id }) => id),
        ['b', 'c'],
      )
    })

    each('256 names cost no more requests than one', async ({ backend }, context) => {
      if (backend.counted === undefined) return context.skip('this store is asked over no network')
      const started = [1, 256].map((names) => SteadyGroup.start(backend.counted!, names, { lease: countedLeaseMs }))
      const groups = (await Promise.allSettled(started)).map((one) =>
        one.status === 'fulfilled' ? one.value : assert.fail(String(one.reason)),
      )
      const [one, many] = groups
      try {
        await one.asks(passedOver)
        for (const group of groups) group.reset()
        // The same span of time for both, in which a store that is slow is asked less often.
        await one.asks(counted)
        const { requests } = many
        context.diagnostic(`${requests} requests for 256 names in the time of ${one.requests} for one`)
        assert.ok(many.leadsAll && one.leadsAll)
        assert.ok(requests > 0 && requests <= dearest * one.requests, `${requests} of 256, ${one.requests} of one`)
      } finally {
        await Promise.all(groups.map((group) => group.close()))
      }
    })

    each('who loses its session is deposed, and stands again under another', async (bench, context) => {
      const { backend, group } = bench
      if (backend.endSession === undefined) return context.skip('nobody can end a session of this store')
      const member = bench.join('a')
      const candidate = bench.candidate(member, 'x')
      const events: string[] = []
      candidate.on('elected', () => events.push('elected')).on('deposed', () => events.push('deposed'))
      candidate.on('suspended', () => events.push('suspended'))
      candidate.stand()
      await bench.until('it leads', () => candidate.isLeader)
      const { token, leader } = candidate.state
      await backend.endSession(group, leader!.session)
      await bench.until('it leads again', () => candidate.isLeader && candidate.state.token !== token)
      assert.ok(candidate.state.token! > token!)
      assert.notEqual(candidate.state.leader?.session, leader!.session)
      assert.deepEqual([events[0], events.at(-2), events.at(-1)], ['elected', 'deposed', 'elected'])
    })

    each('an act is done once, whoever leads', async (bench, context) => {
      const [a, b] = ['a', 'b'].map((id) => bench.candidate(bench.join(id), 'x'))
      a.stand()
      await bench.until('a leads', () => a.isLeader)
      const acts: bigint[] = []
      const act = (term: typeof a.term) => term!.act('page 1', (token) => void acts.push(token))
      await bench.finish(act(a.term))
      b.stand()
      await bench.finish(a.resign())
      await bench.until('b leads', () => b.isLeader)
      const session = await bench.open('someone')
      if (session.journal === undefined) return context.diagnostic('this store keeps no journal')
      await assert.rejects(bench.finish(act(b.term)), { code: 'ACT_DONE' })
      assert.equal(acts.length, 1)
    })
  })
}

function ascending(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0
}
