import assert from 'node:assert/strict'
import { test } from 'node:test'
import { passEvents } from './event-stream.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

async function passed(text: string, size: number): Promise<{ said: string; rest: unknown }> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    const all = bytes(text)
    for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size)
  }
  let said = ''
  const rest = await passEvents(chunks(), (part) => (said += part))
  return { said, rest }
}

test('events are handed on as they stand, however the answer is cut; the rest is read', async () => {
  const events = [{ host: '辻"]}', description: '\\' }, { service: 'a\\"[{', tags: ['x', ']'] }, {}]
  for (const all of [events, []]) {
    for (const rest of [
      { missing: [], fresh: [] },
      { cursor: 'c]', missing: [{ partition: 1 }] },
    ]) {
      const answer = `${JSON.stringify({ events: all, ...rest })}\n`
      for (const size of [1, 2, 3, 7, 1_000]) {
        const result = await passed(answer, size)
        assert.equal(result.said, `${JSON.stringify(all)}\n`)
        assert.deepEqual(result.rest, { events: [], ...rest })
      }
    }
  }
})

test('what is no answer, or not whole, is an error', async () => {
  for (const text of ['', '<html>', '{"events":', '{"events":{}}', '{"events":[{"host":"a"}', '{"events":[]']) {
    await assert.rejects(passed(text, 5), SyntaxError, text)
  }
})
