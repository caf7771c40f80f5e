/** One HTTP request on a connection of its own: nothing is left open, and a server that is gone or frozen is told within the bound. */
import { request as plainRequest } from 'node:http'
import { request as secureRequest, type RequestOptions } from 'node:https'

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  /** The text as JSON. @throws SyntaxError where it is none */
  json<T = unknown>(): T
}

export interface HttpQuestion {
  /** GET without a body, else PUT. */
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  /** Text as it is, anything else as JSON. */
  readonly body?: unknown
  /** Whom the answer may come from, and as whom to ask. */
  readonly tls?: Pick<RequestOptions, 'ca' | 'cert' | 'key'>
  /** 2 s unless told. */
  readonly timeoutMs?: number
}

/** Asks; any status is an answer. @throws Error where none came */
export async function ask(url: string, question: HttpQuestion = {}): Promise<HttpAnswer> {
  const { body, tls, timeoutMs = 2_000 } = question
  const bytes = Buffer.from(body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body))
  const send = url.startsWith('https:') ? secureRequest : plainRequest
  return new Promise((resolve, reject) => {
    const request = send(url, {
      method: question.method ?? (body === undefined ? 'GET' : 'PUT'),
      headers: { ...question.headers, 'content-length': bytes.length },
      agent: false,
      signal: AbortSignal.timeout(timeoutMs),
      ...tls,
    })
    request.on('error', reject)
    request.on('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (part: string) => (text += part))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: () => JSON.parse(text) }),
      )
    })
    request.end(bytes)
  })
}
