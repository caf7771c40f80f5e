/** One HTTP request whose fate is known: not begun, answered, or gone out without an answer. Every HTTP receiver sends through it. */
import { readAnswer, type SendResult } from '@ricci/replica'
// the package's index loads caches, cookies and a fetch: twice what a server's own code costs a start
import Client from 'undici/lib/dispatcher/client.js'
import { retryAfterMs } from './retry-after.ts'

export interface HttpRequest {
  /** By default POST. */
  readonly method?: 'GET' | 'POST'
  readonly url: string
  /** PEM text: the authorities that its certificate may come from, instead of Node's own. */
  readonly ca?: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** How much of an answer of 2xx is read, where its body says something; by default nothing, and the status line is the answer. */
  readonly answerBytes?: number | undefined
}

/** What became of a request. */
export type Fate =
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly retryAfter: string | undefined
      /** The body: of 2xx as much as was asked for, of others what people need. */
      readonly text: string
    }
  | { readonly kind: 'failed' | 'unknown'; readonly detail: string }

/** What is kept of an answer's body, for people: enough for a provider's error message. */
const maxAnswerCharacters = 300
/** So much of the body of who said no is read for it. */
const maxErrorBytes = 4 * maxAnswerCharacters

/** An answer's headers above this are not read: 16 KiB is what most servers themselves accept. */
const maxHeaderBytes = 16_384

/**
 * Sends a request once. Never rejects.
 *
 * - Every request has a connection of its own. A kept one that the other side has just closed takes the request's bytes and loses
 *   them, and then nobody knows whether they took effect; pages are too rare for a handshake to matter.
 * - `mayStart` is asked in undici's `onRequestStart`, which runs in the same turn as the `socket.write` of the whole request, after
 *   connecting and the TLS handshake: nothing can come between the answer and the kernel.
 * - From there on, whatever ends the request without a status line leaves it `unknown`.
 * - Redirects are not followed: a page goes where the configuration says, or it is retried.
 *
 * @param signal ends it, connection and all: what is not answered by then has no answer
 */
export function post(request: HttpRequest, mayStart: () => boolean, signal: AbortSignal): Promise<Fate> {
  const { method = 'POST', url, ca, headers, body = null, answerBytes = 0 } = request
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(notSent('its time had passed before it began'))
    const { origin, pathname, search } = new URL(url)
    const client = new Client(origin, {
      pipelining: 1,
      maxHeaderSize: maxHeaderBytes,
      // whoever sends keeps the time: undici's own timeouts are off
      connect: { timeout: 0, ...(ca !== undefined && { ca }) },
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    let begun = false
    let status = 0
    let retryAfter: string | undefined
    const answer: Buffer[] = []
    let answerLength = 0
    let done = false

    const outOfTime = () =>
      finish(status > 0 ? answered() : begun ? unknown('no answer in time') : notSent('no connection in time'))
    signal.addEventListener('abort', outOfTime)
    const finish = (result: Fate) => {
      if (done) return
      done = true
      signal.removeEventListener('abort', outOfTime)
      client.destroy().then(
        () => resolve(result),
        () => resolve(result),
      )
    }
    const answered = (): Fate => {
      const text = Buffer.concat(answer).subarray(0, limit()).toString('utf8')
      return { kind: 'answered', status, retryAfter, text }
    }
    const limit = () => (status < 300 ? answerBytes : maxErrorBytes)

    client.dispatch(
      {
        path: pathname + search,
        method,
        headers: { ...headers, 'user-agent': 'ricci' },
        body,
        idempotent: false,
        reset: true,
      },
      {
        onRequestStart: (controller) => {
          if (!done && mayStart()) {
            begun = true
          } else {
            finish(notSent('the send window had passed'))
            controller.abort(new Error('not started'))
          }
        },
        onResponseStart: (_controller, statusCode, answerHeaders) => {
          if (statusCode < 200) return
          status = statusCode
          const header = answerHeaders['retry-after']
          retryAfter = Array.isArray(header) ? header[0] : header
          // where the status line is the answer, only who said no is listened to further
          if (limit() === 0) finish(answered())
        },
        onResponseData: (_controller, chunk) => {
          answer.push(chunk)
          answerLength += chunk.length
          if (answerLength > limit()) finish(answered())
        },
        onResponseEnd: () => finish(answered()),
        onResponseError: (_controller, error) =>
          finish(status > 0 ? answered() : begun ? unknown(reason(error)) : notSent(reason(error))),
      },
    )
  })
}

/** A value as JSON, text as it is, with whole characters only: many receivers refuse what holds half a one, as a rule's `slice` leaves it. */
export function jsonText(value: unknown): string {
  return typeof value === 'string' ? whole(value) : JSON.stringify(value, wholeCharacters)
}

function wholeCharacters(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? whole(value) : value
}

function whole(text: string): string {
  return text.replaceAll(/\p{Surrogate}/gu, '\ufffd')
}

/** What a request's fate says of its page, by the status alone. @param wallMs what time a `Retry-After` is counted from */
export function judge(fate: Fate, wallMs: number): SendResult {
  if (fate.kind !== 'answered') return fate
  const { status, text, retryAfter } = fate
  const said = text.replaceAll(/\s+/g, ' ').trim().slice(0, maxAnswerCharacters)
  const detail = `HTTP ${status}${said === '' ? '' : `: ${said}`}`
  return readAnswer(status, detail, retryAfter === undefined ? undefined : retryAfterMs(retryAfter, wallMs))
}

function notSent(why: string): Fate {
  return { kind: 'failed', detail: `nothing was sent: ${why}` }
}

function unknown(why: string): Fate {
  return { kind: 'unknown', detail: `sent, but without an answer: ${why}` }
}

/** An error's own words with its code, and its first cause where it only wraps several. */
function reason(error: Error): string {
  const inner = error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as Error) : error
  const code = (inner as NodeJS.ErrnoException).code
  return code === undefined || inner.message.includes(code) ? inner.message : `${inner.message} (${code})`
}
