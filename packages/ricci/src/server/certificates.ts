/**
 * Certificates that are looked at again and again: one that was renewed is shown to whoever connects from then on, without a restart, and connections that
 * are open stay.
 */
import { createSecureContext, type Server, type TLSSocket } from 'node:tls'
import type { Clock, Timer } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { Handshakes } from './handshakes.ts'

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
export const handshakeMs = 10_000

export interface CertificatesOptions {
  readonly files: PemFiles
  readonly clock: Clock
  readonly telemetry: Pick<Telemetry, 'log' | 'malformed' | 'connectionClosed'>
}

/** Those of one server, from {@link Certificates.serve} until `close`. */
export class Certificates {
  /** Those that are shown now. */
  shown: Pems
  private timer: Timer | undefined
  private closed = false
  private handshakes: Handshakes | undefined

  /** @throws RicciError `CONFIG_INVALID` */
  constructor(private readonly options: CertificatesOptions) {
    const { files } = options
    try {
      this.shown = files.read()
      createSecureContext(this.shown)
    } catch (error) {
      const why = `the certificates for TLS cannot be used (${(error as Error).message}); look at ${files.place}.`
      throw new RicciError('CONFIG_INVALID', why, { cause: error })
    }
  }

  /** Looks after a server that was made with those shown: its handshakes, and what it shows from now on. */
  serve(server: Server, maxHandshakes: number, show: (pems: Pems) => void): void {
    const { telemetry } = this.options
    this.handshakes = new Handshakes(server, maxHandshakes, ({ remoteAddress }) => {
      const why = `${maxHandshakes} are in their handshake already`
      telemetry.connectionClosed('too-many', String(remoteAddress), why)
    })
    server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
      const { code } = error
      // who leaves before it has said anything is a probe
      if (code === 'ECONNRESET') return
      if (code !== 'ERR_TLS_HANDSHAKE_TIMEOUT') return this.refuse(socket, whyNot(error))
      const why = `its handshake was not made within ${handshakeMs / 1000} s`
      telemetry.connectionClosed('stalled', String(socket.remoteAddress), why)
    })
    server.once('listening', () => this.lookLater(show))
  }

  /** Counts who is let go of. */
  refuse({ remoteAddress }: TLSSocket, why: string): void {
    const { telemetry } = this.options
    telemetry.malformed('tls', String(remoteAddress), why)
    telemetry.connectionClosed('malformed', String(remoteAddress), why)
  }

  /** Idempotent. */
  close(): void {
    this.closed = true
    this.timer?.cancel()
    this.handshakes?.cut()
  }

  private lookLater(show: (pems: Pems) => void): void {
    if (this.closed) return
    this.timer = this.options.clock.setTimer(lookMs, () => {
      this.look(show)
      this.lookLater(show)
    })
  }

  /** Takes over what the files hold now, where that has changed and is whole: a certificate and its key are rarely written at once. */
  private look(show: (pems: Pems) => void): void {
    const { files, telemetry } = this.options
    try {
      const pems = files.read()
      const { cert, key, ca } = this.shown
      if (pems.cert === cert && pems.key === key && pems.ca === ca) return
      createSecureContext(pems)
      show(pems)
      this.shown = pems
      telemetry.log.info(`shows another certificate from now on, that of ${files.place}`)
    } catch (error) {
      telemetry.log.warn(
        `the certificates of ${files.place} cannot be taken over (${(error as Error).message}); those read before are shown on`,
      )
    }
  }
}

/** OpenSSL's words for bytes of another protocol: Riemann's without TLS, HTTP. */
const foreign = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_HTTP_REQUEST'])

function whyNot({ code, message }: NodeJS.ErrnoException): string {
  return foreign.has(code ?? '') ? 'it does not speak TLS, which is spoken here' : message.trim()
}
