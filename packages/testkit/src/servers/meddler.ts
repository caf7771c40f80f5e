/** Something between a client and an HTTP server that changes what they say, as proxies do that mean well, and counts what is asked. */
import { once } from 'node:events'
import { createServer, request as send, type IncomingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request on its way to the server. */
export interface MeddledRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly body: string
  /** Sent on in chunks instead of with its length. */
  readonly chunked?: boolean
}

/** An answer on its way to the client. */
export interface MeddledAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Passes on everything as it is, unless it is told otherwise. Answers are passed on once they are complete: not for streams. */
export class HttpMeddler {
  /** What was asked so far, e.g. `GET /v1/kv/x?recurse`. */
  readonly asked: string[] = []
  /** Changes a request. */
  onRequest: (request: MeddledRequest) => MeddledRequest = (request) => request
  /** Changes an answer; `lost`: the client's connection breaks instead. */
  onAnswer: (request: MeddledRequest, answer: MeddledAnswer) => MeddledAnswer | 'lost' = (_request, answer) => answer

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  /** @param target of the server, without a slash at its end */
  static async start(target: string): Promise<HttpMeddler> {
    const server = createServer()
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const meddler = new HttpMeddler(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`)
    server.on('request', async (incoming, outgoing) => {
      const { method = 'GET', url = '/', headers } = incoming
      meddler.asked.push(`${method} ${url}`)
      let body = ''
      try {
        for await (const part of incoming) body += part
        const request = meddler.onRequest({ method, path: url, body })
        const abort = new AbortController()
        outgoing.on('close', () => abort.abort())
        const answer = meddler.onAnswer(request, await forward(target, request, headers, abort.signal))
        if (answer === 'lost') incoming.socket.resetAndDestroy()
        else {
          const { 'content-length': _, 'transfer-encoding': __, ...rest } = answer.headers
          outgoing.writeHead(answer.status, rest).end(answer.body)
        }
      } catch {
        incoming.socket.destroy()
      }
    })
    return meddler
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    this.server.close()
    await once(this.server, 'close')
  }
}

function forward(
  target: string,
  { method, path, body, chunked = false }: MeddledRequest,
  headers: IncomingHttpHeaders,
  signal: AbortSignal,
): Promise<MeddledAnswer> {
  const { 'content-length': _, ...rest } = headers
  const length = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const request = send(target + path, { method, headers: { ...rest, ...length }, agent: false, signal })
    request.on('error', reject)
    request.on('response', async (response) => {
      let text = ''
      response.setEncoding('utf8')
      try {
        for await (const part of response) text += part
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
      } catch (error) {
        reject(error)
      }
    })
    request.end(body)
  })
}
