/** E-mail by SMTP. What is accepted nobody can look up (class C); its Message-ID comes from the page, so that mail programs know a repeat. Definition: RFC 5321, RFC 5322. */
import { createHash } from 'node:crypto'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import type { SendRequest, SendResult, Transport } from '@ricci/replica'
import { z } from 'zod'
import type { Secret } from '../config/secret.ts'
import { receiverKind } from './kind.ts'
import { cut, factsOf, headline, memberCountOf, pageWords, plainText } from './text.ts'

/** A subject beyond is folded by programs that show it. */
const maxSubjectCharacters = 200
/** Far below what any server takes (10 MB is usual), far above a page with all its provenance. */
const maxTextCharacters = 100_000
/** Members of a digest that are named. */
const maxMembersNamed = 100
/** What is kept of what a server says, for people. */
const maxDetailCharacters = 300
/** People who hear of a page by one message. */
const maxRecipients = 50

const ports = { starttls: 587, implicit: 465, off: 25 } as const

interface Settings {
  readonly host: string
  readonly port?: number | undefined
  readonly tls: keyof typeof ports
  readonly ca?: string | undefined
  readonly user?: string | undefined
  readonly password?: Secret | undefined
  readonly from: string
  readonly to: readonly string[]
}

const mailAddress = (what: string) =>
  z
    .string()
    .max(254)
    .regex(/^[^\s@<>,;"]+@[A-Za-z0-9.-]+$/, { error: 'an address like ops@example.com is needed here, without a name' })
    .describe(what)

export const emailKind = receiverKind({
  type: 'email',
  class: 'C',
  test: ['notify'],
  settings: (fields) => ({
    host: z.string().min(1).describe('the SMTP server that takes mail from here'),
    port: fields.count('its port; by default 587, with `tls: implicit` 465, with `tls: off` 25', 1, 65_535).optional(),
    tls: z
      .enum(['starttls', 'implicit', 'off'])
      .default('starttls')
      .describe(
        '`starttls`: nothing is sent before it is encrypted; `implicit`: from the first byte; `off`: in the clear',
      ),
    ca: fields.authority(),
    user: z.string().min(1).describe('name to log in with').optional(),
    password: fields.secret('password to log in with: `{ env: NAME }`, `{ file: PATH }` or text').optional(),
    from: mailAddress('whose address stands as the sender'),
    to: z
      .array(mailAddress('an address'))
      .min(1, { error: 'at least one address is needed' })
      .max(maxRecipients, { error: `at most ${maxRecipients} addresses; name a list of the mail server's for more` })
      .describe('who is told'),
  }),
  problem: ({ tls, user, password }) => {
    if ((user === undefined) !== (password === undefined))
      return ['user', 'user and password belong together; give both, or neither']
    return tls === 'off' && password !== undefined
      ? ['tls', 'a password is not sent in the clear; use starttls or implicit, or no password']
      : undefined
  },
  transport: (settings) => new EmailTransport(settings),
})

/** What speaks SMTP. It costs a start a tenth of a second of CPU: who sends no mail does without. */
async function loadMailer() {
  const [composer, connection] = await Promise.all([
    import('nodemailer/lib/mail-composer'),
    import('nodemailer/lib/smtp-connection'),
  ])
  return { MailComposer: composer.default, SMTPConnection: connection.default }
}

class EmailTransport implements Transport {
  /** Begun with the server: a page in the night does not wait for it. */
  private readonly mailer = loadMailer()

  constructor(private readonly settings: Settings) {
    // who sends is told
    this.mailer.catch(() => undefined)
  }

  async send(page: SendRequest, mayStart: () => boolean, signal: AbortSignal): Promise<SendResult> {
    const { from, to } = this.settings
    const { MailComposer, SMTPConnection } = await this.mailer
    const message = await new MailComposer({ ...mailOf(page, this.settings) }).compile().build()
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(notSent('its time had passed before it began'))
      let isBegun = false
      let isDone = false
      const { host, port, tls, ca, user, password } = this.settings
      const socket = connect({ host, port: port ?? ports[tls] })
      const smtp = new SMTPConnection({
        connection: socket,
        host,
        secure: tls === 'implicit',
        requireTLS: tls === 'starttls',
        ignoreTLS: tls === 'off',
        tls: { ca },
      })
      const outOfTime = (): void => fail(new Error(isBegun ? 'no answer in time' : 'no connection in time'))
      const end = (result: SendResult): void => {
        if (isDone) return
        isDone = true
        signal.removeEventListener('abort', outOfTime)
        // its farewell goes out with the end of the connection; after anything else there is nothing to say
        if (result.kind === 'delivered') smtp.quit()
        smtp.close()
        if (result.kind !== 'delivered') socket.destroy()
        resolve(result)
      }
      const fail = (error: Error): void => end(failure(error, isBegun))
      signal.addEventListener('abort', outOfTime)

      const content = new Readable({
        read() {
          // the server has said go on: what is pushed now is written in this turn
          if (!isDone && mayStart()) {
            isBegun = true
            this.push(message)
            this.push(null)
          } else this.destroy(new Error('the send window had passed'))
        },
      })
      const sendMessage = (): void =>
        smtp.send({ from, to: [...to], size: message.length }, content, (error, info) =>
          error ? fail(error) : end({ kind: 'delivered', detail: accepted(info) }),
        )
      socket.once('error', fail)
      smtp.once('error', fail)
      smtp.on('error', () => undefined)
      socket.once('connect', () =>
        smtp.connect((error) => {
          if (error) return fail(error)
          if (user === undefined) return sendMessage()
          smtp.login({ user, pass: password!.reveal() }, (refused) => (refused ? fail(refused) : sendMessage()))
        }),
      )
    })
  }
}

/** What a server said, with who it does not take mail for: told it is, to the others. */
function accepted({
  response,
  rejectedErrors = [],
}: {
  response: string
  rejectedErrors?: readonly Error[] | undefined
}): string {
  return words([response, ...rejectedErrors.map(({ message }) => `not to all: ${message}`)].join('; '))
}

/** What a server says is as long as it likes. */
function words(text: string): string {
  return cut(plainText(text), maxDetailCharacters)
}

/** By RFC 5321, 4.2.1: 5yz is a no for good, 4yz one for now, and neither took the message. */
function failure(error: Error & { responseCode?: number }, isBegun: boolean): SendResult {
  const message = words(error.message)
  const { responseCode = 0 } = error
  if (responseCode >= 500) return { kind: 'refused', detail: message }
  if (responseCode >= 400) return { kind: 'failed', detail: message }
  return isBegun ? { kind: 'unknown', detail: `sent, but without an answer: ${message}` } : notSent(message)
}

function notSent(why: string): SendResult {
  return { kind: 'failed', detail: `nothing was sent: ${why}` }
}

/** A page as a message. */
export function mailOf(page: SendRequest, { from, to }: Pick<Settings, 'from' | 'to'>) {
  const { idempotencyKey, dedupKey, members = [], decidedAtMs, provenance } = page
  const nameOf = (key: string): string =>
    `<${createHash('sha256').update(key).digest('hex').slice(0, 32)}@${from.slice(from.indexOf('@') + 1)}>`
  const named = members.slice(0, maxMembersNamed).map((id) => `  ${id}`)
  const rest = memberCountOf(page) - named.length
  const digest = [`It stands for ${memberCountOf(page)} pages:`, ...named, ...(rest > 0 ? [`  and ${rest} more`] : [])]
  const text = [
    headline(page, maxTextCharacters / 10),
    factsOf(page)
      .map(([name, fact]) => `${`${name}:`.padEnd(10)}${fact}`)
      .join('\n'),
    ...(memberCountOf(page) > 0 ? [digest.join('\n')] : []),
    ...(provenance === undefined || provenance === null
      ? []
      : [`What led to it:\n${JSON.stringify(provenance, undefined, 2)}`]),
    `page ${idempotencyKey}`,
  ].join('\n\n')
  return {
    from,
    to: [...to],
    subject: `${pageWords[page.action]}: ${headline(page, maxSubjectCharacters)}`,
    date: new Date(decidedAtMs),
    messageId: nameOf(idempotencyKey),
    // all of an incident's refer to the same, so that they stand together
    references: nameOf(`incident ${dedupKey}`),
    headers: { 'Auto-Submitted': 'auto-generated' },
    text: cut(text, maxTextCharacters),
  }
}
