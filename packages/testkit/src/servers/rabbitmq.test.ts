import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { without } from './program.ts'
import { RabbitCluster } from './rabbitmq.ts'

describe('RabbitCluster', { skip: without('rabbitmq', 'erlang') }, () => {
  it('three brokers: one is killed, the others say so, and it comes back', async () => {
    const rabbit = await RabbitCluster.start()
    try {
      await rabbit.vhost('test')
      const stream = { durable: true, arguments: { 'x-queue-type': 'stream', 'x-initial-cluster-size': 3 } }
      assert.equal((await rabbit.api(0, '/queues/test/s', { method: 'PUT', body: stream })).status, 201)
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
