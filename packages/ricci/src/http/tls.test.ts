import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { CertificateAuthority, VirtualClock } from '@ricci/testkit'
import { WebSocket } from 'ws'
import type { Pems } from '../server/certificates.ts'
import { serve } from './testing.ts'

async function serving(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-https-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  const authority = await CertificateAuthority.create(folder)
  const shown: { pems: Pems } = { pems: await authority.issue('first') }
  const clock = new VirtualClock()
  const pems = { place: 'server.pem', read: () => shown.pems }
  const { url, telemetry } = await serve({}, { pems, clock })
  return { port: Number(new URL(url).port), telemetry, shown, clock, authority, ca: authority.certificate }
}

/** Status of /healthz, and the fingerprint of the certificate that was shown. */
async function ask(port: number, ca: string | undefined): Promise<[number, string]> {
  const asked = request({
    host: '127.0.0.1',
    port,
    path: '/healthz',
    ca,
    agent: false,
    checkServerIdentity: () => undefined,
  })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  const { fingerprint256 } = (answer.socket as TLSSocket).getPeerCertificate()
  answer.resume()
  await once(answer, 'close')
  return [answer.statusCode!, fingerprint256]
}

/** Its types want an answer that Node takes for an error. */
const checkServerIdentity = (() => undefined) as unknown as () => boolean

const fingerprintOf = ({ cert }: Pems): string => new X509Certificate(cert).fingerprint256

describe('HTTP over TLS', () => {
  it('is answered as without, and a renewed certificate is shown without a restart', async (t) => {
    const { port, shown, clock, authority, ca } = await serving(t)
    assert.deepEqual(await ask(port, ca), [200, fingerprintOf(shown.pems)])
    const first = shown.pems
    shown.pems = await authority.issue('second')
    assert.notEqual(fingerprintOf(first), fingerprintOf(shown.pems))
    await clock.advance(10_000)
    assert.deepEqual(await ask(port, ca), [200, fingerprintOf(shown.pems)])
    await assert.rejects(ask(port, undefined), /self-signed|unable to/)
  })

  it('opens WebSockets, too', async (t) => {
    const { port, ca } = await serving(t)
    const socket = new WebSocket(`wss://127.0.0.1:${port}/events`, { ca, checkServerIdentity })
    await once(socket, 'open')
    socket.send('{"host":"a","service":"b"}')
    const [answer] = (await once(socket, 'message')) as [Buffer]
    assert.equal(answer.toString(), '{}')
    socket.close()
    await once(socket, 'close')
  })

  it('lets go of who speaks without, and counts it', async (t) => {
    const { port, telemetry } = await serving(t)
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.resume()
    socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await once(socket, 'close')
    const { values } = await telemetry.metrics.malformed.get()
    assert.deepEqual(
      values.map(({ labels, value }) => [labels.transport, value]),
      [['tls', 1]],
    )
  })
})
