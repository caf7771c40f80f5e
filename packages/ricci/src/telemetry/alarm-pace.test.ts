import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { incident, index, rules } from '@ricci/engine'
import { EngineBench } from '@ricci/testkit'
import { AlarmPace } from './alarm-pace.ts'

const t0 = Date.UTC(2026, 10, 21, 12)

describe('alarms about limits', () => {
  it('end once nobody else is refused: their own events find room', () => {
    const bench = new EngineBench(rules(index(), incident('any', { to: 'console' })), { indexRows: 2 })
    const pace = new AlarmPace(3_600_000)
    const told: number[] = []
    bench.events(t0, { host: 'a' }, { host: 'b' }, { host: 'refused' })
    for (let second = 1; second <= 1_000; second++) {
      const wallMs = t0 + second * 1_000
      bench.tick(1_000, wallMs)
      for (const name of bench.alarms.splice(0)) {
        told.push(second)
        if (pace.due(name, wallMs)) bench.events(wallMs, { host: 'instance', service: `ricci ${name}`, ttl: 3_600 })
      }
      bench.events(wallMs, { host: 'a' }, { host: 'b' })
    }
    assert.equal(told.length, 1, `told of at ${told}`)
    assert.equal(bench.engine.query('service =~ "ricci %"').events.length, 1)
    assert.equal(bench.decided.filter(({ summary }) => summary.includes('index-full')).length, 1)
  })

  it('keep their entry alive while others are refused; other alarms are events each time', () => {
    const pace = new AlarmPace(3_600_000)
    const due = (name: string) => [0, 60_000, 1_799_999, 1_800_000, 1_860_000].map((nowMs) => pace.due(name, nowMs))
    assert.deepEqual(due('forks-full'), [true, false, false, true, false])
    assert.deepEqual(due('symbols-full'), [true, false, false, true, false])
    assert.deepEqual(due('log write-failed'), [true, true, true, true, true])
  })
})
