import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { runProgram } from './program.ts'

const a = { instance: 'a', draining: false, owning: 0 }
const b = { instance: 'b', draining: true, owning: 1 }

/** What `ricci cluster drain b` ends with and says, where these are seen one after another. */
async function drained(...views: { instance: string; draining: boolean; owning: number }[][]) {
  const server = createServer((request, response) => {
    if (request.method === 'POST') return response.end('{}')
    const members = views.shift()!.map((member) => ({ version: '', following: 0, behind: 0, ...member }))
    return response.end(JSON.stringify({ instance: 'a', members, partitions: [] }))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  let said = ''
  const note = (text: string): void => void (said += text)
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const code = await runProgram(['cluster', 'drain', 'b', '--url', url], {
      ...{ write: note, print: async (text: string) => note(text), complain: note },
      ...{ env: {}, interactive: false, signals: new EventEmitter() },
    })
    return [code, said]
  } finally {
    server.close()
  }
}

test('a drain that who is asked has not heard of yet is waited for', async () => {
  const seen = await drained([a, { ...b, draining: false }], [a, b], [a, { ...b, owning: 0 }])
  assert.deepEqual(seen, [0, 'b keeps nothing any more.\n'])
})

test('a drain that nobody takes over from says so, and does not wait', async () => {
  const [code, said] = await drained([{ ...a, draining: true }, b])
  assert.equal(code, 1)
  assert.match(String(said), /b keeps what it has: nobody else takes part; start another instance, or undo the drain/)
})
