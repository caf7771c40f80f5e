// E-mail over a real SMTP server: STARTTLS and TLS from the first byte, logins, recipients that are refused, what a message holds.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it, type TestContext } from 'node:test'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { sendOnce, type SendRequest, type SendResult } from '@ricci/replica'
import { CertificateAuthority, without, type Certificate } from '@ricci/testkit'
import { parseConfig } from '../config/config.ts'
import { createReceivers } from './receivers.ts'
import { page, TestClock } from './testing.ts'

const password = 'pass-S3CRET-41f0'

let folder: string
let authority: CertificateAuthority
let certificate: Certificate

interface Mail {
  readonly text: string
  readonly from: string
  readonly to: readonly string[]
  readonly user: string | undefined
  readonly secure: boolean
}

/** A server for one test. */
async function serve(t: TestContext, options: SMTPServerOptions = {}) {
  const mails: Mail[] = []
  const server = new SMTPServer({
    key: certificate.key,
    cert: certificate.cert,
    logger: false,
    onAuth: ({ username, password: given }, _session, callback) =>
      given === password ? callback(null, { user: username }) : callback(refusal(535, `no such login: ${given}`)),
    onData: (stream, { envelope, user, secure }, callback) => {
      let text = ''
      stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
      stream.on('end', () => {
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address
        mails.push({ text, from, to: envelope.rcptTo.map(({ address }) => address), user: user as string, secure })
        callback(null)
      })
    },
    ...options,
  })
  server.on('error', () => undefined)
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  t.after(() => new Promise<void>((resolve) => server.close(resolve)))
  return { mails, port: (server.server.address() as AddressInfo).port }
}

function refusal(responseCode: number, message: string): Error {
  return Object.assign(new Error(message), { responseCode })
}

function send(port: number, settings: object = {}, what: SendRequest = page): Promise<SendResult> {
  const it = {
    type: 'email',
    host: '127.0.0.1',
    port,
    ca: authority.file,
    user: 'ricci',
    password: { env: 'PASSWORD' },
    from: 'ricci@example.com',
    to: ['ann@example.com', 'ben@example.com'],
    ...settings,
  }
  const clock = new TestClock()
  const config = parseConfig(JSON.stringify({ receivers: { it } }), 'test.json', { env: { PASSWORD: password } })
  return sendOnce(createReceivers(config, { clock, write: () => assert.fail() }).get('it')!.transport, what, clock)
}

/** A header with its folded lines as one. */
function header(text: string, name: string): string | undefined {
  return new RegExp(`^${name}: (.*)$`, 'im').exec(text.replaceAll(/\r\n[ \t]+/g, ' '))?.[1]
}

describe('e-mail over a real server', { skip: without('openssl') }, () => {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ricci-email-'))
    authority = await CertificateAuthority.create(folder)
    certificate = await authority.issue('mail')
  })
  after(() => rmSync(folder, { recursive: true }))

  it('goes encrypted and logged in, to all, with a Message-ID that is the page’s', async (t) => {
    const { mails, port } = await serve(t)
    const first = await send(port)
    assert.equal(first.kind, 'delivered')
    assert.match(first.detail!, /^250 /)
    await send(port, {}, { ...page, possibleRepeat: true })
    await send(port, {}, { ...page, idempotencyKey: 'another', action: 'resolve', severity: 'ok' })
    const [trigger, repeat, resolve] = mails
    assert.deepEqual(
      { ...trigger, text: '' },
      {
        text: '',
        from: 'ricci@example.com',
        to: ['ann@example.com', 'ben@example.com'],
        user: 'ricci',
        secure: true,
      },
    )
    assert.match(header(trigger.text, 'Message-ID')!, /^<[0-9a-f]{32}@example\.com>$/)
    assert.equal(header(repeat.text, 'Message-ID'), header(trigger.text, 'Message-ID'))
    assert.notEqual(header(resolve.text, 'Message-ID'), header(trigger.text, 'Message-ID'))
    assert.equal(header(resolve.text, 'References'), header(trigger.text, 'References'))
    assert.equal(header(trigger.text, 'Subject'), 'PAGE: 0.97 for 30 s')
    assert.equal(header(repeat.text, 'Subject'), 'PAGE: 0.97 for 30 s (possible repeat)')
    assert.equal(header(resolve.text, 'Subject'), 'RESOLVED: 0.97 for 30 s')
    assert.equal(header(trigger.text, 'Auto-Submitted'), 'auto-generated')
    assert.equal(header(trigger.text, 'Date'), 'Sat, 21 Nov 2026 12:00:01 +0000')
    for (const line of [/^host: {5}web-7\r$/m, /^rule: {5}cpu-high\r$/m, /^page log-1\/0\/17\/0\/9a8b/m, /"web-7"/]) {
      assert.match(trigger.text, line)
    }
  })

  it('a digest says how many pages it stands for, and names some', async (t) => {
    const { mails, port } = await serve(t)
    const members = Array.from({ length: 150 }, (_, n) => `member-${n}.`)
    await send(port, {}, { ...page, action: 'notify', members, memberCount: 4_000 })
    const [{ text }] = mails
    assert.match(header(text, 'Subject')!, /\(4000 pages in one\)$/)
    assert.match(text, /It stands for 4000 pages:\r\n {2}member-0\.\r\n/)
    assert.match(text, /member-99\.\r\n {2}and 3900 more/)
  })

  it('nothing of an event becomes a header, or ends the message', async (t) => {
    const { mails, port } = await serve(t)
    const summary = 'a\r\nBcc: eve@example.com\r\n\r\n.\r\nMAIL FROM:<eve@example.com>'
    await send(port, {}, { ...page, summary, host: 'über\r\n.\r\n' })
    assert.equal(mails.length, 1)
    assert.equal(header(mails[0].text, 'Bcc'), undefined)
    assert.equal(header(mails[0].text, 'Subject'), 'PAGE: a Bcc: eve@example.com . MAIL FROM:<eve@example.com>')
  })

  it('TLS from the first byte', async (t) => {
    const { mails, port } = await serve(t, { secure: true })
    assert.equal((await send(port, { tls: 'implicit' })).kind, 'delivered')
    assert.equal(mails[0].secure, true)
    assert.equal((await send(port, { tls: 'implicit', ca: undefined })).kind, 'failed')
  })

  it('without TLS where it was told so, and with a server that offers none never by itself', async (t) => {
    const { mails, port } = await serve(t, { disabledCommands: ['STARTTLS', 'AUTH'] })
    const plain = { user: undefined, password: undefined }
    assert.match((await send(port, plain)).detail!, /STARTTLS: 500 /)
    assert.equal((await send(port, { ...plain, tls: 'off' })).kind, 'delivered')
    assert.deepEqual(
      mails.map(({ secure }) => secure),
      [false],
    )
  })

  const answers: [what: string, options: SMTPServerOptions, settings: object, kind: string, detail: RegExp][] = [
    ['a wrong password', {}, { password: 'wrong-S3CRET-77' }, 'refused', /535 no such login: \(secret\)/],
    [
      'a login for which it is not the time',
      { onAuth: (_a, _s, done) => done(refusal(454, 'later')) },
      {},
      'failed',
      /454/,
    ],
    [
      'a sender that is refused',
      { onMailFrom: (_a, _s, done) => done(refusal(550, 'not you')) },
      {},
      'refused',
      /550 not you/,
    ],
    ['a greylist', { onRcptTo: (_a, _s, done) => done(refusal(450, 'greylisted')) }, {}, 'failed', /450 greylisted/],
    ['nobody known', { onRcptTo: (_a, _s, done) => done(refusal(550, 'unknown')) }, {}, 'refused', /550 unknown/],
    [
      'a server that takes nobody',
      { onConnect: (_s, done) => done(refusal(554, 'go away')) },
      {},
      'refused',
      /554 go away/,
    ],
    ['a server that is busy', { onConnect: (_s, done) => done(refusal(421, 'busy')) }, {}, 'failed', /421 busy/],
    [
      'a message that is refused',
      { onData: (stream, _s, done) => void stream.resume().on('end', () => done(refusal(552, 'spam'))) },
      {},
      'refused',
      /552 spam/,
    ],
    [
      'a message that is taken later',
      { onData: (stream, _s, done) => void stream.resume().on('end', () => done(refusal(451, 'no room'))) },
      {},
      'failed',
      /451 no room/,
    ],
    [
      'a server with much to say',
      { onRcptTo: (_a, _s, done) => done(refusal(550, `no ${'x'.repeat(9_000)}`)) },
      {},
      'refused',
      /^.{299}…$/,
    ],
    ['a server for smaller messages', { size: 10 }, {}, 'failed', /^nothing was sent: Message size larger/],
  ]
  for (const [what, options, settings, kind, detail] of answers) {
    it(`${what}: ${kind}`, async (t) => {
      const { mails, port } = await serve(t, options)
      const result = await send(port, settings)
      assert.equal(result.kind, kind, result.detail)
      assert.match(result.detail!, detail)
      assert.doesNotMatch(result.detail!, /S3CRET/)
      assert.equal(mails.length, 0)
    })
  }

  it('one of several refused: the others are told, and it says so', async (t) => {
    const { mails, port } = await serve(t, {
      onRcptTo: ({ address }, _session, done) => done(address.startsWith('ben') ? refusal(550, 'unknown') : null),
    })
    const result = await send(port)
    assert.equal(result.kind, 'delivered')
    assert.match(result.detail!, /^250 .*; not to all: .*550 unknown/)
    assert.deepEqual(mails[0].to, ['ann@example.com'])
  })
})
