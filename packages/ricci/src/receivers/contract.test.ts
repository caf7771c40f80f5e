// What each kind of receiver makes of what may befall a request: the same table for all, and no case left out.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { sendOnce, type SendRequest, type SendResult } from '@ricci/replica'
import { CertificateAuthority, without } from '@ricci/testkit'
import { parseConfig } from '../config/config.ts'
import { receiverKinds } from './kinds.ts'
import { faults, httpPeer, smtpPeer, type Fault, type Identity, type Peer } from './misbehaving.ts'
import { createReceivers } from './receivers.ts'
import { page, TestClock } from './testing.ts'

/** Stands in for every secret. */
const secret = 'S3CRET-8f2b1c9d4e'

interface Subject {
  readonly type: string
  /** Its settings, where its peer is. */
  readonly settings: (peer: Peer, isTls: boolean) => Record<string, unknown>
  readonly peer: typeof httpPeer
  readonly yes?: string
  /** Largest request that its provider takes, in bytes. */
  readonly limit: number
  /** Where it is not as with all of its family. */
  readonly but?: Partial<Record<Fault, SendResult['kind']>>
  readonly family: Record<Fault, SendResult['kind']>
}

/** By the status of an answer, and what came of the connection. */
const http: Subject['family'] = {
  '2xx': 'delivered',
  '400': 'refused',
  '408': 'unknown',
  '429 with Retry-After': 'failed',
  '500': 'unknown',
  'connection refused': 'failed',
  'reset after accept': 'unknown',
  'accepted and the answer dropped': 'unknown',
  'hang beyond 10 s': 'unknown',
  'slow body': 'delivered',
  oversize: 'delivered',
  'TLS: unknown CA': 'failed',
  'TLS: wrong name': 'failed',
}

/** A server that says no, for now or for good, did not take the message: RFC 5321, 4.2.1. */
const smtp: Subject['family'] = { ...http, '408': 'failed', '500': 'failed', 'slow body': 'unknown' }

const url = ({ host, port }: Peer, isTls: boolean): string => `http${isTls ? 's' : ''}://${host}:${port}/at`

const subjects: readonly Subject[] = [
  {
    type: 'webhook',
    settings: (peer, isTls) => ({
      url: url(peer, isTls),
      headers: { Authorization: { env: 'BEARER' } },
      signingSecret: { env: 'SECRET' },
    }),
    peer: httpPeer,
    family: http,
    limit: 512_000,
  },
  {
    type: 'pagerduty',
    settings: (peer, isTls) => ({ url: url(peer, isTls), routingKey: { env: 'SECRET' } }),
    peer: httpPeer,
    family: http,
    limit: 512_000,
  },
  {
    type: 'slack',
    settings: (peer, isTls) => ({
      ...{ url: url(peer, isTls), token: { env: 'SECRET' }, signingSecret: { env: 'SECRET' } },
      channel: 'C0123ABCD',
    }),
    peer: httpPeer,
    yes: '{"ok":true,"ts":"1.000001"}',
    family: http,
    // its answer is in the body
    but: { 'slow body': 'unknown' },
    limit: 50_000,
  },
  {
    type: 'slack-webhook',
    settings: (peer, isTls) => ({ url: `${url(peer, isTls)}/services/${secret}` }),
    peer: httpPeer,
    family: http,
    limit: 50_000,
  },
  {
    type: 'email',
    settings: ({ host, port }, isTls) => ({
      host,
      port,
      from: 'ricci@example.com',
      to: ['ops@example.com'],
      ...(isTls ? { tls: 'starttls' } : { tls: 'off' }),
    }),
    peer: smtpPeer,
    family: smtp,
    limit: 200_000,
  },
  {
    type: 'datadog',
    settings: (peer, isTls) => ({ url: url(peer, isTls), apiKey: { env: 'SECRET' } }),
    peer: httpPeer,
    family: http,
    limit: 50_000,
  },
]

/** As long as an engine lets it become, and longer. */
const monster: SendRequest = {
  ...page,
  summary: '🔥'.repeat(500_000),
  host: 'h'.repeat(300_000),
  service: 's'.repeat(300_000),
  rule: 'r'.repeat(300_000),
  severity: 'critical',
  members: Array.from({ length: 1_000 }, (_, n) => `log-1.0.${n}.0.${'f'.repeat(1_000)}`),
  memberCount: 20_000,
  provenance: { events: 'e'.repeat(600_000) },
}

let folder: string
let ours: CertificateAuthority
let others: CertificateAuthority
let identity: Identity

/** A receiver with its peer. */
async function meet(t: TestContext, subject: Subject, fault: Fault, isTls: boolean, ca = ours) {
  const clock = new TestClock()
  const peer = await subject.peer(t, { fault, clock, identity, yes: subject.yes ?? 'ok' })
  const settings = { type: subject.type, ...subject.settings(peer, isTls), ...(isTls && { ca: ca.file }) }
  const env = { SECRET: secret, BEARER: `Bearer ${secret}` }
  const config = parseConfig(JSON.stringify({ receivers: { it: settings } }), 'test.json', { env })
  const { transport } = createReceivers(config, { clock, write: () => assert.fail() }).get('it')!
  return { peer, clock, transport }
}

it('every kind of receiver that is sent to over a network is in the table', () => {
  assert.deepEqual(
    receiverKinds.map(({ type }) => type).filter((type) => type !== 'console'),
    subjects.map(({ type }) => type),
  )
})

describe('what befalls a request', { skip: without('openssl') }, () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ricci-receivers-'))
    const [one, other] = ['one', 'other'].map((name) => mkdtempSync(join(folder, name)))
    ours = await CertificateAuthority.create(one)
    others = await CertificateAuthority.create(other)
    identity = await ours.issue('receiver')
  })
  after(() => rmSync(folder, { recursive: true }))

  for (const subject of subjects) {
    for (const fault of faults) {
      const expected = subject.but?.[fault] ?? subject.family[fault]
      it(`${subject.type}: ${fault} is ${expected}`, async (t) => {
        const what = fault === 'oversize' ? monster : page
        const trusted = fault === 'TLS: unknown CA' ? others : ours
        const { peer, clock, transport } = await meet(t, subject, fault, fault.startsWith('TLS'), trusted)
        const result = await sendOnce(transport, what, clock)
        assert.equal(result.kind, expected, JSON.stringify(result))
        assert.ok(!JSON.stringify(result).includes(secret.slice(0, 8)), JSON.stringify(result))
        assert.equal(clock.pendingTimers, 0)
        const told = 'retryAfterMs' in result ? result.retryAfterMs : undefined
        assert.equal(told, fault.startsWith('429') && subject.family === http ? 120_000 : undefined)
        const arrived = ['delivered', 'refused'].includes(expected) || /^4|^5|^acc|^hang|^slow/.test(fault)
        assert.equal(peer.received.length, arrived ? 1 : 0)
        if (fault.startsWith('TLS')) assert.match(result.detail!, /^nothing was sent: .*(certificate|altnames)/i)
        if (fault !== 'oversize') return
        assert.ok(Buffer.byteLength(peer.received[0]) <= subject.limit, `${Buffer.byteLength(peer.received[0])} bytes`)
        assert.ok(!/\\ud83[cd](?!\\)/.test(peer.received[0]), 'no half of a character')
        assert.match(peer.received[0], /🔥|=F0=9F=94=A5|8J\+UpQ|8J\+UpfCflKU/)
        assert.match(peer.received[0], /20000 pages in one|20,?000/)
      })
    }

    it(`${subject.type}: a certificate of whom it trusts is taken`, async (t) => {
      const { peer, clock, transport } = await meet(t, subject, 'TLS: unknown CA', true)
      assert.equal((await sendOnce(transport, page, clock)).kind, 'delivered')
      assert.equal(peer.received.length, 1)
    })

    it(`${subject.type}: what may not start is not sent`, async (t) => {
      const { peer, transport } = await meet(t, subject, '2xx', false)
      const result = await transport.send(page, () => false, new AbortController().signal)
      assert.deepEqual(result, { kind: 'failed', detail: 'nothing was sent: the send window had passed' })
      assert.equal(peer.received.length, 0)
    })
  }
})
