import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { get } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { connect as secureConnect } from 'node:tls'
import { CertificateAuthority, TcpProxy } from '@ricci/testkit'
import { maxBundleBytes } from '../rules/bundle.ts'
import { nodeClock } from '../server/node-clock.ts'
import { PeerClient } from './client.ts'
import { askSecurity, type PeerSecurity } from './security.ts'
import { FakeEngine, secret, TestCluster, pagesOf } from './testing.ts'

const live = new AbortController().signal
const query = { query: 'true', form: 'json', partitions: [0], waitMs: 1_000 } as const

async function clusterOf(context: TestContext, security: PeerSecurity = secret): Promise<TestCluster> {
  const cluster = new TestCluster(1, security)
  context.after(() => cluster.close())
  await cluster.add('a', { 0: new FakeEngine([{ host: 'h', metric: 1 }]) })
  return cluster
}

function clientWith(context: TestContext, security: PeerSecurity): PeerClient {
  const client = new PeerClient({ security, clock: nodeClock })
  context.after(() => client.close())
  return client
}

async function refusals(cluster: TestCluster): Promise<Record<string, number>> {
  const { values } = await cluster.telemetry.metrics.peersRefused.get()
  return Object.fromEntries(values.map(({ labels, value }) => [labels.reason, value]))
}

/** Certificates of two authorities. */
async function authorities(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-peers-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const [ours, others] = [mkdtempSync(join(folder, 'ours-')), mkdtempSync(join(folder, 'others-'))]
  const [our, other] = [await CertificateAuthority.create(ours), await CertificateAuthority.create(others)]
  const of = async (authority: CertificateAuthority, name: string, ca = authority.certificate) => {
    const { cert, key } = await authority.issue(name)
    return { ca, cert, key }
  }
  return { our, other, of }
}

describe('the channel between instances', () => {
  test('rules are tried elsewhere, as large as a record may hold them', async (context) => {
    const cluster = await clusterOf(context)
    const [{ client, address, tried }] = cluster.instances
    const bundle = Buffer.alloc(maxBundleBytes, 'x').toString('base64')
    await client.at(address).tryRules({ bundle, settings: { graceMs: 5 } })
    assert.deepEqual(
      tried.map(({ bundle: one, settings }) => [one.length, settings]),
      [[bundle.length, { graceMs: 5 }]],
    )
    await assert.rejects(client.at(address).tryRules({ bundle: '', settings: {} }), {
      code: 'RULES_INVALID',
      message: /no rules/,
    })
    await assert.rejects(client.at(address).tryRules({ bundle: bundle + bundle, settings: {} }), {
      code: 'PEER_REFUSED',
    })
  })

  test('a question and its answer, over a secret', async (context) => {
    const cluster = await clusterOf(context)
    const [{ client, address }] = cluster.instances
    const peer = client.at(address)
    const answer = await peer.query(query, live)
    assert.equal(Buffer.concat(await pagesOf(answer.pages)).toString(), '{"host":"h","metric":1}')
    assert.deepEqual(
      answer.fresh.map(({ partition, instance, offset }) => ({ partition, instance, offset })),
      [{ partition: 0, instance: 'a', offset: 0 }],
    )
    assert.ok(answer.fresh[0].ageMs >= 700 && answer.fresh[0].ageMs < 60_000)
    assert.deepEqual(await peer.status(), { instance: 'a' })
    await peer.drain(true)
    assert.equal(cluster.instances[0].drained, true)
  })

  test('what is said is encrypted with keys that the secret alone does not give', async (context) => {
    const cluster = await clusterOf(context)
    const { port } = new URL(`tcp://${cluster.instances[0].address}`)
    const socket = secureConnect({ ...askSecurity(secret), host: '127.0.0.1', port: Number(port) })
    await once(socket, 'secureConnect')
    const { name } = socket.getCipher()
    const { type } = socket.getEphemeralKeyInfo() as { type?: string }
    socket.destroy()
    assert.equal(name, 'ECDHE-PSK-CHACHA20-POLY1305')
    assert.equal(type, 'ECDH')
  })

  test('connections serve question after question', async (context) => {
    const cluster = await clusterOf(context)
    const [{ address }] = cluster.instances
    const proxy = await TcpProxy.start(Number(address.split(':')[1]))
    context.after(() => proxy.close())
    const peer = clientWith(context, secret).at(`127.0.0.1:${proxy.port}`)
    for (let i = 0; i < 20; i++) await pagesOf((await peer.query(query, live)).pages)
    // the next may begin before the end of the last has been read
    assert.ok(proxy.counts.connections <= 2, `${proxy.counts.connections} connections`)
  })

  test('a kept connection that the other end has closed is no failure', async (context) => {
    const cluster = await clusterOf(context)
    const [{ address }] = cluster.instances
    const proxy = await TcpProxy.start(Number(address.split(':')[1]))
    context.after(() => proxy.close())
    const peer = clientWith(context, secret).at(`127.0.0.1:${proxy.port}`)
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(await peer.status(), { instance: 'a' })
      proxy.cut()
    }
  })

  test('another secret is refused, counted and told, on both sides', async (context) => {
    const cluster = await clusterOf(context)
    const [{ address, client }] = cluster.instances
    const stranger = clientWith(context, { secret: 'another secret of many bytes' })
    await assert.rejects(stranger.at(address).status(), { code: 'PEER_UNREACHABLE', message: /the same secret/ })
    assert.deepEqual(await refusals(cluster), { secret: 1 })
    assert.match(cluster.logged.join(), /refused a connection from 127\.0\.0\.1: it does not have the secret/)
    assert.deepEqual(await client.at(address).status(), { instance: 'a' })
  })

  test('a secret that is too short is no configuration', () => {
    assert.throws(() => new PeerClient({ security: { secret: 'short' }, clock: nodeClock }), { code: 'CONFIG_INVALID' })
  })

  test('certificates of one authority know each other; those of another, and none, are refused', async (context) => {
    const { our, other, of } = await authorities(context)
    const cluster = await clusterOf(context, await of(our, 'a'))
    const [{ address, client }] = cluster.instances
    assert.deepEqual(await client.at(address).status(), { instance: 'a' })
    assert.deepEqual(
      await clientWith(context, await of(our, 'b'))
        .at(address)
        .status(),
      { instance: 'a' },
    )

    // who trusts our authority, and shows a certificate of another
    const stranger = clientWith(context, await of(other, 'c', our.certificate))
    await assert.rejects(stranger.at(address).status(), { code: 'PEER_UNREACHABLE' })
    // who does not trust us does not ask
    const deceived = clientWith(context, await of(other, 'd'))
    await assert.rejects(deceived.at(address).status(), { code: 'PEER_UNREACHABLE' })
    // and who shows none
    const port = Number(address.split(':')[1])
    const anonymous = secureConnect({
      port,
      host: '127.0.0.1',
      ca: our.certificate,
      checkServerIdentity: () => undefined,
    })
    anonymous.on('error', () => undefined)
    anonymous.write('GET /v1/status HTTP/1.1\r\nHost: peer\r\n\r\n')
    let said = ''
    anonymous.on('data', (data: Buffer) => (said += data.toString()))
    await once(anonymous, 'close')
    assert.equal(said, '')
    assert.equal((await refusals(cluster)).certificate, 2)
    assert.match(cluster.logged.join(), /refused a connection from 127\.0\.0\.1: it shows no certificate/)
    assert.deepEqual(await client.at(address).status(), { instance: 'a' })
  })

  test('who has the secret is none of those with certificates, and the other way round', async (context) => {
    const { our, of } = await authorities(context)
    const certified = await of(our, 'a')
    const [one, other] = [await clusterOf(context, certified), await clusterOf(context)]
    const unreachable = { code: 'PEER_UNREACHABLE' }
    await assert.rejects(clientWith(context, secret).at(one.instances[0].address).status(), unreachable)
    await assert.rejects(clientWith(context, certified).at(other.instances[0].address).status(), unreachable)
    assert.deepEqual(await refusals(other), { secret: 1 })
  })

  test('plain HTTP, garbage and a peer that says nothing are refused, and the listener lives on', async (context) => {
    const cluster = new TestCluster(1)
    context.after(() => cluster.close())
    const { address, client } = await cluster.add('a', {}, { handshakeMs: 50 })
    const port = Number(address.split(':')[1])
    const plain = get({ host: '127.0.0.1', port })
    await once(plain, 'error')
    for (const said of ['\0\x01\x02 no handshake', undefined]) {
      const socket = connect(port, '127.0.0.1')
      if (said !== undefined) socket.write(said)
      socket.resume()
      await once(socket, 'close')
    }
    assert.deepEqual(await refusals(cluster), { plain: 1, garbage: 1, slow: 1 })
    assert.match(cluster.logged.join(), /from 127\.0\.0\.1: it spoke plain HTTP/)
    assert.deepEqual(await client.at(address).status(), { instance: 'a' })
  })

  test('one of us that sends no request is told of, and closed', async (context) => {
    const cluster = await clusterOf(context)
    const port = Number(cluster.instances[0].address.split(':')[1])
    const socket = secureConnect({ ...askSecurity(secret), host: '127.0.0.1', port })
    socket.on('error', () => undefined)
    socket.write('no request\r\n\r\n')
    socket.resume()
    await once(socket, 'close')
    assert.deepEqual(await refusals(cluster), { malformed: 1 })
  })

  test('what is too long, or not known, is refused', async (context) => {
    const cluster = await clusterOf(context)
    const [{ client, address }] = cluster.instances
    const peer = client.at(address)
    const long = { ...query, query: `service = "${'x'.repeat(600_000)}"` }
    await assert.rejects(peer.query(long, live))
    await assert.rejects(client.at(address.replace(/:\d+$/, ':1')).status(), { code: 'PEER_UNREACHABLE' })
    await assert.rejects(client.at('nowhere').status(), { code: 'PEER_UNREACHABLE' })
    assert.deepEqual(await peer.status(), { instance: 'a' })
  })

  test('an error of the other side keeps its code', async (context) => {
    const cluster = await clusterOf(context)
    const [{ client, address }] = cluster.instances
    await assert.rejects(client.at(address).query({ ...query, query: 'service =' }, live), { code: 'QUERY_SYNTAX' })
  })

  test('who does not read an answer holds back who makes it; who leaves ends it', async (context) => {
    const cluster = new TestCluster(1)
    context.after(() => cluster.close())
    // 40 MB: no socket takes that
    const events = Array.from({ length: 4_000 }, (_, i) => ({ service: `s${i}`, description: 'x'.repeat(10_000) }))
    const engine = new FakeEngine(events, 10)
    const { client, address } = await cluster.add('a', { 0: engine })
    const { pages } = await client.at(address).query({ ...query, form: 'msg' }, live)
    const reading = pages[Symbol.asyncIterator]()
    await reading.next()
    let before = -1
    // until it makes no more: each turn of both ends moves something, or nothing
    for (let still = 0; still < 50; still = engine.pagesTaken === before ? still + 1 : 0) {
      before = engine.pagesTaken
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(engine.pagesTaken < 300, `${engine.pagesTaken} of 400 pages were made for nobody`)
    await reading.return?.()
    while (engine.left === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.equal(engine.left, 1)
  })

  test('an answer that breaks off says so', async (context) => {
    const cluster = new TestCluster(1)
    context.after(() => cluster.close())
    const engine = new FakeEngine([{ service: 'a' }, { service: 'b' }], 1)
    engine.breaks = { after: 1, error: Object.assign(new Error('it is being replaced'), { code: 'ENGINE_AWAY' }) }
    const { client, address } = await cluster.add('a', { 0: engine })
    const { pages } = await client.at(address).query(query, live)
    await assert.rejects(pagesOf(pages), { code: 'ENGINE_AWAY' })
  })

  test('a peer that is cut off in the middle of an answer is no end of it', async (context) => {
    const cluster = new TestCluster(1)
    context.after(() => cluster.close())
    const events = Array.from({ length: 4_000 }, (_, i) => ({ service: `s${i}`, description: 'x'.repeat(10_000) }))
    const { address } = await cluster.add('a', { 0: new FakeEngine(events, 10) })
    const proxy = await TcpProxy.start(Number(address.split(':')[1]))
    context.after(() => proxy.close())
    const peer = clientWith(context, secret).at(`127.0.0.1:${proxy.port}`)
    const { pages } = await peer.query({ ...query, form: 'msg' }, live)
    const reading = pages[Symbol.asyncIterator]()
    await reading.next()
    proxy.cut()
    await assert.rejects(
      async () => {
        while ((await reading.next()).done !== true);
      },
      { code: 'PEER_UNREACHABLE' },
    )
  })

  test('a peer that takes the connection and says nothing costs a bounded time', async (context) => {
    const cluster = await clusterOf(context)
    const [{ address }] = cluster.instances
    const proxy = await TcpProxy.start(Number(address.split(':')[1]))
    context.after(() => proxy.close())
    const peer = clientWith(context, secret).at(`127.0.0.1:${proxy.port}`)
    await peer.status()
    proxy.stall()
    const beganMs = nodeClock.monotonicMs()
    await assert.rejects(peer.query(query, live), { code: 'PEER_UNREACHABLE', message: /no answer came within 1\.5 s/ })
    assert.ok(nodeClock.monotonicMs() - beganMs >= 1_400)
  })
})
