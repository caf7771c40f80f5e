import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { stillHeld } from '@ricci/testkit'
import { Subscriptions, type ChangeSource } from './subscriptions.ts'

describe('a reader of changes', () => {
  it('that was given a page holds it no longer than the next', async () => {
    const given: WeakRef<object>[] = []
    const source: ChangeSource = {
      changes: () => {
        const lines = new Uint8Array(1)
        given.push(new WeakRef(lines))
        return { page: Promise.resolve({ lines, next: { offset: given.length, nth: 0 } }), cancel: () => undefined }
      },
    }
    const end = new AbortController()
    const pages = await new Subscriptions(() => Promise.resolve(source)).watch('true', 'json', end.signal, Infinity)
    const reading = pages[Symbol.asyncIterator]()
    while (given.length < 100) await reading.next()
    const held = await stillHeld(given)
    assert.ok(held <= 2, `${held} of ${given.length} pages`)
    end.abort()
    assert.equal((await reading.next()).done, true)
  })
})
