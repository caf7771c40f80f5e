/** What every coordination service must do: a suite for `node:test`. */
import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import type { CoordinationPort, Lease, Member, MemberData, Standing } from '@ricci/replica'
import { settle, until, type Turn } from './turns.ts'

/** One coordination service, as several instances see it. Made anew for each test. */
export interface CoordinationBackend {
  /** Another instance, of this name. */
  join(instance: string): Promise<CoordinationPort>
  turn?: Turn
}

/** A hold-back that no test waits for. */
const neverMs = 3_600_000

/** Runs the suite: see `logConformance`. */
export function coordinationConformance(
  name: string,
  makeBackend: (context: TestContext) => Promise<CoordinationBackend>,
): void {
  const each = (what: string, run: (arena: Arena) => Promise<void>) =>
    test(what, async (context) => {
      const arena = new Arena(await makeBackend(context))
      await run(arena)
      await arena.close()
    })

  describe(`${name} as coordination`, () => {
    each('a candidate alone is told its lease, and not before its campaign has returned', async (arena) => {
      const port = await arena.join()
      const a = arena.candidate(7, port)
      assert.deepEqual(a.told, [])
      await arena.until('a lease', () => a.lease !== undefined)
      assert.equal(a.lease!.partition, 7)
      assert.notEqual(a.lease!.token, '')
      await arena.settle()
      assert.equal(a.told.length, 1)
    })

    each('of several candidates one holds the lease, and keeps it', async (arena) => {
      const candidates = [
        arena.candidate(0, await arena.join()),
        arena.candidate(0, await arena.join()),
        arena.candidate(0, await arena.join()),
      ]
      await arena.until('a lease', () => candidates.some(({ lease }) => lease !== undefined))
      const holder = candidates.find(({ lease }) => lease !== undefined)!
      const late = arena.candidate(0, await arena.join())
      await arena.settle()
      assert.deepEqual(
        [...candidates, late].filter(({ lease }) => lease !== undefined),
        [holder],
      )
    })

    each('the lease goes round as holders abort, each time under another token', async (arena) => {
      const waiting = new Set([
        arena.candidate(0, await arena.join()),
        arena.candidate(0, await arena.join()),
        arena.candidate(0, await arena.join()),
      ])
      const tokens = new Set<string>()
      while (waiting.size > 0) {
        const holder = () => [...waiting].find(({ lease }) => lease !== undefined)
        await arena.until('a next holder', () => holder() !== undefined)
        const current = holder()!
        tokens.add(current.lease!.token)
        current.abort()
        waiting.delete(current)
      }
      assert.equal(tokens.size, 3)
    })

    each('who came back after an abort holds a new lease', async (arena) => {
      const port = await arena.join()
      const first = arena.candidate(0, port)
      await arena.until('a lease', () => first.lease !== undefined)
      const { token } = first.lease!
      first.abort()
      const second = arena.candidate(0, port)
      await arena.until('a lease', () => second.lease !== undefined)
      assert.notEqual(second.lease!.token, token)
    })

    each('partitions are independent', async (arena) => {
      const port = await arena.join()
      const own = [arena.candidate(0, port), arena.candidate(1, port), arena.candidate(2, port)]
      await arena.until('three leases', () => own.every(({ lease }) => lease !== undefined))
      const other = arena.candidate(1, await arena.join())
      own[1].abort()
      await arena.until('the lease given up', () => other.lease !== undefined)
      assert.deepEqual([own[0].lease!.partition, other.lease!.partition, own[2].lease!.partition], [0, 1, 2])
      assert.deepEqual([own[0].told.length, own[2].told.length], [1, 1])
    })

    each('a campaign that was aborted is told of no lease any more', async (arena) => {
      const ports = [await arena.join(), await arena.join(), await arena.join()]
      const a = arena.candidate(0, ports[0])
      a.abort()
      const b = arena.candidate(0, ports[1])
      await arena.until('a lease for the other', () => b.lease !== undefined)
      const aborted = arena.candidate(0, ports[2], AbortSignal.abort())
      b.abort()
      await arena.settle()
      assert.deepEqual([a.granted, aborted.granted], [0, 0])
    })

    each('who waits and aborts is passed over', async (arena) => {
      const holder = arena.candidate(0, await arena.join())
      await arena.until('a lease', () => holder.lease !== undefined)
      const second = arena.candidate(0, await arena.join())
      const third = arena.candidate(0, await arena.join())
      await arena.settle()
      second.abort()
      holder.abort()
      await arena.until('a lease for the third', () => third.lease !== undefined)
      assert.equal(second.granted, 0)
    })

    each('everybody is told whether a lease is held, of that partition', async (arena) => {
      const [holder, waiting, other] = [await arena.join(), await arena.join(), await arena.join()]
      assert.equal(await other.isHeld(0), false)
      const first = arena.candidate(0, holder)
      await arena.until('a lease', () => first.lease !== undefined)
      const second = arena.candidate(0, waiting)
      assert.deepEqual([await holder.isHeld(0), await waiting.isHeld(0), await other.isHeld(0)], [true, true, true])
      assert.equal(await other.isHeld(1), false)
      first.abort()
      await arena.until('a lease for the second', () => second.lease !== undefined)
      assert.equal(await other.isHeld(0), true)
      second.abort()
      await arena.settle()
      assert.equal(await other.isHeld(0), false)
    })

    each('members see each other, what they published last, and who leaves', async (arena) => {
      const [a, b, silent] = [await arena.join(), await arena.join(), await arena.join()]
      assert.deepEqual(a.members(), [])
      a.publish(dataOf({}))
      for (const port of [a, b, silent, a]) port.join()
      for (const [partition, standing] of [
        [0, 'restoring'],
        [0, 'following'],
        [3, 'owning'],
      ] as const) {
        b.publish({ ...dataOf({ [partition]: standing }), zone: 'z', peers: 'host:1' })
      }
      const expected: Member[] = [
        { instance: 'i1', data: dataOf({}) },
        { instance: 'i2', data: { ...dataOf({ 3: 'owning' }), zone: 'z', peers: 'host:1' } },
      ]
      for (const port of [a, b, silent]) {
        await arena.until('both are seen', () => isDeepStrictEqual(port.members(), expected))
      }
      const told: string[][] = []
      const end = a.onMembers((members) => told.push(members.map(({ instance }) => instance)))
      await b.close()
      await arena.until('it is seen to leave', () => a.members().length === 1)
      await arena.until('that is told', () => told.length > 0)
      assert.deepEqual(told.at(-1), ['i1'])
      end()
      const before = told.length
      silent.publish(dataOf({}))
      await arena.until('another is seen', () => a.members().length === 2)
      assert.equal(told.length, before)
    })

    each(
      'who holds back least is given what is free; that may change while it campaigns, and disturbs no holder',
      async (arena) => {
        const ports = [await arena.join(), await arena.join(), await arena.join()]
        const [a, b, c] = ports
        const holder = arena.candidate(0, a)
        await arena.until('a lease', () => holder.lease !== undefined)
        for (const port of [b, c]) port.prefer(0, neverMs)
        const others = [arena.candidate(0, b), arena.candidate(0, c)]
        await arena.settle()
        c.prefer(0, 0)
        await arena.settle()
        assert.notEqual(holder.lease, undefined)
        holder.abort()
        await arena.until('a lease for who holds back least', () => others[1].lease !== undefined)
        assert.equal(others[0].granted, 0)
        others[1].abort()
        await arena.settle()
        assert.equal(others[0].granted, 0)
        b.prefer(0, 0)
        await arena.until('a lease for who holds back no more', () => others[0].lease !== undefined)
      },
    )

    each('who prefers when it is told that a member has left is given its lease', async (arena) => {
      const [a, b] = [await arena.join(), await arena.join()]
      for (const port of [a, b]) port.publish(dataOf({}))
      for (const port of [a, b]) port.join()
      const holder = arena.candidate(0, a)
      await arena.until('a lease', () => holder.lease !== undefined)
      await arena.until('both are seen', () => b.members().length === 2)
      b.prefer(0, neverMs)
      const other = arena.candidate(0, b)
      b.onMembers((members) => void (members.length === 1 && b.prefer(0, 0)))
      await arena.settle()
      assert.equal(other.granted, 0)
      await a.close()
      await arena.until('a lease for the other', () => other.lease !== undefined)
    })

    each('a lease is asked for by one that follows, whose holder stands behind it then', async (arena) => {
      const [a, b, c] = [await arena.join(), await arena.join(), await arena.join()]
      for (const port of [a, b, c]) port.publish(dataOf({}))
      for (const port of [a, b, c]) port.join()
      assert.equal(await b.requestHandOver(0), false, 'it does not campaign')
      const holder = arena.candidate(0, a)
      await arena.until('a lease', () => holder.lease !== undefined)
      const [waiting, asking] = [arena.candidate(0, c), arena.candidate(0, b)]
      b.publish(dataOf({ 0: 'restoring', 1: 'following' }))
      await arena.until('that is seen', () => standingOf(a, 'i2', 1) === 'following')
      assert.equal(await b.requestHandOver(0), true)
      await arena.settle()
      assert.equal(holder.told.length, 1, 'it has not caught up')
      b.publish(dataOf({ 0: 'following' }))
      await arena.until('it is seen to follow', () => standingOf(a, 'i2', 0) === 'following')
      assert.equal(await b.requestHandOver(0), true)
      await arena.until('its lease', () => asking.lease !== undefined)
      assert.deepEqual([holder.lease, waiting.granted], [undefined, 0])
      waiting.abort()
      asking.abort()
      await arena.until('a lease for who gave it away', () => holder.lease !== undefined)
    })

    each('a lease is handed to a member that is named, whoever else waits', async (arena) => {
      const [a, b, c] = [await arena.join(), await arena.join(), await arena.join()]
      for (const port of [a, b, c]) port.publish(dataOf({}))
      for (const port of [a, b, c]) port.join()
      c.handOver(0, 'i1')
      const holder = arena.candidate(0, a)
      await arena.until('a lease', () => holder.lease !== undefined)
      c.prefer(0, neverMs)
      const [other, named] = [arena.candidate(0, b), arena.candidate(0, c)]
      await arena.until('all are seen', () => a.members().length === 3)
      await arena.settle()
      a.handOver(0, 'i3')
      await arena.until('its lease', () => named.lease !== undefined)
      assert.deepEqual([holder.lease, other.granted], [undefined, 0])
    })

    each('close gives up every lease of that instance, and may be called twice', async (arena) => {
      const port = await arena.join()
      const own = [arena.candidate(0, port), arena.candidate(1, port)]
      await arena.until('both leases', () => own.every(({ lease }) => lease !== undefined))
      const others = [arena.candidate(0, await arena.join()), arena.candidate(1, await arena.join())]
      await Promise.all([port.close(), port.close()])
      await arena.until('the leases given up', () => others.every(({ lease }) => lease !== undefined))
    })
  })
}

function dataOf(partitions: Record<string, Standing>): MemberData {
  return { draining: false, version: '1', partitions }
}

function standingOf(port: CoordinationPort, instance: string, partition: number): Standing | undefined {
  return port.members().find((member) => member.instance === instance)?.data.partitions[partition]
}

/** A campaign and what it was told. */
class Candidate {
  readonly told: (Lease | undefined)[] = []
  /** How often it was told of a lease. */
  granted = 0
  private readonly controller = new AbortController()
  constructor(
    private readonly arena: Arena,
    port: CoordinationPort,
    partition: number,
    signal?: AbortSignal,
  ) {
    const onChange = (lease: Lease | undefined) => {
      this.told.push(lease)
      if (lease !== undefined) this.granted++
      this.arena.check()
    }
    this.arena.candidates.push(this)
    port.campaign(partition, onChange, signal ?? this.controller.signal)
  }
  /** What it may rely on. */
  get lease(): Lease | undefined {
    return this.controller.signal.aborted ? undefined : this.told.at(-1)
  }
  abort(): void {
    this.controller.abort()
  }
}

class Arena {
  readonly candidates: Candidate[] = []
  private readonly ports: CoordinationPort[] = []
  constructor(private readonly backend: CoordinationBackend) {}

  async join(): Promise<CoordinationPort> {
    const port = await this.backend.join(`i${this.ports.length + 1}`)
    this.ports.push(port)
    return port
  }
  candidate(partition: number, port: CoordinationPort, signal?: AbortSignal): Candidate {
    return new Candidate(this, port, partition, signal)
  }
  until(what: string, holds: () => boolean): Promise<void> {
    return until(what, holds, this.backend.turn)
  }
  settle(): Promise<void> {
    return settle(this.backend.turn)
  }
  /** No token is ever held twice. */
  check(): void {
    const tokens = this.candidates.flatMap(({ lease }) =>
      lease === undefined ? [] : [`${lease.partition} ${lease.token}`],
    )
    assert.equal(new Set(tokens).size, tokens.length, 'one lease was given to two')
  }
  async close(): Promise<void> {
    for (const candidate of this.candidates) candidate.abort()
    await Promise.all(this.ports.map((port) => port.close()))
  }
}
