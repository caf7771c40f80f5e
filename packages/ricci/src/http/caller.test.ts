import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import Fastify, { type LightMyRequestResponse } from 'fastify'
import { callerOf, userHeader, viewer } from './caller.ts'

describe('who asks', () => {
  for (const [remoteAddress, user, who] of [
    ['127.0.0.1', undefined, 'local'],
    ['::1', 'ana', 'local:ana'],
    ['::ffff:127.0.0.1', 'ana@example.org', 'local:ana@example.org'],
    ['127.0.0.1', 'local:ana', 'local'],
    ['127.0.0.1', 'a'.repeat(65), 'local'],
    ['10.0.0.1', 'ana', 'anyone'],
  ] as const) {
    it(`is ${who} from ${remoteAddress} with ${user}`, async () => {
      const app = Fastify()
      app.get('/', viewer, async (request) => callerOf(request))
      const answer: LightMyRequestResponse = await app.inject({
        url: '/',
        remoteAddress,
        ...(user && { headers: { [userHeader]: user } }),
      })
      assert.deepEqual(answer.json(), { who, from: remoteAddress })
    })
  }
})
