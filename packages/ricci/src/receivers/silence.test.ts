import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { SendResult } from '@ricci/replica'
import { Secret } from '../config/secret.ts'
import { silently } from './silence.ts'
import { page } from './testing.ts'

async function told(secret: string, detail: string): Promise<string | undefined> {
  const transport = { send: async (): Promise<SendResult> => ({ kind: 'refused', detail }) }
  return (await silently(transport, [new Secret(secret)]).send(page, () => true, new AbortController().signal)).detail
}

describe('what a receiver says back', () => {
  const base64 = Buffer.from('p/ss word+1').toString('base64')
  const rows: [what: string, secret: string, detail: string, expected: string][] = [
    ['the secret', 'hunter2!', 'no such key: hunter2!', 'no such key: (secret)'],
    ['a part of a header', 'Bearer hunter2!', 'token hunter2! expired', 'token (secret) expired'],
    ['as it stands in an address', 'p/ss word+1', 'at ?key=p%2Fss%20word%2B1', 'at ?key=(secret)'],
    ['as a login sends it', 'p/ss word+1', `AUTH PLAIN ${base64}`, 'AUTH PLAIN (secret)'],
    ['as JSON has it', 'pass"word', '{"key":"pass\\"word"}', '{"key":"(secret)"}'],
    ['the path of an address', 'https://h.example/services/T0/B1/xyzzy', 'no /services/T0/B1/xyzzy', 'no (secret)'],
    ['its beginning, where the text was cut', 'hunter2-is-long', 'said: hunter2-is', 'said: (secret)'],
    ['twice', 'hunter2!', 'hunter2! hunter2!', '(secret) (secret)'],
    ['nothing of it', 'hunter2!', 'HTTP 400: invalid', 'HTTP 400: invalid'],
    ['what is too short to be told from other words', 'a b', 'a b c', 'a b c'],
  ]
  for (const [what, secret, detail, expected] of rows) {
    it(`${what}: ${expected}`, async () => assert.equal(await told(secret, detail), expected))
  }

  it('an error of the receiver’s own is told like an answer, and its page is in doubt', async () => {
    const transport = { send: () => Promise.reject(new Error('cannot read hunter2!')) }
    const result = await silently(transport, [new Secret('hunter2!')]).send(page, () => true, AbortSignal.abort())
    assert.deepEqual(result, { kind: 'unknown', detail: 'cannot read (secret)' })
  })
})
