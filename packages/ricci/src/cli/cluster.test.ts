import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { runProgram } from './program.ts'

test('a drain that who is asked has not heard of yet is waited for', async () => {
  const views = [
    { draining: false, owning: 1 },
    { draining: true, owning: 1 },
    { draining: true, owning: 0 },
  ]
  const server = createServer((request, response) => {
    if (request.method === 'POST') return response.end('{}')
    const members = [{ instance: 'b', version: '', following: 0, behind: 0, ...views.shift() }]
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
    assert.deepEqual([code, said], [0, 'b keeps nothing any more.\n'])
  } finally {
    server.close()
  }
})
