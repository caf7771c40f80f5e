// Node's own client: undici, which the receivers use, takes 20 MB of memory, a quarter of what the agent may have.
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { bytesText } from '../probe.ts'

export interface BodyRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Sent to the URL's own origin and to no other that it redirects to. */
  readonly token?: string
  /** Certificates in PEM of the authorities that vouch for the other side, instead of the usual ones. */
  readonly ca?: string
  /** Of the body, unpacked. */
  readonly maxBytes: number
}

export interface Body {
  readonly contentType: string
  readonly bytes: Buffer
}

/** There was no usable answer; the message says why. */
export class FetchError extends Error {
  override readonly name = 'FetchError'
}

/** An exporter that moved says so once; a proxy before it may say so, too. */
const maxRedirects = 3

/** As many as servers themselves accept. */
const maxHeaderBytes = 16_384

/**
 * Gets what is there, over a connection of its own: one that was kept may just have been closed by the other side, and the exporter would be called dead.
 * @param signal ends it, connection and all; who gives it keeps the time
 * @throws FetchError
 */
export async function fetchBody(request: BodyRequest, signal: AbortSignal): Promise<Body> {
  let url = new URL(request.url)
  for (let redirects = 0; ; redirects++) {
    const answer = await getOnce(url, request, signal)
    if (!('location' in answer)) return answer
    if (redirects === maxRedirects) throw new FetchError(`more than ${maxRedirects} redirects`)
    url = redirected(url, answer.location)
  }
}

function redirected(from: URL, location: string): URL {
  let url: URL
  try {
    url = new URL(location, from)
  } catch {
    throw new FetchError('it redirects to what is no URL')
  }
  if (url.protocol === 'https:' || url.protocol === from.protocol) return url
  throw new FetchError(`it redirects to ${url.protocol.slice(0, -1)}, which is less safe`)
}

async function getOnce(
  url: URL,
  request: BodyRequest,
  signal: AbortSignal,
): Promise<Body | { readonly location: string }> {
  let response: IncomingMessage | undefined
  try {
    response = await responseOf(url, request, signal)
    // whoever reads it hears of it besides, and where nobody does it is of no interest
    response.on('error', () => undefined)
    const { statusCode = 0, headers } = response
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) return { location: headers.location }
    if (statusCode !== 200) throw new FetchError(`HTTP ${statusCode}`)
    const packed = /^gzip$/i.test(headers['content-encoding'] ?? '')
    const body = packed ? pipeline(response, createGunzip(), () => undefined) : response
    return { contentType: headers['content-type'] ?? '', bytes: await collect(body, request.maxBytes) }
  } catch (error) {
    throw error instanceof FetchError ? error : new FetchError(reason(error as Error), { cause: error })
  } finally {
    // and its connection with it
    response?.destroy()
  }
}

function responseOf(
  url: URL,
  { url: asked, headers, token, ca }: BodyRequest,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const isOwn = url.origin === new URL(asked).origin
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp
    const request = send(url, {
      agent: false,
      ca,
      maxHeaderSize: maxHeaderBytes,
      signal,
      headers: {
        ...headers,
        'user-agent': 'ricci',
        'accept-encoding': 'gzip',
        ...(token !== undefined && isOwn && { authorization: `Bearer ${token}` }),
      },
    })
    request.on('response', resolve)
    // also once it was answered: then it is told by the response, too
    request.on('error', reject)
    request.end()
  })
}

async function collect(stream: AsyncIterable<Buffer>, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of stream) {
    size += chunk.length
    if (size > maxBytes) throw new FetchError(`the answer is larger than ${bytesText(maxBytes)}`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, size)
}

/** An error's own words with its code, and its first cause where it only wraps several. */
function reason(error: Error): string {
  const inner = error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as Error) : error
  const { code } = inner as NodeJS.ErrnoException
  return code === undefined || inner.message.includes(code) ? inner.message : `${inner.message} (${code})`
}
