import assert from 'node:assert/strict'
import { it } from 'node:test'
import {
  ClientError,
  isRefusedForNow,
  refusalForNow,
  RiemannTcpClient,
  RiemannUdpClient,
  type TcpClientOptions,
} from './index.ts'

const wrong: TcpClientOptions[] = [
  { port: 99_999 },
  { port: 0 },
  { port: 5555.5 },
  { host: '' },
  { timeoutMs: NaN },
  { timeoutMs: 0 },
  { connectTimeoutMs: Infinity },
  { backoffMs: -1 },
  { maxOutstanding: 0 },
  { maxOutstandingBytes: NaN },
]
for (const options of wrong) {
  const [[name, value]] = Object.entries(options)
  it(`a client is not made with ${name} ${value}`, () => {
    assert.throws(
      () => new RiemannTcpClient(options),
      (error: ClientError) => {
        assert.ok(error instanceof ClientError)
        assert.equal(error.code, 'OPTION_INVALID')
        assert.match(error.message, new RegExp(`^the option ${name} is .*; give `))
        return true
      },
    )
  })
}

it('a refusal that passes is told from one that is final', () => {
  assert.ok(isRefusedForNow(refusalForNow('the disk is full')))
  assert.ok(!isRefusedForNow('parse error'))
  assert.ok(!isRefusedForNow(undefined))
})

it('nor is a client of UDP', () => {
  assert.throws(() => new RiemannUdpClient({ port: 99_999 }), { code: 'OPTION_INVALID' })
  assert.throws(() => new RiemannUdpClient({ maxDatagramBytes: NaN }), { code: 'OPTION_INVALID' })
  assert.throws(() => new RiemannUdpClient({ maxDatagramBytes: 65_508 }), { code: 'OPTION_INVALID' })
})
