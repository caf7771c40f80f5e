/** Watches over plain HTTP: server-sent events, or a JSON text a line. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { JsonShape } from '../server/worker-protocol.ts'
import type { PagePlaces, WatchPage } from './backend.ts'
import { placedText, type Places, type Told } from './places.ts'
import { tell, type Outlet } from './watching.ts'

/** A watcher without an event is sent a sign of life, so that proxies keep the connection and clients notice a dead one. */
export const heartbeatMs = 15_000

/** What a watcher that was closed may leave unread, before its connection is cut. */
const lingerMs = 30_000

/** How a stream is written. */
export interface StreamForm {
  readonly sse: boolean
  readonly shape: JsonShape
  /** Said with each server-sent event; to others only where they asked to go on from somewhere. */
  readonly places: Places
  readonly saysPlaces: boolean
  readonly headers?: Readonly<Record<string, string>>
}

/** The headers that a stream begins with. */
export function streamHeaders({ sse, headers }: StreamForm): Record<string, string> {
  return {
    'content-type': sse ? 'text/event-stream; charset=utf-8' : 'application/x-ndjson; charset=utf-8',
    'cache-control': 'no-store',
    ...headers,
  }
}

/** Streams until the peer goes or the signal aborts; the reply is then over. */
export async function stream(
  reply: FastifyReply,
  pages: AsyncIterable<WatchPage>,
  form: StreamForm,
  until: AbortSignal,
): Promise<void> {
  reply.hijack()
  const { raw } = reply
  raw.writeHead(200, { ...streamHeaders(form), connection: 'close' })
  raw.flushHeaders() // the first event may take hours
  const heartbeat = form.sse ? ': \n\n' : '\n'
  const timer = setInterval(() => {
    // who does not read what there is need not be kept awake, and each sign would stay in memory
    if (!raw.writableNeedDrain) raw.write(heartbeat)
  }, heartbeatMs)
  try {
    await tell(pages, new ResponseOutlet(raw, form), form.shape, until)
  } catch {
    // the peer went, or we close
  } finally {
    clearInterval(timer)
    raw.end()
    raw.setTimeout(lingerMs, () => raw.destroy())
  }
}

class ResponseOutlet implements Outlet {
  constructor(
    private readonly raw: ServerResponse,
    private readonly form: StreamForm,
  ) {}

  write(lines: Uint8Array, at?: PagePlaces): boolean {
    const { sse, saysPlaces, places } = this.form
    if (!sse && !saysPlaces) return lines.length === 0 || this.raw.write(lines)
    const told = places.along(lines, at)
    const text = told.map(sse ? serverSentEvent : (one) => `${placedText(one)}\n`).join('')
    return text === '' || this.raw.write(Buffer.from(text, 'latin1'))
  }

  async drained(signal: AbortSignal): Promise<void> {
    await once(this.raw, 'drain', { signal })
  }
}

/** An event with the place after it as its id; without a line it tells nobody, but who comes again says the id. */
function serverSentEvent({ line, token }: Told): string {
  return `${token === undefined ? '' : `id: ${token}\n`}${line === undefined ? '' : `data: ${line}\n`}\n`
}
