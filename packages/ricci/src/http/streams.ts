/** Watches over plain HTTP: server-sent events, or a JSON text a line. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { JsonShape } from '../server/worker-protocol.ts'
import type { WatchPage } from './backend.ts'
import { tell, type Outlet } from './watching.ts'

/** A watcher without an event is sent a sign of life, so that proxies keep the connection and clients notice a dead one. */
export const heartbeatMs = 15_000

/** What a watcher that was closed may leave unread, before its connection is cut. */
const lingerMs = 30_000

/** How a stream is written. */
export interface StreamForm {
  readonly sse: boolean
  readonly shape: JsonShape
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

/**
 * Streams until the peer goes or the signal aborts; the reply is then over.
 * @returns whether it was because the peer reads too slowly
 */
export async function stream(
  reply: FastifyReply,
  pages: AsyncIterable<WatchPage>,
  form: StreamForm,
  until: AbortSignal,
  stalledReadMs: number,
): Promise<boolean> {
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
    return await tell(pages, new ResponseOutlet(raw, form.sse), form.shape, until, stalledReadMs)
  } catch {
    // the peer went, or we close
    return false
  } finally {
    clearInterval(timer)
    raw.end()
    raw.setTimeout(lingerMs, () => raw.destroy())
  }
}

class ResponseOutlet implements Outlet {
  constructor(
    private readonly raw: ServerResponse,
    private readonly sse: boolean,
  ) {}

  write(lines: Uint8Array): boolean {
    return this.raw.write(this.sse ? serverSentEvents(lines) : lines)
  }

  async drained(signal: AbortSignal): Promise<void> {
    await once(this.raw, 'drain', { signal })
  }
}

/** Each line as a server-sent event. No JSON text has a newline inside. */
function serverSentEvents(lines: Uint8Array): Buffer {
  const parts: Uint8Array[] = []
  for (let from = 0; from < lines.length;) {
    const end = lines.indexOf(newline, from) + 1
    parts.push(dataField, lines.subarray(from, end), emptyLine)
    from = end
  }
  return Buffer.concat(parts)
}

const newline = 0x0a
const dataField = Buffer.from('data: ')
const emptyLine = Buffer.from('\n')
