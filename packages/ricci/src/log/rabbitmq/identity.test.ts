import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import type { BrokerConnection } from './connection.ts'
import { claimIdentity } from './identity.ts'
import { identityTries } from './limits.ts'
import { keepLogId, knownLogId } from './known-log.ts'
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

  it('is what it was known to be where brokers have its stream and cannot use it, and only there', async () => {
    const clock = new VirtualClock()
    const brokersThatSay = (what: string): Brokers =>
      new Brokers({
        ...{ urls: ['amqp://127.0.0.1:1/v', 'amqp://127.0.0.1:2/v'], name: 'test', clock },
        makeClient: ({ url }) => ({
          ...{ called: new URL(url).port, closed: false, why: undefined },
          ...{ listeners: new Set(), blockedListeners: new Set() },
          connect: async () => undefined,
          channel: async () =>
            ({
              exchangeDeclare: () => Promise.reject(new Error(what)),
            }) as unknown as Awaited<ReturnType<BrokerConnection['channel']>>,
          close: async () => undefined,
          end: () => undefined,
        }),
      })
    const claim = (what: string, knownId?: string): Promise<string> => {
      const brokers = brokersThatSay(what)
      return claimIdentity(brokers, brokers, defaultTopology, clock, (count) => new Uint8Array(count), knownId)
    }
    // as RabbitMQ 3.10.8 words it
    const down = `channel 1 closed: NOT_FOUND - home node 'r0@localhost' of durable queue 'ricci.id' in vhost 'run-1' is down or inaccessible (404)`
    assert.equal(await claim(down, 'known'), 'known')
    await assert.rejects(claim(down), { code: 'LOG_UNAVAILABLE' })
    await assert.rejects(claim('channel 1 closed: something else', 'known'), { code: 'LOG_UNAVAILABLE' })
  })

  it('is kept for the brokers and the virtual host where it was found', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'ricci-known-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const urls = ['amqp://a:secret@one/v', 'amqp://a:secret@two/v']
    assert.equal(knownLogId(folder, urls), undefined)
    keepLogId(folder, urls, 'known')
    assert.equal(knownLogId(folder, ['amqp://b:other@two/v', 'amqp://b:other@one/v']), 'known')
    assert.equal(knownLogId(folder, ['amqp://a:secret@one/w', 'amqp://a:secret@two/w']), undefined)
  })
})
