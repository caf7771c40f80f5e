import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { ChangePosition } from '@ricci/engine'
import { stillHeld, VirtualClock } from '@ricci/testkit'
import { nodeClock } from './node-clock.ts'
import { maxSubscriptions, Subscriptions, type ChangeSource } from './subscriptions.ts'

describe('a reader of changes', () => {
  it('that was given a page holds it no longer than the next', async () => {
    const given: WeakRef<object>[] = []
    const source: ChangeSource = {
      changes: () => {
        const lines = new Uint8Array(1)
        given.push(new WeakRef(lines))
        const next = { offset: given.length, nth: 0 }
        return { page: Promise.resolve({ lines, after: [next.offset, 0], next }), cancel: () => undefined }
      },
    }
    const end = new AbortController()
    const subscriptions = new Subscriptions(() => Promise.resolve(source), 0, nodeClock)
    const pages = await subscriptions.watch('true', 'json', end.signal, Infinity)
    const reading = pages[Symbol.asyncIterator]()
    while (given.length < 100) await reading.next()
    const held = await stillHeld(given)
    assert.ok(held <= 2, `${held} of ${given.length} pages`)
    end.abort()
    assert.equal((await reading.next()).done, true)
  })
  it('is one of so many, and refused beyond that until another ends', async () => {
    const next = { offset: 1, nth: 0 }
    const page = Promise.resolve({ lines: new Uint8Array(), after: [1, 0], next })
    const source: ChangeSource = { changes: () => ({ page, cancel: () => undefined }) }
    const subscriptions = new Subscriptions(() => Promise.resolve(source), 0, nodeClock)
    const [first, rest] = [new AbortController(), new AbortController()]
    const watch = ({ signal }: AbortController) => subscriptions.watch('true', 'json', signal, Infinity)
    await watch(first)
    for (let i = 1; i < maxSubscriptions; i++) await watch(rest)
    await assert.rejects(watch(rest), { code: 'TOO_MANY_WATCHES' })
    first.abort()
    await watch(rest)
    rest.abort()
    assert.equal(subscriptions.earliest, undefined)
  })

  it('whom nothing matches is told now and then how far that is, and never goes back', async () => {
    const clock = new VirtualClock()
    const asked: { readonly from?: ChangePosition; passed(position: ChangePosition): void }[] = []
    const source: ChangeSource = {
      changes: (_query, _shape, from, passed) => {
        const next = { offset: 1, nth: 0 }
        if (passed !== undefined) asked.push({ from, passed })
        const page =
          passed === undefined ? Promise.resolve({ lines, after: [1, 0], next }) : new Promise<never>(() => {})
        return { page, cancel: () => undefined }
      },
    }
    const lines = new Uint8Array()
    const end = new AbortController()
    // where it was, the engine has yet to come to
    const from = { offset: 20, nth: 2 }
    const subscriptions = new Subscriptions(() => Promise.resolve(source), 3, clock)
    const pages = await subscriptions.watch('true', 'json', end.signal, Infinity, from)
    const told: unknown[] = []
    const reading = (async () => {
      for await (const { at } of pages) told.push(at)
    })()
    for (const offset of [15, 21]) {
      await clock.settle()
      asked[0].passed({ offset, nth: 0 })
      await clock.advance(5_000)
    }
    await clock.advance(20_000)
    assert.deepEqual(told, [
      { partition: 3, after: [20, 2] },
      { partition: 3, after: [21, 0] },
    ])
    // it is not asked for anew with each
    assert.deepEqual(
      asked.map(({ from }) => from?.offset),
      [20],
    )
    end.abort()
    await reading
    assert.equal(clock.pendingTimers, 0)
  })
})
