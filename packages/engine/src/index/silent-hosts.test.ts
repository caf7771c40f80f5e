import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EngineBench } from '@ricci/testkit'
import { index, rules } from '../index.ts'

const t0 = 1_700_000_000_000
const minute = 60_000

/** An engine in which `host` sends each of the services once, with a ttl of a minute. */
function bench(): { send(host: string, ...services: string[]): void; pass(ms: number): void; silent(): unknown } {
  const engine = new EngineBench(rules(index()))
  let nowMs = t0
  engine.tick(0, nowMs)
  return {
    send: (host, ...services) =>
      engine.events(nowMs, ...services.map((service) => ({ host, service, time: nowMs / 1000, ttl: 60 }))),
    pass: (ms) => {
      for (const end = nowMs + ms; nowMs < end;) engine.tick(2_000, (nowMs += 2_000))
    },
    silent: () => engine.engine.stats().silent,
  }
}

describe('silent hosts', () => {
  it('are those of whose entries none is left, the latest first, until they are back', () => {
    const { send, pass, silent } = bench()
    send('gone', 'cpu', 'disk')
    pass(30_000)
    send('half', 'cpu', 'disk')
    send('left', 'ricci agent')
    pass(50_000)
    send('half', 'disk')
    pass(30_000)
    send('last', 'x')
    assert.deepEqual(silent(), { count: 1, latest: [{ host: 'gone', sinceMs: t0 + 60_000 }] })
    pass(64_000)
    const { count, latest } = silent() as { count: number; latest: { host: string }[] }
    assert.deepEqual([count, latest.map(({ host }) => host)], [3, ['last', 'half', 'gone']])
    send('gone', 'cpu')
    assert.deepEqual((silent() as { count: number }).count, 2)
  })

  it('are no news after a day', () => {
    const { send, pass, silent } = bench()
    send('gone', 'cpu')
    pass(2 * minute)
    assert.deepEqual((silent() as { count: number }).count, 1)
    pass(1_440 * minute)
    assert.deepEqual(silent(), { count: 0, latest: [] })
  })
})
