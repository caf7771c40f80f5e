import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { ConsulCluster, without } from '@ricci/testkit'
import { Election, ElectionGroup, type ElectionError, type LeaseStore } from '../index.ts'
import { consul } from './consul.ts'

const options = { skip: without('consul'), timeout: 60_000 }

/** What a busy machine does is no matter of rights or certificates. */
const ofBusyMachine: readonly string[] = ['LAG', 'SLOW']

/** Everything a group does, from joining to leaving; its warnings. */
async function exercise(store: LeaseStore): Promise<readonly ElectionError[]> {
  const warnings: ElectionError[] = []
  const a = new ElectionGroup({ name: 'g', id: 'a', store, lease: '500ms' })
  const b = new ElectionGroup({ name: 'g', id: 'b', store, lease: '500ms' })
  for (const group of [a, b])
    group.on('warning', (warning) => void (ofBusyMachine.includes(warning.code) || warnings.push(warning)))
  const [x, y] = [a.candidate('x'), b.candidate('x')]
  const term = await x.campaign()
  await term.act('one', () => undefined)
  await a.publish({ zone: 1 })
  const taken = y.campaign()
  await b.requestHandOver('x')
  assert.ok((await taken).leads)
  await Promise.all([a.close(), b.close()])
  return warnings
}

/** The first warning of an election that cannot get anywhere. */
async function trouble(store: LeaseStore): Promise<ElectionError> {
  const election = new Election({ name: 'g', id: 'a', store })
  const warned = new Promise<ElectionError>((resolve) => election.once('warning', resolve))
  election.stand()
  const warning = await warned
  await election.close()
  return warning
}

describe('Consul with access control', options, () => {
  let cluster: ConsulCluster
  before(async () => {
    cluster = await ConsulCluster.start({ dev: true, acl: true })
  })
  after(() => cluster.stop())

  const rights = {
    keys: 'key_prefix "election/" { policy = "write" }',
    service: 'service "election" { policy = "write" }',
    session: 'session_prefix "" { policy = "write" }',
  }
  const withRights = async (rules: readonly string[]): Promise<{ store: LeaseStore; token: string }> => {
    const token = await cluster.createToken(rules.join('\n'))
    return { store: consul({ addresses: cluster.agents[0].url, token }), token }
  }

  it('a token with the three rights of the documentation is enough', async () => {
    const { store } = await withRights(Object.values(rights))
    assert.deepEqual(await exercise(store), [])
  })

  it('says which right is missing, and not the token', async () => {
    for (const [missing, right] of Object.entries(rights)) {
      const others = Object.entries(rights).flatMap(([name, rule]) => (name === missing ? [] : [rule]))
      const { store, token } = await withRights(others)
      const { code, message } = await trouble(store)
      assert.equal(code, 'STORE_REFUSED', message)
      assert.ok(message.includes(right), message)
      assert.ok(!message.includes(token))
    }
    const token = 'ffffffff-0000-4000-8000-000000000000'
    const { code, message } = await trouble(consul({ addresses: cluster.agents[0].url, token }))
    assert.equal(code, 'STORE_REFUSED')
    assert.match(message, /ACL not found/)
    assert.ok(!message.includes(token))
  })

  it('leaves nothing behind where a right is missing', async () => {
    const sessions = (await cluster.request(0, '/v1/session/list')).json<unknown[]>()
    const services = (await cluster.request(0, '/v1/agent/services')).json<object>()
    assert.deepEqual([sessions, services], [[], {}])
  })
})

describe('Consul over TLS', options, () => {
  let cluster: ConsulCluster
  before(async () => {
    cluster = await ConsulCluster.start({ dev: true, tls: 'mutual' })
  })
  after(() => cluster.stop())

  it('with its authority and our certificate, as text or in files', async () => {
    const [addresses] = [cluster.agents[0].url]
    const ca = cluster.authority!.certificate
    const { cert, key, certFile, keyFile } = await cluster.authority!.issue('member')
    for (const tls of [
      { ca, cert, key },
      { ca: cluster.authority!.file, cert: certFile, key: keyFile },
      { ca, cert, key, servername: 'server.dc1.consul' },
    ]) {
      const prefix = `tls-${'servername' in tls}-${tls.ca === ca}`
      assert.deepEqual(await exercise(consul({ addresses, prefix, tls })), [])
    }
  })

  it('says why it does not come about', async () => {
    const [addresses] = [cluster.agents[0].url]
    const ca = cluster.authority!.certificate
    const { cert, key } = await cluster.authority!.issue('other')
    const table: Record<string, RegExp> = {
      '{}': /cannot be reached: (unable to verify|self.signed)/i,
      [JSON.stringify({ ca })]: /cannot be reached: .*(certificate required|bad certificate)/i,
      [JSON.stringify({ ca, cert, key, servername: 'elsewhere' })]: /cannot be reached: .*elsewhere/,
    }
    for (const [tls, message] of Object.entries(table)) {
      const warning = await trouble(consul({ addresses, tls: JSON.parse(tls) }))
      assert.equal(warning.code, 'STORE_UNAVAILABLE')
      assert.match(warning.message, message)
    }
    const secret = join(tmpdir(), 'no such file')
    assert.throws(() => consul({ addresses, tls: { ca: secret } }), { code: 'OPTION_INVALID' })
  })

  it('takes up a certificate that was renewed on disk', async () => {
    const ca = cluster.authority!.certificate
    const { cert, key, certFile } = await cluster.authority!.issue('renewed')
    writeFileSync(certFile, 'half a certificate: -----BEGIN ')
    const store = consul({ addresses: cluster.agents[0].url, prefix: 'renewed', tls: { ca, cert: certFile, key } })
    const election = new Election({ name: 'g', id: 'a', store })
    const elected = new Promise((resolve) => election.once('elected', resolve))
    election.once('warning', () => writeFileSync(certFile, cert))
    election.stand()
    await elected
    await election.close()
  })
})
