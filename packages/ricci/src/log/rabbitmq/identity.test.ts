import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import type { BrokerConnection } from './connection.ts'
import { claimIdentity } from './identity.ts'
import { identityTries } from './limits.ts'
import { defaultTopology } from './topology.ts'
import { Brokers } from './brokers.ts'

describe('who a log is', () => {
  it('is asked of the next broker where one takes a connection and answers nothing else', async () => {
    const clock = new VirtualClock()
    const asked: string[] = []
    const never = new Promise<never>(() => undefined)
    const brokers = new Brokers({
      ...{ urls: ['amqp://127.0.0.1:1/v', 'amqp://127.0.0.1:2/v'], name: 'test', clock },
      makeClient: ({ url }) => ({
        ...{ called: new URL(url).port, closed: false, why: undefined },
        ...{ listeners: new Set(), blockedListeners: new Set() },
        connect: async () => asked.push(new URL(url).port),
        channel: async () =>
          ({ exchangeDeclare: () => never }) as unknown as Awaited<ReturnType<BrokerConnection['channel']>>,
        close: async () => undefined,
        end: () => undefined,
      }),
    })
    const claimed = claimIdentity(brokers, brokers, defaultTopology, clock, (count) => new Uint8Array(count))
    const failed = assert.rejects(claimed, {
      code: 'LOG_UNAVAILABLE',
      message: /does not declare the log for 10000 ms/,
    })
    await clock.advance(10_000 * identityTries + 1_000)
    await failed
    assert.deepEqual([...new Set(asked)], ['1', '2'])
  })
})
