/** Riemann's protocol over streams: TCP, and TLS over it. */
import { createServer } from 'node:net'
import { Connection, type ConnectionHost } from './connection.ts'
import { StreamListener, type StreamListenerOptions } from './stream-listener.ts'

/** A listener of Riemann's protocol. */
export type RiemannListener = StreamListener<Connection>

type Shared = 'open' | 'telemetry' | 'clock' | 'maxConnections'

/** What a listener of Riemann's protocol does with its connections, whatever they come over. */
export function riemannConnections(
  host: ConnectionHost,
  maxConnections: number,
): Pick<StreamListenerOptions<Connection>, Shared> {
  const { telemetry, clock } = host
  return { open: (socket, peer) => new Connection(socket, peer, host), telemetry, clock, maxConnections }
}

/** The Riemann TCP listener. */
export function tcpListener(host: ConnectionHost, maxConnections: number): RiemannListener {
  return new StreamListener({
    ...riemannConnections(host, maxConnections),
    name: 'Riemann TCP',
    serve: (accept) => createServer({ allowHalfOpen: true }, accept),
  })
}
