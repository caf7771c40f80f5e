import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readAnswer } from './answer.ts'

const rows: readonly (readonly [what: string, statuses: readonly number[], kind: string])[] = [
  ['took effect', [200, 202, 204], 'delivered'],
  ['will not ever', [400, 401, 404, 409, 410, 422, 499], 'refused'],
  ['says itself that nothing was done', [301, 302, 307, 308, 429], 'failed'],
  ['may have taken effect all the same', [303, 408, 500, 502, 503, 504, 529], 'unknown'],
]

describe('an answer', () => {
  for (const [what, statuses, kind] of rows) {
    it(`${what}: ${statuses.join(', ')}`, () => {
      for (const status of statuses) assert.deepEqual(readAnswer(status, 'why'), { kind, detail: 'why' })
    })
  }

  it('asks to wait, known or not', () => {
    assert.deepEqual(readAnswer(429, '', 5), { kind: 'failed', detail: '', retryAfterMs: 5 })
    assert.deepEqual(readAnswer(503, '', 5), { kind: 'unknown', detail: '', retryAfterMs: 5 })
  })
})
