import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { RabbitCluster, TcpProxy, without } from '@ricci/testkit'
import { nodeClock } from '../../server/node-clock.ts'
import { BrokerConnection } from './connection.ts'

describe('BrokerConnection', { skip: without('rabbitmq', 'erlang') }, () => {
  let rabbit: RabbitCluster
  let proxy: TcpProxy
  before(async () => {
    rabbit = await RabbitCluster.start({ brokers: 1 })
    proxy = await TcpProxy.start(rabbit.brokers[0].ports.amqp)
  })
  after(async () => {
    await proxy.close()
    await rabbit.stop()
  })

  /** Opens one and publishes by it until it is lost; gives why it was. */
  const untilLost = async (onPublished = (): void => undefined): Promise<Error> => {
    try {
      const connection = await BrokerConnection.open({
        url: proxy.through(rabbit.url(0)),
        name: 'test',
        clock: nodeClock,
      })
      const channel = await connection.channel()
      await connection.ask(() => channel.confirmSelect(), 'does not confirm')
      const publish = () => channel.basicPublish('amq.fanout', '', new Uint8Array(100))
      for (;;) {
        const all = Promise.all(Array.from({ length: 20 }, publish))
        onPublished()
        await connection.ask(() => all, 'does not confirm')
      }
    } catch (error) {
      return error as Error
    }
  }

  // what is nobody's business any more would end the process: the runner fails a test for it, as Node does an instance
  for (const direction of ['up', 'down'] as const) {
    it(`cut at any point of its life, ${direction}, whoever waits is told, and nobody else`, async () => {
      for (let bytes = 1; bytes < 12_000; bytes = Math.ceil(bytes * 1.15)) {
        proxy.set({ cutAfterBytes: { up: Infinity, down: Infinity, [direction]: bytes } })
        const why = await untilLost()
        assert.match(why.message, /127\.0\.0\.1/, `${bytes}`)
      }
      proxy.heal()
    })
  }

  it('cut while it writes', async () => {
    for (let round = 0; round < 50; round++) {
      let publishes = 0
      const why = await untilLost(() => void (++publishes === 3 && proxy.cut()))
      assert.match(why.message, /127\.0\.0\.1/)
    }
  })

  it('a broker that resets whoever connects', async () => {
    proxy.set({ refusing: true })
    for (let round = 0; round < 50; round++) assert.match((await untilLost()).message, /cannot be used/)
    proxy.heal()
  })

  it('one that is ended while a write is under way', async () => {
    const connection = await BrokerConnection.open({ url: rabbit.url(0), name: 'test', clock: nodeClock })
    const channel = await connection.channel()
    await connection.ask(() => channel.confirmSelect(), 'does not confirm')
    const publish = () => channel.basicPublish('amq.fanout', '', new Uint8Array(100_000))
    const publishes = Promise.allSettled(Array.from({ length: 100 }, publish))
    connection.end(new Error('enough'))
    for (const publish of await publishes) assert.equal(publish.status, 'rejected')
  })
})
