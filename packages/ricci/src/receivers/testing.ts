/** What the tests of receivers share: a page, and servers that answer as told. */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import type { Clock, SendRequest, Timer } from '@ricci/replica'

export const page: SendRequest = {
  receiver: 'oncall',
  idempotencyKey: 'log-1/0/17/0/9a8b',
  dedupKey: 'log-1/0/12/0/1234',
  action: 'trigger',
  severity: 'critical',
  summary: '0.97 for 30 s',
  host: 'web-7',
  service: 'cpu',
  rule: 'cpu-high',
  decidedAtMs: Date.UTC(2026, 10, 21, 12, 0, 1, 500),
  provenance: { events: [{ host: 'web-7' }] },
  possibleRepeat: false,
}

/** A clock that only the test moves; its wall clock begins at 2026-11-21 12:00 UTC. */
export class TestClock implements Clock {
  readonly #timers = new Map<object, { readonly atMs: number; readonly callback: () => void }>()
  #nowMs = 0

  monotonicMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return Date.UTC(2026, 10, 21, 12) + this.#nowMs
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    const timer = { cancel: () => void this.#timers.delete(timer) }
    this.#timers.set(timer, { atMs: this.#nowMs + delayMs, callback })
    return timer
  }

  /** Timers set and neither run nor cancelled. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  /** Moves the clock and runs what is due. */
  advance(ms: number): void {
    this.#nowMs += ms
    for (const [timer, { atMs, callback }] of this.#timers) {
      if (atMs > this.#nowMs) continue
      this.#timers.delete(timer)
      callback()
    }
  }
}

/** Starts an HTTP server for one test; gives its URL. */
export async function httpServer(t: TestContext, listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  t.after(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?a=1`
}

/** Starts a server of raw sockets for one test; gives an HTTP URL that leads to it. */
export async function rawServer(t: TestContext, onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** A request's whole body as text. */
export async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text
}
