/** What listens for HTTP: the API with Riemann's WebSockets, and Riemann's server of server-sent events. */
import type { Clock } from '@ricci/replica'
import type { Access } from '../access/access.ts'
import type { Config } from '../config/config.ts'
import type { HttpBackend } from '../http/backend.ts'
import { HttpServer, type HttpOptions } from '../http/server.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { pemFilesOf } from './pem-files.ts'

export interface HttpListenersOptions {
  readonly config: Pick<Config, 'listen' | 'http' | 'tls'>
  readonly access: Access
  readonly version: string
  readonly backend: HttpBackend
  readonly telemetry: Telemetry
  readonly clock: Clock
}

/** Each listens where the configuration says, once; `close` ends both, and watchers with them. */
export class HttpListeners {
  private readonly api: HttpServer | undefined
  private readonly sse: HttpServer | undefined

  constructor({ config: { listen, http, tls }, ...shared }: HttpListenersOptions) {
    const { allowedHosts, requestsPerMinute } = http
    const pems = http.tls && tls !== undefined ? { pems: pemFilesOf(tls) } : {}
    const common = { ...shared, ...pems, allowedHosts, requestsPerMinute }
    const at = (
      address: Config['listen']['http'],
      more: Pick<HttpOptions, 'indexAlone'> = {},
    ): HttpServer | undefined =>
      address === undefined ? undefined : new HttpServer({ ...address, ...common, ...more })
    this.api = at(listen.http)
    this.sse = at(listen.sse, { indexAlone: true })
  }

  /** Gives the port, if it is to listen. Idempotent. @throws RicciError `LISTEN` */
  async listen(): Promise<number | undefined> {
    return this.api?.listen()
  }

  /** As {@link listen}, for server-sent events. */
  async listenForSse(): Promise<number | undefined> {
    return this.sse?.listen()
  }

  /** Connections that are open now, WebSockets among them. */
  get connections(): number {
    return (this.api?.size ?? 0) + (this.sse?.size ?? 0)
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.api?.close(), this.sse?.close()])
  }
}
