import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EtcdCluster } from './etcd.ts'
import { without } from './program.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')

describe('EtcdCluster', { skip: without('etcd') }, () => {
  it('three members: another leads when the leader is killed, and the killed one comes back', async () => {
    const etcd = await EtcdCluster.start()
    try {
      const leader = await etcd.leader()
      const put = await etcd.request(0, '/v3/kv/put', { key: base64('name'), value: base64('value') })
      assert.equal(put.status, 200)
      await etcd.signal(leader, 'SIGKILL')
      const next = await etcd.leader()
      assert.notEqual(next, leader)
      await etcd.restart(leader)
      await etcd.healthy()
      const range = await etcd.request(leader, '/v3/kv/range', { key: base64('name') })
      assert.match(range.text, new RegExp(base64('value')))
    } finally {
      await etcd.stop()
    }
  })
})
