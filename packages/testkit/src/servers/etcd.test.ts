import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EtcdCluster } from './etcd.ts'
import { ask } from './http.ts'
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

  it('users: nothing without a token, and with one what its role allows', async () => {
    const etcd = await EtcdCluster.start({ members: 1, auth: { name: 'app', password: 'secret', prefix: 'app/' } })
    try {
      const put = (key: string, headers: Record<string, string>) =>
        etcd
          .request(0, '/v3/kv/put', { key: base64(key), value: base64('value') }, { headers })
          .then(({ status }) => status)
      const authorization = await etcd.authenticate('app', 'secret')
      assert.equal(await put('app/name', { authorization: 'none' }), 401)
      assert.equal(await put('app/name', { authorization }), 200)
      assert.equal(await put('name', { authorization }), 403)
      assert.equal(await put('name', {}), 200)
      await assert.rejects(etcd.authenticate('app', 'guess'), /refused user app/)
    } finally {
      await etcd.stop()
    }
  })
})

describe('EtcdCluster with TLS', { skip: without('etcd', 'openssl') }, () => {
  it('answers whom its authority signed for, and nobody else', async () => {
    const auth = { name: 'app', password: 'secret', prefix: 'app/' }
    const etcd = await EtcdCluster.start({ members: 1, tls: 'mutual', auth })
    try {
      const url = `${etcd.members[0].url}/health`
      const ca = etcd.authority!.certificate
      assert.equal((await etcd.request(0, '/v3/kv/range', { key: base64('name') })).status, 200)
      await assert.rejects(ask(url, { tls: { ca } }), /certificate required|bad certificate|ECONNRESET|EPIPE/)
      await assert.rejects(ask(url), /self-signed|unable to verify/)
    } finally {
      await etcd.stop()
    }
  })
})
