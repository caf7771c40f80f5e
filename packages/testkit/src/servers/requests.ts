/** What clients ask, told from the bytes they send: enough of a protocol to count its requests, bytes passing in any pieces. */

/** Reads what one connection's client sends. */
export interface RequestReader {
  /** The next bytes; tells of each request when the last byte of its head has been seen. */
  read(bytes: Buffer): void
}

/** A protocol whose requests are counted. */
export type CountedProtocol = 'http' | 'postgres'

/** Called with what was asked: HTTP's request line without its version, e.g. `GET /v1/kv/name`; PostgreSQL's message, `Query` or `Sync`. */
export type OnRequest = (request: string) => void

/** A reader for one connection. */
export function requestReader(protocol: CountedProtocol, onRequest: OnRequest): RequestReader {
  return protocol === 'http' ? new HttpReader(onRequest) : new PostgresReader(onRequest)
}

/** Collects what tells of requests, and lets the bodies between pass. */
abstract class PassingReader<State extends string> implements RequestReader {
  /** Of a body, what has not come yet. */
  protected leftBytes = 0

  constructor(
    protected state: State | 'body' | 'opaque',
    protected readonly onRequest: OnRequest,
  ) {}

  read(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && this.state !== 'opaque') {
      if (this.state === 'body') {
        const passing = Math.min(this.leftBytes, bytes.length - at)
        at += passing
        this.leftBytes -= passing
        if (this.leftBytes === 0) this.state = this.afterBody()
      } else at += this.collect(bytes.subarray(at))
    }
  }

  /** What comes after a body. */
  protected abstract afterBody(): State

  /** Takes bytes that are none of a body's; gives how many. */
  protected abstract collect(more: Buffer): number
}

/** No head is longer; what is, is no HTTP. */
const maxHeadBytes = 64 * 1024
const lineEnd = '\r\n'
const headEnd = '\r\n\r\n'

/**
 * HTTP/1.1 with keep-alive: heads, and bodies by Content-Length or in chunks. In `head` and `chunk` a text is collected up to its end, in
 * `body` bytes pass; `opaque` is what is no HTTP, e.g. TLS, of which nothing more is told.
 */
class HttpReader extends PassingReader<'head' | 'chunk' | 'trailer'> {
  /** Of a head or a chunk's first line, as far as it has come. */
  private text = ''
  private chunked = false

  constructor(onRequest: OnRequest) {
    super('head', onRequest)
  }

  protected afterBody(): 'chunk' | 'head' {
    return this.chunked ? 'chunk' : 'head'
  }

  /** Adds to the text up to its end. */
  protected collect(more: Buffer): number {
    const end = this.state === 'head' ? headEnd : lineEnd
    const before = this.text.length
    const text = this.text + more.toString('latin1')
    const found = text.indexOf(end)
    if (found < 0) {
      this.text = text
      if (text.length > maxHeadBytes) this.state = 'opaque'
      return more.length
    }
    this.text = ''
    const complete = text.slice(0, found)
    if (this.state === 'head') this.head(complete)
    else if (this.state === 'trailer') this.state = complete === '' ? 'head' : 'trailer'
    else this.chunk(complete)
    return found + end.length - before
  }

  private head(head: string): void {
    const [, request] = /^([A-Z]+ \S+) HTTP\/1\.[01]\r?$/m.exec(head) ?? []
    if (request === undefined) {
      this.state = 'opaque'
      return
    }
    this.chunked = /^transfer-encoding:.*chunked/im.test(head)
    this.leftBytes = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0)
    this.state = this.chunked ? 'chunk' : this.leftBytes > 0 ? 'body' : 'head'
    this.onRequest(request)
  }

  private chunk(line: string): void {
    if (line === '') return // what follows a chunk's bytes
    const size = Number.parseInt(line, 16)
    if (Number.isNaN(size)) this.state = 'opaque'
    else if (size === 0) this.state = 'trailer'
    else {
      this.leftBytes = size
      this.state = 'body'
    }
  }
}

/** A message's length counts its own 4 bytes, not the byte of the type before it. */
const lengthBytes = 4
/** The first byte of TLS: a connection that is encrypted from here on. */
const tlsHandshake = 0x16
/** Codes of what comes before a start: requests for encryption, after whose answer the client goes on as if anew. */
const encryptionRequests = [80_877_103, 80_877_104]
/** Messages that the server answers and the client waits for: a simple query, the end of an extended one, a function call. */
const roundTrips: Readonly<Record<string, string>> = { Q: 'Query', S: 'Sync', F: 'FunctionCall' }

/**
 * PostgreSQL's protocol 3: a start without a type, then messages of a type's byte and a length. In `start` and `message` a header is
 * collected, in `body` bytes pass; of what is encrypted nothing is told.
 */
class PostgresReader extends PassingReader<'start' | 'message'> {
  private header = Buffer.alloc(0)
  private started = false

  constructor(onRequest: OnRequest) {
    super('start', onRequest)
  }

  protected afterBody(): 'message' | 'start' {
    return this.started ? 'message' : 'start'
  }

  protected collect(more: Buffer): number {
    const wanted = this.state === 'start' ? 2 * lengthBytes : 1 + lengthBytes
    const taken = Math.min(wanted - this.header.length, more.length)
    this.header = Buffer.concat([this.header, more.subarray(0, taken)])
    if (this.state === 'start' && this.header[0] === tlsHandshake) this.state = 'opaque'
    else if (this.header.length === wanted) {
      const header = this.header
      this.header = Buffer.alloc(0)
      if (this.state === 'start') this.start(header.readUInt32BE(0), header.readUInt32BE(lengthBytes))
      else this.message(String.fromCharCode(header[0]), header.readUInt32BE(1))
    }
    return taken
  }

  private start(length: number, code: number): void {
    this.started = !encryptionRequests.includes(code)
    this.pass(length - 2 * lengthBytes)
  }

  private message(type: string, length: number): void {
    this.pass(length - lengthBytes)
    const request = roundTrips[type]
    if (request !== undefined) this.onRequest(request)
  }

  private pass(bytes: number): void {
    this.leftBytes = bytes
    this.state = bytes > 0 ? 'body' : this.afterBody()
  }
}
