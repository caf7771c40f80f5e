/** Riemann's protocol over TLS. */
import { createServer, type TlsOptions } from 'node:tls'
import { Certificates, handshakeMs, type PemFiles, type Pems } from '../server/certificates.ts'
import type { ConnectionHost } from './connection.ts'
import { StreamListener } from './stream-listener.ts'
import { riemannConnections, type RiemannListener } from './tcp.ts'

/** A listener that looks after its certificates from `listen` until `close`. */
export class TlsListener {
  readonly listener: RiemannListener
  private readonly certificates: Certificates

  /** @throws RicciError `CONFIG_INVALID` */
  constructor(host: ConnectionHost, maxConnections: number, files: PemFiles) {
    const { telemetry, clock } = host
    const certificates = new Certificates({ files, clock, telemetry })
    this.certificates = certificates
    const server = createServer({ ...secured(certificates.shown), handshakeTimeout: handshakeMs })
    certificates.serve(server, maxConnections, (pems) => server.setSecureContext(secured(pems)))
    this.listener = new StreamListener({
      ...riemannConnections(host, maxConnections),
      name: 'Riemann TLS',
      serve: (accept) =>
        server.on('secureConnection', (socket) => {
          // from here on: whoever leaves in the middle of the handshake is gone
          socket.allowHalfOpen = true
          if (certificates.shown.ca === undefined || socket.authorized) return accept(socket)
          certificates.refuse(socket, `its certificate is not accepted: ${String(socket.authorizationError)}`)
          socket.destroy()
        }),
    })
  }

  /** Listens; gives the port. @throws RicciError `LISTEN` */
  listen(host: string, port: number): Promise<number> {
    return this.listener.listen(host, port)
  }

  close(graceMs: number): Promise<void> {
    this.certificates.close()
    return this.listener.close(graceMs)
  }
}

/** Clients are asked for a certificate where somebody is known who signs them; who shows none that is good is counted, and let go of after the handshake. */
function secured(pems: Pems): TlsOptions {
  return { ...pems, requestCert: pems.ca !== undefined, rejectUnauthorized: false, minVersion: 'TLSv1.2' }
}
