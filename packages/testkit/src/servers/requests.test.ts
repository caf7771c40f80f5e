import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { requestReader, type CountedProtocol } from './requests.ts'

const put = 'PUT /v1/kv/a?x=1 HTTP/1.1\r\nHost: there\r\nContent-Length: 4\r\n\r\nGET '
const get = 'GET /v1/kv/a HTTP/1.1\r\nHost: there\r\n\r\n'
const chunked = 'POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n1;x=y\r\n!\r\n0\r\nAge: 1\r\n\r\n'

/** A message of PostgreSQL, with a type or, at the start of a session, without. */
function message(type: string, ...parts: readonly (number | string)[]): string {
  const bytes = Buffer.concat(
    parts.map((part) =>
      typeof part === 'string' ? Buffer.from(`${part}\0`) : Buffer.from([0, 0, 0, 0].with(3, part)),
    ),
  )
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length + 4)
  return type + Buffer.concat([length, bytes]).toString('latin1')
}
const encryption = '\0\0\0\x08\x04\xd2\x16\x2f'
const start = `\0\0\0\x0e\0\x03\0\0user\0\0`
const session = start + message('p', 'secret') + message('Q', 'select 1')
const extended = message('P', '', 'select $1', 0) + message('B', '', '', 0) + message('E', '', 0) + message('S')

const cases: [name: string, protocol: CountedProtocol, sent: string, requests: string[]][] = [
  ['keep-alive', 'http', put + get + put, ['PUT /v1/kv/a?x=1', 'GET /v1/kv/a', 'PUT /v1/kv/a?x=1']],
  ['chunks', 'http', chunked + get, ['POST /b', 'GET /v1/kv/a']],
  ['no HTTP', 'http', `hello\r\n\r\n${get}`, []],
  ['queries and extended queries', 'postgres', session + extended + message('X'), ['Query', 'Sync']],
  ['encryption refused', 'postgres', encryption + session, ['Query']],
  ['encryption', 'postgres', `${encryption}\x16\x03\x01${session}`, []],
]

describe('requests are told from bytes', () => {
  for (const [name, protocol, sent, requests] of cases)
    for (const pieceBytes of [1, 7, sent.length])
      it(`${protocol}, ${name}, in pieces of ${pieceBytes}`, () => {
        const seen: string[] = []
        const reader = requestReader(protocol, (request) => seen.push(request))
        const bytes = Buffer.from(sent, 'latin1')
        for (let at = 0; at < bytes.length; at += pieceBytes) reader.read(bytes.subarray(at, at + pieceBytes))
        assert.deepEqual(seen, requests)
      })
})
