import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Event } from '@ricci/client'
import { VirtualClock } from '@ricci/testkit'
import { SelfEvents, type SelfFigures } from './self-events.ts'

test('a server tells of itself at intervals, rates from the second look on, until it ends', async () => {
  const clock = new VirtualClock()
  const told: Event[][] = []
  let looks = 0
  let refuse = false
  const figures = async (): Promise<SelfFigures> => ({
    ...{
      tcpConnections: 3,
      tcpEvents: 500 * ++looks,
      udpEvents: 0,
      events: 1_000 * looks,
      applied: 1_000 * looks,
      indexSize: 7,
      lagMs: 1_500,
    },
    ...{ lagBytes: 9, pagesPending: 1, oldestPageMs: 4_000, silentHosts: 2, refused: 0, dropped: 10 * looks },
    ...{ ruleErrors: 0, timers: 0, loopDelayMs: 20, gcMs: 100 * looks, memoryBytes: 5 },
  })
  const self = new SelfEvents({
    ...{ instance: 'a', tcp: '127.0.0.1:5555', udp: undefined, clock, everyMs: 10_000, figures },
    inject: async (events) => {
      if (refuse) throw new Error('the log is full')
      told.push([...events])
    },
  })
  const pass = async (): Promise<void> => {
    await clock.advance(10_000)
  }
  await pass()
  assert.equal(told.length, 0, 'a rate needs two looks')
  await pass()
  const byService = new Map(told[0].map(({ service, metric }) => [service, metric]))
  assert.deepEqual(
    [
      'riemann streams rate',
      'riemann server tcp 127.0.0.1:5555 in rate',
      'ricci intake dropped rate',
      'ricci process gc',
    ].map((service) => byService.get(service)),
    [100, 50, 1, 0.01],
  )
  assert.deepEqual([byService.get('ricci engine lag'), byService.get('ricci pages oldest')], [1.5, 4])
  for (const { host, ttl, tags } of told[0]) assert.deepEqual([host, ttl, tags], ['a', 20, ['riemann', 'ricci']])
  assert.ok(![...byService.keys()].some((service) => service?.includes('udp')), 'what does not listen has no rate')
  refuse = true
  await pass()
  refuse = false
  await pass()
  assert.equal(told.length, 2, 'a log that took nothing is told again')
  self.close()
  await pass()
  assert.equal(told.length, 2)
})
