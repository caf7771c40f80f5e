import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Acquisition, LeaseStore, NameView, SessionOptions, StoreSession } from '@ricci/election'
import { witnessed, type Grant } from './witness.ts'

const { signal } = new AbortController()
const view = (version: string, more: Partial<NameView> = {}): NameView => ({
  ...{ name: 'leader', version, token: 1n, settled: false, leaseMs: 500 },
  ...more,
})
const held = (session: string, token: bigint): NameView => view('held', { token, holder: { session, id: session } })

/** A session whose answers a test gives, watched; time moves by 1 ms at each look. */
async function scene() {
  let nowMs = 0
  const grants: Grant[] = []
  const reads: ((name: NameView | undefined) => void)[] = []
  let answers: Acquisition | Error = { kind: 'changed' }
  class Session implements Partial<StoreSession> {
    readonly #id = 'mine'
    readonly leaseMs = 400
    get id(): string {
      return this.#id
    }
    rereadMs = 7
    async publish(): Promise<void> {
      this.rereadMs = 8
    }
    async read() {
      const name = await new Promise<NameView | undefined>((resolve) => reads.push(resolve))
      return { members: [], names: new Map(name === undefined ? [] : [['leader', name]]) }
    }
    async acquire(): Promise<Acquisition> {
      if (answers instanceof Error) throw answers
      return answers
    }
  }
  const store: LeaseStore = {
    description: 'a store',
    open: async () => new Session() as unknown as StoreSession,
    look: async () => ({ members: [], names: new Map() }),
    request: async () => undefined,
  }
  const session = await witnessed(
    store,
    'leader',
    () => ++nowMs,
    (grant) => void grants.push(grant),
  ).open({} as SessionOptions)
  return {
    session,
    grants,
    /** Asks; what it gives answers. */
    ask() {
      const asked = session.read(signal)
      const answer = reads.pop()!
      return async (name: NameView | undefined) => {
        answer(name)
        await asked
      }
    },
    at: (ms: number) => void (nowMs = ms),
    acquire(seen: NameView | undefined, answer: Acquisition | Error) {
      answers = answer
      return session.acquire(seen, 'leader', signal)
    },
  }
}

describe('the witness of grants', () => {
  it('tells when the name was first seen free as it was acquired, and for how long its predecessor may act', async () => {
    const { ask, at, acquire, grants } = await scene()
    const free = view('v1')
    for (const ms of [10, 20]) {
      const answer = ask()
      at(ms)
      await answer(free)
    }
    await acquire(free, { kind: 'acquired', token: 2n })
    assert.deepEqual(grants, [{ token: 2n, seenFreeMs: 11, waitMs: 500, atMs: 21 }])
  })

  it('begins anew with another version, and once somebody held the name', async () => {
    const { ask, at, acquire, grants } = await scene()
    for (const [ms, name] of [
      [10, undefined],
      [20, held('other', 2n)],
      [30, undefined],
    ] as const) {
      const answer = ask()
      at(ms)
      await answer(name)
    }
    await acquire(undefined, { kind: 'acquired', token: 3n })
    assert.deepEqual(
      grants.map(({ seenFreeMs, waitMs }) => [seenFreeMs, waitMs]),
      [[31, 400]],
    )
  })

  it('passes over answers that were overtaken', async () => {
    const { ask, at, acquire, grants } = await scene()
    const slow = ask()
    const quick = ask()
    at(10)
    await quick(view('v1'))
    at(20)
    await slow(held('other', 1n))
    await acquire(view('v1'), { kind: 'acquired', token: 2n })
    assert.deepEqual(
      grants.map(({ seenFreeMs }) => seenFreeMs),
      [11],
    )
  })

  it('waits for nobody whose name was settled', async () => {
    const { ask, acquire, grants } = await scene()
    const free = view('v1', { settled: true })
    await ask()(free)
    await acquire(free, { kind: 'acquired', token: 2n })
    assert.equal(grants[0].waitMs, 0)
  })

  it('takes the read that shows it for the grant whose answer was lost', async () => {
    const { ask, at, acquire, grants } = await scene()
    const free = view('v1')
    await ask()(free)
    await assert.rejects(acquire(free, new Error('lost')), /lost/)
    for (const ms of [50, 60]) {
      const answer = ask()
      at(ms)
      await answer(held('mine', 2n))
    }
    assert.deepEqual(grants, [{ token: 2n, seenFreeMs: 51, waitMs: 500, atMs: 52 }])
  })

  it('leaves everything else of a session as it is', async () => {
    const { session } = await scene()
    assert.deepEqual([session.id, session.rereadMs, session.journal], ['mine', 7, undefined])
    await session.publish(null, signal)
    assert.equal(session.rereadMs, 8)
  })
})
