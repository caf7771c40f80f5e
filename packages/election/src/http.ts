import { setMaxListeners } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request as plainRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { Agent as SecureAgent, request as secureRequest, type RequestOptions } from 'node:https'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock } from './clock.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import { ElectionError, hasCode } from './errors.ts'

/** The longest answer that is taken in, in bytes, and the longest line of a stream: 256 names and 100 members with what they publish are a tenth of it. */
const maxReplyBytes = 8 * 1024 * 1024

/** The longest request, in bytes: Consul and etcd refuse transactions well below it. */
const maxRequestBytes = 4 * 1024 * 1024

/** How much of what a server said is repeated in a message, in characters. */
const maxSaid = 200

/** After how much silence other addresses are preferred, in ms, unless the question says. */
const defaultPatienceMs = 1000

/** How many connections to one address: reads that overlap, acquisitions of a group that starts, and a watch. Questions beyond it wait. */
const maxSockets = 32

/** How many of them are kept for later. */
const maxFreeSockets = 4

/** TLS to the store. Each of `ca`, `cert`, `key` is PEM text, or the path of a file that has it. */
export interface TlsOptions {
  /** Who may have signed the server's certificate, instead of whom this machine trusts. */
  readonly ca?: string
  /** Our own certificate, for servers that ask for one. */
  readonly cert?: string
  /** Its key. */
  readonly key?: string
  /** What the server's certificate must be for, where that is not the host in the address (Consul: `server.dc1.consul`). */
  readonly servername?: string
}

/** What is asked. */
export interface HttpQuestion {
  /** GET without a body, else PUT. */
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE'
  /** Path and query. */
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
  /** Only there; by default wherever the store answers. */
  readonly endpoint?: Endpoint
  /** What right it needs, in the store's own words: told where the store refuses. */
  readonly permission: string
  /** Statuses of 400 and above that are answers. */
  readonly accept?: readonly number[]
  /** After so much silence, in ms, other addresses are asked first from then on, and this question goes elsewhere if it was not sent yet. */
  readonly patienceMs?: number
  /** It may take effect twice, as a GET may: repeated where a kept connection turns out to have been closed. */
  readonly repeatable?: boolean
  /** It waits for something to happen: silence says nothing about the server, and does not keep the process alive. */
  readonly waits?: boolean
  readonly signal: AbortSignal
}

/** What was answered. */
export interface HttpAnswer {
  readonly status: number
  /** By name in lower case. */
  header(name: string): string | undefined
  readonly text: string
  /** The text as JSON. @throws ElectionError `BAD_REPLY` where it is none */
  json<T>(): T
  /** Who answered. */
  readonly endpoint: Endpoint
}

/** What a client is made with. */
export interface HttpClientOptions {
  /** What messages call the store: `Consul`. */
  readonly store: string
  readonly endpoints: Endpoints
  readonly tls?: TlsOptions
  /** Sent with each question; asked anew each time. Their values never appear in a message. */
  readonly headers?: () => Readonly<Record<string, string>>
  readonly clock: Clock
}

/**
 * Asks a store that speaks JSON over HTTP: over connections that are kept, at the first address that can be connected to. A question that was
 * sent is not repeated (but a read over a kept connection that had been closed meanwhile); whoever asks knows what a repetition would do. What its
 * signal gives up, loses its connection: the answer that may still come must not meet the next question.
 */
export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #ending = new AbortController()
  readonly #agent = new Agent({ keepAlive: true, maxSockets, maxFreeSockets })
  readonly #secureAgent = new SecureAgent({ keepAlive: true, maxSockets, maxFreeSockets })
  #tls: RequestOptions | undefined

  /** @throws ElectionError `OPTION_INVALID` where a file of `tls` cannot be read */
  constructor(options: HttpClientOptions) {
    this.#options = options
    this.#tls = readTls(options.tls)
    // One for each question under way: as many as come at once, and no leak.
    setMaxListeners(0, this.#ending.signal)
  }

  /**
   * Asks once.
   * @throws ElectionError `STORE_UNAVAILABLE`, `STORE_REFUSED`, `BAD_REPLY`, `CLOSED`; the signal's reason
   */
  async ask(question: HttpQuestion): Promise<HttpAnswer> {
    return this.#anywhere(question, async (exchange, endpoint) => {
      const answer = await this.#answerOf(await exchange.response, endpoint)
      this.#judge(question, answer)
      return answer
    })
  }

  /**
   * Asks, and gives JSON values one by one as they come, one a line. Ends with the answer; leaving the loop or the signal ends it earlier.
   * @throws as {@link ask}
   */
  async *stream<T>(question: HttpQuestion): AsyncGenerator<T, void, undefined> {
    const asked = { ...question, waits: true }
    const { response, request } = await this.#anywhere(asked, async (exchange, endpoint) => {
      const opened = await exchange.response
      const status = opened.statusCode ?? 0
      if (status >= 200 && status < 300) return { response: opened, request: exchange.request }
      this.#judge({ ...asked, accept: [] }, await this.#answerOf(opened, endpoint))
      throw this.#badReply(`answered ${status} where a stream was asked for`)
    })
    yield* this.#lines<T>(response, request, question.signal)
  }

  /** An address that answers is of no use all the same, because of what it said: others are asked first from then on. */
  blame(endpoint: Endpoint): void {
    this.#options.endpoints.failed(endpoint)
  }

  /** Gives up what is under way and closes every connection. Idempotent. */
  close(): void {
    this.#ending.abort(new ElectionError('CLOSED', `the connection to ${this.#options.store} was closed`, false))
    this.#agent.destroy()
    this.#secureAgent.destroy()
  }

  /** Tries the addresses until one can be connected to; `use` reads the answer. */
  async #anywhere<T>(question: HttpQuestion, use: (exchange: Exchange, endpoint: Endpoint) => Promise<T>): Promise<T> {
    const { endpoints } = this.#options
    this.#ending.signal.throwIfAborted()
    const known = question.endpoint === undefined ? await endpoints.list(question.signal) : [question.endpoint]
    const body = question.body === undefined ? '' : JSON.stringify(question.body)
    if (Buffer.byteLength(body) > maxRequestBytes) {
      throw new ElectionError('STORE_REFUSED', `a request of more than ${maxRequestBytes} bytes; publish less`, false)
    }
    let failure: unknown
    for (const endpoint of known) {
      // Again as long as it meets kept connections that the server has closed: the last try is over a new one.
      for (;;) {
        const exchange = this.#send(endpoint, question, body)
        try {
          const result = await use(exchange, endpoint)
          exchange.done()
          // What only this one can be asked (an agent, about itself) does not say that it is good for the rest.
          if (question.endpoint === undefined) endpoints.answered(endpoint)
          return result
        } catch (error) {
          exchange.done()
          question.signal.throwIfAborted()
          this.#ending.signal.throwIfAborted()
          if (error instanceof ElectionError && !hasCode(error, 'STORE_UNAVAILABLE')) throw error
          const isRead = question.body === undefined && (question.method ?? 'GET') === 'GET'
          if ((question.repeatable ?? isRead) && exchange.closedMeanwhile()) continue
          endpoints.failed(endpoint)
          // A certificate that was renewed on disk is taken up with the next connection.
          this.#reloadTls()
          failure = error
          if (exchange.sent()) throw this.#unavailable(endpoint, error)
          break
        }
      }
    }
    throw this.#unavailable(known[0], failure)
  }

  #send(endpoint: Endpoint, question: HttpQuestion, body: string): Exchange {
    const { clock, endpoints, headers } = this.#options
    const { secure, address, port, host } = endpoint
    const method = question.method ?? (question.body === undefined ? 'GET' : 'PUT')
    const servername = this.#tls?.servername ?? (isIP(host) === 0 ? host : undefined)
    const request = (secure ? secureRequest : plainRequest)({
      host: address,
      port,
      method,
      path: question.path,
      agent: secure ? this.#secureAgent : this.#agent,
      headers: {
        host: `${isIP(host) === 6 ? `[${host}]` : host}:${port}`,
        accept: 'application/json',
        ...(question.body !== undefined && { 'content-type': 'application/json' }),
        // Always: Consul takes no notice of a body without it.
        'content-length': Buffer.byteLength(body),
        ...headers?.(),
      },
      ...(secure && { ...this.#tls, ...(servername !== undefined && { servername }) }),
    })
    let sent = false
    let closed = false
    const response = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('error', (error) => {
        closed = request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '')
        reject(error)
      })
      request.on('response', (answer) => {
        // It may fail while nobody reads it.
        answer.on('error', () => undefined)
        resolve(answer)
      })
    })
    request.on('socket', (socket) => {
      if (question.waits === true) socket.unref()
      const connected = (): void => void (sent = true)
      if (socket.connecting) socket.once(secure ? 'secureConnect' : 'connect', connected)
      else if (!secure || (socket as TLSSocket).getProtocol() !== null) connected()
    })
    const abort = (signal: AbortSignal) => (): void => void request.destroy(signal.reason)
    const signals = [question.signal, this.#ending.signal].map((signal) => ({ signal, give: abort(signal) }))
    for (const { signal, give } of signals) {
      if (signal.aborted) give()
      else signal.addEventListener('abort', give)
    }
    const patienceMs = question.patienceMs ?? defaultPatienceMs
    const patience = clock.setTimer(patienceMs, () => {
      if (question.waits === true && sent) return
      endpoints.failed(endpoint)
      if (!sent) request.destroy(new Error(`no connection within ${patienceMs} ms`))
    })
    // Whoever gives it up does not look at it any more.
    response.catch(() => undefined).finally(() => patience.cancel())
    request.end(body)
    return {
      request,
      response,
      sent: () => sent,
      closedMeanwhile: () => closed,
      done: () => {
        patience.cancel()
        for (const { signal, give } of signals) signal.removeEventListener('abort', give)
      },
    }
  }

  /** What a status says, where it is no answer. */
  #judge(question: HttpQuestion, { status, text, endpoint }: HttpAnswer): void {
    if (status >= 200 && status < 300) return
    if (question.accept?.includes(status)) return
    const said = this.#said(text)
    const where = `${this.#options.store} at ${endpoint.url}`
    if (status === 401 || status === 403) {
      const needs = `it needs ${question.permission}. Is the token the right one, and has it this right?`
      throw new ElectionError('STORE_REFUSED', `${where} refuses (${status}${said}): ${needs}`, false)
    }
    if (status === 429 || status >= 500) {
      throw new ElectionError('STORE_UNAVAILABLE', `${where} cannot answer now (${status}${said})`, true)
    }
    throw new ElectionError('BAD_REPLY', `${where} answered ${status}${said}; is it ${this.#options.store}?`, true)
  }

  async #answerOf(response: IncomingMessage, endpoint: Endpoint): Promise<HttpAnswer> {
    const { store } = this.#options
    const text = await textOf(response, store)
    return {
      status: response.statusCode ?? 0,
      header: (name) => headerOf(response, name),
      text,
      json: <T>() => parse<T>(text, store),
      endpoint,
    }
  }

  async *#lines<T>(
    response: IncomingMessage,
    request: ClientRequest,
    signal: AbortSignal,
  ): AsyncGenerator<T, void, undefined> {
    const { store } = this.#options
    const signals = [signal, this.#ending.signal]
    const give = (): void => void request.destroy()
    for (const each of signals) each.addEventListener('abort', give)
    let rest = ''
    try {
      for (const each of signals) each.throwIfAborted()
      response.setEncoding('utf8')
      for await (const part of response as AsyncIterable<string>) {
        const lines = (rest + part).split('\n')
        rest = lines.pop()!
        if (rest.length > maxReplyBytes) throw this.#badReply(`sent a line of more than ${maxReplyBytes} bytes`)
        for (const line of lines) if (line.trim() !== '') yield parse<T>(line, store)
      }
      if (rest.trim() !== '') yield parse<T>(rest, store)
    } catch (error) {
      for (const each of signals) each.throwIfAborted()
      if (error instanceof ElectionError) throw error
      throw new ElectionError('STORE_UNAVAILABLE', `a stream of ${store} broke off`, true, { cause: error })
    } finally {
      for (const each of signals) each.removeEventListener('abort', give)
      request.destroy()
    }
  }

  #unavailable(endpoint: Endpoint, error: unknown): ElectionError {
    // An answer that says so has its own words.
    if (error instanceof ElectionError) return error
    const { message, code } = error as NodeJS.ErrnoException
    const why = this.#said(message || code || 'no reason given')
    const said = `${this.#options.store} at ${endpoint.url} cannot be reached${why}`
    return new ElectionError('STORE_UNAVAILABLE', said, true, { cause: error })
  }

  #badReply(what: string): ElectionError {
    return new ElectionError('BAD_REPLY', `${this.#options.store} ${what}`, true)
  }

  /** What somebody said, short, on one line and without our secrets. */
  #said(text: string): string {
    const secrets = Object.values(this.#options.headers?.() ?? {}).flatMap((value) => [value, ...value.split(' ')])
    let said = text.slice(0, maxSaid + Math.max(0, ...secrets.map(({ length }) => length)))
    for (const secret of secrets) if (secret.length >= 6) said = said.replaceAll(secret, '…')
    said = said.replaceAll(/\s+/g, ' ').trim().slice(0, maxSaid)
    return said === '' ? '' : `: ${said}`
  }

  #reloadTls(): void {
    try {
      this.#tls = readTls(this.#options.tls)
    } catch {
      // Half written, perhaps: what was read before goes on to count.
    }
  }
}

/** One question that was sent, or is about to be. */
interface Exchange {
  readonly request: ClientRequest
  readonly response: Promise<IncomingMessage>
  /** Whether the server may have got it: a connection stood. */
  readonly sent: () => boolean
  /** Whether it failed only because the server had closed a kept connection. */
  readonly closedMeanwhile: () => boolean
  /** Nothing listens or waits for it any more. */
  readonly done: () => void
}

function headerOf(response: IncomingMessage, name: string): string | undefined {
  const value = response.headers[name]
  return Array.isArray(value) ? value[0] : value
}

/** Everything an answer says. @throws ElectionError `BAD_REPLY` where it says too much */
async function textOf(response: IncomingMessage, store: string): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > maxReplyBytes) {
      response.destroy()
      const said = `${store} sent more than ${maxReplyBytes} bytes; do its members publish too much?`
      throw new ElectionError('BAD_REPLY', said, true)
    }
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

/** @throws ElectionError `BAD_REPLY` */
function parse<T>(text: string, store: string): T {
  try {
    return JSON.parse(text) as T
  } catch (error) {
    throw new ElectionError('BAD_REPLY', `${store} answered what is no JSON; is something between us and it?`, true, {
      cause: error,
    })
  }
}

/** @throws ElectionError `OPTION_INVALID` */
function readTls({ ca, cert, key, servername }: TlsOptions = {}): RequestOptions {
  if ((cert === undefined) !== (key === undefined)) {
    throw new ElectionError('OPTION_INVALID', 'tls.cert and tls.key go together; give both or neither', false)
  }
  return {
    ...(ca !== undefined && { ca: readPem(ca, 'ca') }),
    ...(cert !== undefined && { cert: readPem(cert, 'cert') }),
    ...(key !== undefined && { key: readPem(key, 'key') }),
    ...(servername !== undefined && { servername }),
  }
}

/** @throws ElectionError `OPTION_INVALID` */
function readPem(textOrFile: string, option: string): string {
  if (textOrFile.includes('-----BEGIN ')) return textOrFile
  try {
    const text = readFileSync(textOrFile, 'utf8')
    if (text.includes('-----BEGIN ')) return text
  } catch (error) {
    const said = `tls.${option} is no PEM text, and the file it names cannot be read`
    throw new ElectionError('OPTION_INVALID', said, false, { cause: error })
  }
  throw new ElectionError('OPTION_INVALID', `the file that tls.${option} names holds no PEM text`, false)
}
