import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as connectPlain } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { CertificateAuthority, VirtualClock, type Certificate } from '@ricci/testkit'
import type { Pems } from '../server/certificates.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { Intake } from './intake.ts'
import { RawClient, ScriptedLog } from './testing.ts'
import { oneProducer } from './recorder.ts'

const any = { host: '127.0.0.1', port: 0 }

async function authority(context: TestContext, name: string): Promise<CertificateAuthority> {
  const folder = mkdtempSync(join(tmpdir(), `ricci-tls-${name}-`))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return CertificateAuthority.create(folder)
}

async function serve(context: TestContext, pems: Pems) {
  const files = { place: 'server.pem', pems: pems as Pems | Error, read: (): Pems => pemsOf(files.pems) }
  const clock = new VirtualClock()
  const logged: string[] = []
  const log = createLogger({ format: 'people', write: (line) => void logged.push(line) })
  const telemetry = new Telemetry(log, () => 0)
  const records = new ScriptedLog()
  const intake = new Intake({
    ...{ log: records, telemetry, clock, markingAs: oneProducer('here', 1), tcp: any },
    progress: () => undefined,
    queries: { ask: () => assert.fail('nobody asks') },
    tls: { ...any, pems: files },
    maxConnections: 10,
    maxFrameBytes: 1 << 20,
    maxQueuedBytes: 1 << 20,
    idleConnectionMs: 3_600_000,
  })
  const sockets: { destroy(): unknown }[] = []
  context.after(async () => {
    for (const socket of sockets) socket.destroy()
    await intake.close()
  })
  const port = (await intake.listenForTls())!
  /** Resolves when the handshake is over; rejects where the server refuses it. */
  const open = async (options: ConnectionOptions): Promise<{ client: RawClient; socket: TLSSocket }> => {
    const socket = connect({ host: '127.0.0.1', port, ...options })
    sockets.push(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('secureConnect', resolve).once('error', reject)
      socket.once('close', () => reject(new Error('it was closed')))
    })
    return { client: RawClient.over(socket), socket }
  }
  const plain = () => {
    const socket = connectPlain({ host: '127.0.0.1', port })
    socket.on('error', () => undefined)
    sockets.push(socket)
    return socket
  }
  const malformed = async (): Promise<string | undefined> =>
    (await telemetry.metrics.registry.metrics()).split('\n').find((line) => /malformed.*tls|stalled/.test(line))
  return { files, clock, logged, records, intake, open, plain, malformed }
}

function pemsOf(pems: Pems | Error): Pems {
  if (pems instanceof Error) throw pems
  return pems
}

const pair = ({ cert, key }: Certificate): { cert: string; key: string } => ({ cert, key })

describe("Riemann's protocol over TLS", () => {
  it('takes events from whoever trusts the authority, over TLS 1.3', async (context) => {
    const signer = await authority(context, 'one')
    const { open, records } = await serve(context, pair(await signer.issue('server')))
    const { client, socket } = await open({ ca: signer.certificate })
    assert.equal(socket.getProtocol(), 'TLSv1.3')
    client.send({ events: [{ host: 'a' }] }, { events: [{ host: 'b' }] })
    assert.deepEqual(await client.received(2), [{ ok: true }, { ok: true }])
    assert.equal(records.records.length, 2)
    // half-closed: what was sent last is answered
    client.send({ events: [{ host: 'c' }] })
    socket.end()
    assert.equal((await client.received(3)).length, 3)
    await client.ended()
  })

  it('asks clients for certificates where somebody is named who signs them, and is open to no other', async (context) => {
    const [signer, stranger] = [await authority(context, 'one'), await authority(context, 'other')]
    const { open, records, malformed } = await serve(context, {
      ...pair(await signer.issue('server')),
      ca: signer.certificate,
    })
    const known = await open({ ca: signer.certificate, ...pair(await signer.issue('client')) })
    known.client.send({ events: [{ host: 'a' }] })
    await known.client.received(1)
    for (const options of [{}, pair(await stranger.issue('client'))]) {
      // with TLS 1.3 the client hears of it only after its side of the handshake
      const refused = await open({ ca: signer.certificate, ...options })
      refused.client.send({ events: [{ host: 'b' }] })
      await refused.client.ended()
      assert.equal(refused.client.replies.length, 0)
    }
    assert.equal(records.records.length, 1)
    assert.match((await malformed())!, / 2$/)
  })

  it('shows a renewed certificate without a restart; connections stay; one that does not fit its key is not taken over', async (context) => {
    const [first, second] = [await authority(context, 'one'), await authority(context, 'other')]
    const before = pair(await first.issue('server'))
    const { files, clock, open, logged } = await serve(context, before)
    const old = await open({ ca: first.certificate })
    const after = pair(await second.issue('server'))
    files.pems = { cert: after.cert, key: before.key }
    await clock.advance(10_000)
    assert.match(logged.at(-1)!, /cannot be taken over/)
    await open({ ca: first.certificate })
    files.pems = new Error('no such file')
    await clock.advance(10_000)
    assert.match(logged.at(-1)!, /no such file.*those read before are shown on/)
    files.pems = after
    await clock.advance(10_000)
    assert.match(logged.at(-1)!, /shows another certificate/)
    await open({ ca: second.certificate })
    await assert.rejects(open({ ca: first.certificate }), /certificate|verify|signature/i)
    old.client.send({ events: [{ host: 'a' }] })
    assert.deepEqual(await old.client.received(1), [{ ok: true }])
  })

  it('counts who speaks no TLS, says so, and is there for the others', async (context) => {
    const signer = await authority(context, 'one')
    const { open, plain, malformed, logged } = await serve(context, pair(await signer.issue('server')))
    const silent = plain()
    const socket = plain()
    socket.write(Buffer.from([0, 0, 0, 2, 0x10, 1, ...Buffer.from('GET / HTTP/1.1\r\n\r\n')]))
    socket.resume()
    await once(socket, 'close')
    assert.match((await malformed())!, / 1$/)
    assert.match(logged.at(-1)!, /: it does not speak TLS, /)
    const { client } = await open({ ca: signer.certificate })
    client.send({ events: [{ host: 'a' }] })
    await client.received(1)
    assert.equal(silent.destroyed, false)
  })

  it('has so many places for handshakes that are not made; one that is made takes none', async (context) => {
    const signer = await authority(context, 'one')
    const { open, plain } = await serve(context, pair(await signer.issue('server')))
    const silent = async (): Promise<unknown> => once(plain(), 'connect')
    for (let i = 0; i < 9; i++) await silent()
    for (let i = 0; i < 3; i++) {
      // with TLS 1.3 the server's side of the handshake ends after the client's
      const { client } = await open({ ca: signer.certificate })
      client.send({ events: [{ host: 'a' }] })
      await client.received(1)
    }
    await silent()
    await assert.rejects(open({ ca: signer.certificate }))
  })

  it('who leaves in the middle of its handshake takes no place any more', async (context) => {
    const signer = await authority(context, 'one')
    const { open, plain, malformed } = await serve(context, pair(await signer.issue('server')))
    const closed = Array.from({ length: 10 }, () => {
      const socket = plain().resume()
      // the head of a record, and no more
      socket.end(Buffer.from('160301020001', 'hex'))
      return once(socket, 'close')
    })
    await Promise.all(closed)
    // not for having taken too long
    assert.equal(await malformed(), undefined)
    await open({ ca: signer.certificate })
  })

  it('says what is wrong with certificates that cannot be used', async (context) => {
    const signer = await authority(context, 'one')
    const { cert } = await signer.issue('server')
    const { key } = await signer.issue('another')
    await assert.rejects(serve(context, { cert, key }), { code: 'CONFIG_INVALID', message: /server\.pem/ })
  })
})
