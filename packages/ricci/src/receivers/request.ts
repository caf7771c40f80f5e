/** One HTTP request whose fate is known: not begun, answered, or gone out without an answer. Every HTTP receiver sends through it. */
import { readAnswer, type Clock, type SendResult } from '@ricci/replica'
import { Client } from 'undici'
import { retryAfterMs } from './retry-after.ts'

export interface HttpRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** JSON. */
  readonly body: unknown
}

/** What is kept of an answer's body, for people: enough for a provider's error message. */
const maxAnswerCharacters = 300

/** An answer's headers above this are not read: 16 KiB is what most servers themselves accept. */
const maxHeaderBytes = 16_384

/**
 * Posts a request once. Never rejects.
 *
 * - Every request has a connection of its own. A kept one that the other side has just closed takes the request's bytes and loses
 *   them, and then nobody knows whether they took effect; pages are too rare for a handshake to matter.
 * - `mayStart` is asked in undici's `onRequestStart`, which runs in the same turn as the `socket.write` of the whole request, after
 *   connecting and the TLS handshake: nothing can come between the answer and the kernel.
 * - From there on, whatever ends the request without a status line leaves it `unknown`.
 * - Redirects are not followed: a page goes where the configuration says, or it is retried.
 *
 * @param clock tells what time a `Retry-After` is counted from
 * @param signal ends it, connection and all: what is not answered by then has no answer
 */
export function post(
  { url, headers, body }: HttpRequest,
  clock: Clock,
  mayStart: () => boolean,
  signal: AbortSignal,
): Promise<SendResult> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve(notSent('its time had passed before it began'))
    const { origin, pathname, search } = new URL(url)
    const client = new Client(origin, {
      pipelining: 1,
      maxHeaderSize: maxHeaderBytes,
      // whoever sends keeps the time: undici's own timeouts are off
      connect: { timeout: 0 },
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    let begun = false
    let status = 0
    let retryAfter: string | undefined
    let answer = ''
    let done = false

    const outOfTime = () =>
      finish(status > 0 ? answered() : begun ? unknown('no answer in time') : notSent('no connection in time'))
    signal.addEventListener('abort', outOfTime)
    const finish = (result: SendResult) => {
      if (done) return
      done = true
      signal.removeEventListener('abort', outOfTime)
      client.destroy().then(
        () => resolve(result),
        () => resolve(result),
      )
    }
    const answered = () => judge(status, answer, retryAfter, clock.wallMs())

    client.dispatch(
      {
        path: pathname + search,
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json', 'user-agent': 'ricci' },
        body: JSON.stringify(body, wholeCharacters),
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
          // the status line is the answer; only who said no is listened to further
          if (statusCode < 300) finish(answered())
        },
        onResponseData: (_controller, chunk) => {
          answer += chunk.toString('utf8')
          if (answer.length >= maxAnswerCharacters) finish(answered())
        },
        onResponseEnd: () => finish(answered()),
        onResponseError: (_controller, error) =>
          finish(status > 0 ? answered() : begun ? unknown(reason(error)) : notSent(reason(error))),
      },
    )
  })
}

/** Half a character, as a rule's `slice` leaves it, has no bytes of UTF-8: many receivers refuse a JSON text that holds one. */
function wholeCharacters(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll(/\p{Surrogate}/gu, '\ufffd') : value
}

function judge(status: number, answer: string, retryAfter: string | undefined, wallMs: number): SendResult {
  const said = answer.slice(0, maxAnswerCharacters).replaceAll(/\s+/g, ' ').trim()
  const detail = `HTTP ${status}${said === '' ? '' : `: ${said}`}`
  return readAnswer(status, detail, retryAfter === undefined ? undefined : retryAfterMs(retryAfter, wallMs))
}

function notSent(why: string): SendResult {
  return { kind: 'failed', detail: `nothing was sent: ${why}` }
}

function unknown(why: string): SendResult {
  return { kind: 'unknown', detail: `sent, but without an answer: ${why}` }
}

/** An error's own words with its code, and its first cause where it only wraps several. */
function reason(error: Error): string {
  const inner = error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as Error) : error
  const code = (inner as NodeJS.ErrnoException).code
  return code === undefined || inner.message.includes(code) ? inner.message : `${inner.message} (${code})`
}
