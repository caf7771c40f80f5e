import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { PlainClient } from './plain-client.ts'
import { without } from './program.ts'
import { RabbitCluster } from './rabbitmq.ts'

describe('RabbitCluster', { skip: without('rabbitmq', 'erlang') }, () => {
  it('three brokers: one is killed, the others say so, and it comes back', async () => {
    const rabbit = await RabbitCluster.start()
    try {
      await rabbit.vhost('test')
      const stream = { durable: true, arguments: { 'x-queue-type': 'stream', 'x-initial-cluster-size': 3 } }
      assert.equal((await rabbit.api(0, '/queues/test/s', { method: 'PUT', body: stream })).status, 201)
      // a stream whose leader is killed before it has replicas has none for good (3.10.8); what is confirmed was written by two
      const client = new PlainClient(rabbit.url(0, 'test'))
      await client.connect()
      const channel = await client.channel()
      await channel.confirmSelect()
      await channel.basicPublish('', 's', 'first', {}, true)
      await client.close()
      const leader = await rabbit.leaderOf('test', 's')
      await rabbit.signal(leader, 'SIGKILL')
      await rabbit.healthy()
      assert.notEqual(await rabbit.leaderOf('test', 's'), leader)
      await rabbit.restart(leader)
      await rabbit.healthy()
    } finally {
      await rabbit.stop()
    }
  })
})
