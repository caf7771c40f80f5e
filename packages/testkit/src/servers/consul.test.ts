import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ConsulCluster } from './consul.ts'
import { ask } from './http.ts'
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

  it('access control: nothing without a token, and with one what its rules say', async () => {
    const consul = await ConsulCluster.start({ dev: true, acl: true })
    try {
      const write = (path: string, token: string) =>
        consul.request(0, path, { body: 'value', headers: { 'x-consul-token': token } }).then(({ status }) => status)
      const token = await consul.createToken('key_prefix "app/" { policy = "write" }')
      assert.equal(await write('/v1/kv/app/name', ''), 403)
      assert.equal(await write('/v1/kv/app/name', token), 200)
      assert.equal(await write('/v1/kv/name', token), 403)
      assert.equal(await write('/v1/kv/name', consul.token!), 200)
    } finally {
      await consul.stop()
    }
  })
})

describe('ConsulCluster with TLS', { skip: without('consul', 'openssl') }, () => {
  it('answers whom its authority signed for, and nobody else', async () => {
    const consul = await ConsulCluster.start({ dev: true, tls: 'mutual' })
    try {
      const url = `${consul.agents[0].url}/v1/status/leader`
      const ca = consul.authority!.certificate
      assert.equal((await consul.request(0, '/v1/status/leader')).status, 200)
      await assert.rejects(ask(url, { tls: { ca } }), /certificate required|bad certificate|ECONNRESET|EPIPE/)
      await assert.rejects(ask(url), /self-signed|unable to verify/)
    } finally {
      await consul.stop()
    }
  })
})
