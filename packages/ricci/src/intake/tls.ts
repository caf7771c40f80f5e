/**
 * Riemann's protocol over TLS, with certificates that are looked at again and again: one that was renewed is shown to whoever connects from then on, without a
 * restart, and connections that are open stay.
 */
import { createSecureContext, createServer, type Server, type TlsOptions, type TLSSocket } from 'node:tls'
import type { Timer } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import { Handshakes } from '../server/handshakes.ts'
import type { ConnectionHost } from './connection.ts'
import { StreamListener } from './stream-listener.ts'
import { riemannConnections, type RiemannListener } from './tcp.ts'

/** Certificates as PEM text, which may be others from one look to the next. */
export interface PemFiles {
  /** For people: where they are. */
  readonly place: string
  /** @throws what they cannot be read with */
  read(): Pems
}

export interface Pems {
  readonly cert: string
  readonly key: string
  /** Of who signs the certificates that clients are to show; absent: none is asked for. */
  readonly ca?: string
}

/** How often the files are looked at: who renews a certificate does so days before the old one ends. */
const lookMs = 10_000

/** Whoever connects has so long for the handshake. */
const handshakeMs = 10_000

/** A listener that looks after its certificates from `listen` until `close`. */
export class TlsListener {
  readonly listener: RiemannListener
  private shown: Pems
  private readonly show: (pems: Pems) => void
  private timer: Timer | undefined
  private closed = false
  private readonly handshakes: Handshakes

  /** @throws RicciError `CONFIG_INVALID` */
  constructor(
    private readonly host: ConnectionHost,
    maxConnections: number,
    private readonly files: PemFiles,
  ) {
    const { server, pems } = firstServer(files)
    this.shown = pems
    this.show = (others) => server.setSecureContext(secured(others))
    this.handshakes = new Handshakes(server, maxConnections, ({ remoteAddress }) => {
      host.telemetry.connectionClosed(
        'too-many',
        String(remoteAddress),
        `${maxConnections} are in their handshake already`,
      )
    })
    const refuse = (socket: TLSSocket, why: string): void => {
      host.telemetry.malformed('tls', String(socket.remoteAddress), why)
      host.telemetry.connectionClosed('malformed', String(socket.remoteAddress), why)
    }
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const { code } = error
      // who leaves before it has said anything is a probe
      if (code === 'ECONNRESET') return
      if (code !== 'ERR_TLS_HANDSHAKE_TIMEOUT') return refuse(socket, whyNot(error))
      const why = `its handshake was not made within ${handshakeMs / 1000} s`
      host.telemetry.connectionClosed('stalled', String(socket.remoteAddress), why)
    })
    this.listener = new StreamListener({
      ...riemannConnections(host, maxConnections),
      name: 'Riemann TLS',
      serve: (accept) =>
        server.on('secureConnection', (socket) => {
          // from here on: whoever leaves in the middle of the handshake is gone
          socket.allowHalfOpen = true
          if (this.shown.ca === undefined || socket.authorized) return accept(socket)
          const why = `its certificate is not accepted: ${String(socket.authorizationError)}`
          refuse(socket, why)
          socket.destroy()
        }),
    })
  }

  /** Listens; gives the port. @throws RicciError `LISTEN` */
  async listen(host: string, port: number): Promise<number> {
    const listening = await this.listener.listen(host, port)
    this.lookLater()
    return listening
  }

  close(graceMs: number): Promise<void> {
    this.closed = true
    this.timer?.cancel()
    this.handshakes.cut()
    return this.listener.close(graceMs)
  }

  private lookLater(): void {
    if (this.closed) return
    this.timer = this.host.clock.setTimer(lookMs, () => {
      this.look()
      this.lookLater()
    })
  }

  /** Takes over what the files hold now, where that has changed and is whole: a certificate and its key are rarely written at once. */
  private look(): void {
    const { log } = this.host.telemetry
    try {
      const pems = this.files.read()
      const { cert, key, ca } = this.shown
      if (pems.cert === cert && pems.key === key && pems.ca === ca) return
      createSecureContext(secured(pems))
      this.show(pems)
      this.shown = pems
      log.info(`shows another certificate from now on, that of ${this.files.place}`)
    } catch (error) {
      log.warn(
        `the certificates of ${this.files.place} cannot be taken over (${(error as Error).message}); those read before are shown on`,
      )
    }
  }
}

/** Clients are asked for a certificate where somebody is known who signs them; who shows none that is good is counted, and let go of after the handshake. */
function secured(pems: Pems): TlsOptions {
  return { ...pems, requestCert: pems.ca !== undefined, rejectUnauthorized: false, minVersion: 'TLSv1.2' }
}

/** OpenSSL's words for bytes of another protocol: Riemann's without TLS, HTTP. */
const foreign = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_HTTP_REQUEST'])

function whyNot({ code, message }: NodeJS.ErrnoException): string {
  return foreign.has(code ?? '') ? 'it does not speak TLS, which is spoken here' : message.trim()
}

function firstServer(files: PemFiles): { readonly server: Server; readonly pems: Pems } {
  try {
    const pems = files.read()
    const server = createServer({ ...secured(pems), handshakeTimeout: handshakeMs })
    return { server, pems }
  } catch (error) {
    const why = `the certificates for TLS cannot be used (${(error as Error).message}); look at ${files.place}.`
    throw new RicciError('CONFIG_INVALID', why, { cause: error })
  }
}
