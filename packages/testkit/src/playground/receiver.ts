/**
 * Who is paged: a webhook that knows a page again by its key, as a pager does, so that people are told of it once; what comes again is counted. It answers at
 * once, unlike that of the faults (`faults/pager.ts`).
 */
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** Keys known again: a page is sent again within a minute or two, and there are a few each second at most. */
const keptKeys = 10_000
/** A page of ours is far smaller. */
const maxBodyBytes = 1024 * 1024

/** A page, told for the first time. */
export interface Page {
  readonly action: string
  readonly rule: string
  readonly host: string
  /** Which instance sent it. */
  readonly by: string
}

export class Receiver {
  /** What came once more under the key of a page that was told. */
  repeats = 0
  private readonly keys = new Set<string>()

  private constructor(
    private readonly server: Server,
    private readonly onPage: (page: Page) => void,
  ) {
    server.on('request', (request, response) => {
      void this.take(request).then((status) => response.writeHead(status).end())
    })
  }

  /** Listens on a port of its own. */
  static async start(onPage: (page: Page) => void): Promise<Receiver> {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new Receiver(server, onPage)
  }

  /** Where an instance posts its pages to: by it they are told from another's. */
  urlFor(instance: string): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/pages/${instance}`
  }

  async close(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }

  private async take(request: IncomingMessage): Promise<number> {
    let body = ''
    try {
      for await (const chunk of request.setEncoding('utf8')) {
        body += chunk
        if (body.length > maxBodyBytes) return 413
      }
      const key = request.headers['idempotency-key']
      const { action, rule, host } = JSON.parse(body) as Record<string, unknown>
      if (![key, action, rule, host].every((text) => typeof text === 'string')) return 400
      const page = { action, rule, host, by: request.url!.split('/').at(-1)! } as Page
      if (this.isKnown(key as string)) this.repeats++
      else this.onPage(page)
      return 200
    } catch {
      return 400 // cut off in the middle, or no JSON
    }
  }

  private isKnown(key: string): boolean {
    if (this.keys.has(key)) return true
    this.keys.add(key)
    const [oldest] = this.keys
    if (this.keys.size > keptKeys) this.keys.delete(oldest)
    return false
  }
}
