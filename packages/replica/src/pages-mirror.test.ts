import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Attempt, PendingPage } from '@ricci/engine'
import { doubtMs } from './limits.ts'
import { PagesMirror } from './pages-mirror.ts'

describe('PagesMirror', () => {
  const settled = (id: string, inDoubt: boolean) => ({
    changed: [],
    settled: [{ id, result: 'delivered', inDoubt }],
  })

  it('a settled trigger is quiet at once where each of its attempts was answered, else when the last must have ended', () => {
    const mirror = new PagesMirror()
    mirror.clear(1_000)
    // before that we read of nothing: whatever was settled then may have left a request under way
    assert.equal(mirror.quietAtMs('before'), 1_000 + doubtMs)
    mirror.apply(settled('answered', false), 2_000)
    mirror.apply(settled('doubtful', true), 3_000)
    assert.equal(mirror.quietAtMs('answered'), 0)
    assert.equal(mirror.quietAtMs('doubtful'), 3_000 + doubtMs)
    mirror.clear(50_000)
    assert.equal(mirror.quietAtMs('answered'), 50_000 + doubtMs, 'a restored state says nothing of it')
  })

  it('a pending page with an attempt in doubt is quiet when the last of them must have ended', () => {
    const mirror = new PagesMirror()
    const read = (nowMs: number, ...results: Attempt['result'][]) => {
      const attempts = results.map((result, n) => ({ epoch: 1, n, offset: n, result }))
      mirror.apply({ changed: [{ id: 'p', attempts } as unknown as PendingPage], settled: [] }, nowMs)
      return mirror.quietAtMs('p')
    }
    mirror.clear(0)
    assert.equal(read(1_000, undefined), 1_000 + doubtMs)
    assert.equal(read(5_000, 'unknown'), 1_000 + doubtMs, 'its outcome says no more than was known')
    assert.equal(read(14_000, 'unknown', undefined), 14_000 + doubtMs)
    assert.equal(read(15_000, 'unknown', 'failed'), 1_000 + doubtMs, 'the second did nothing')
    mirror.apply(settled('p', false), 50_000)
    assert.equal(mirror.quietAtMs('p'), doubtMs, 'settled, it is as any other')
  })

  it('keeps a bounded number, and calls none quiet that it had to forget', () => {
    const mirror = new PagesMirror()
    mirror.clear(0)
    const nowMs = 10 * doubtMs
    mirror.apply(settled('first', true), nowMs)
    for (let index = 0; index < 20_000; index++) mirror.apply(settled(`t${index}`, true), nowMs + 1)
    assert.ok(mirror.quietAtMs('first') >= nowMs + doubtMs)
    // those whose time has passed make room
    const laterMs = nowMs + 2 * doubtMs
    for (let index = 0; index < 10_000; index++) mirror.apply(settled(`u${index}`, false), laterMs)
    assert.ok(mirror.quietAtMs('u0') <= laterMs)
  })
})
