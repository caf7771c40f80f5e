import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConsulCluster } from './consul.ts'
import { without } from './program.ts'

describe('ConsulCluster', { skip: without('consul') }, () => {
  it('development mode: one server that keeps what it is told', async () => {
    const consul = await ConsulCluster.start({ dev: true })
    try {
      assert.equal((await consul.request(0, '/v1/kv/name', { body: 'value' })).json(), true)
      assert.equal((await consul.request(0, '/v1/kv/name?raw&consistent')).text, 'value')
    } finally {
      await consul.stop()
    }
  })

  it('three servers and an agent: another leads when the leader is killed, and the killed one comes back', async () => {
    const consul = await ConsulCluster.start({ agents: 1 })
    try {
      const leader = await consul.leader()
      assert.equal((await consul.request(3, '/v1/kv/name', { body: 'value' })).json(), true)
      await consul.signal(leader, 'SIGKILL')
      const next = await consul.leader()
      assert.notEqual(next, leader)
      await consul.restart(leader)
      await consul.healthy()
      assert.equal((await consul.request(leader, '/v1/kv/name?raw&consistent')).text, 'value')
    } finally {
      await consul.stop()
    }
  })
})
