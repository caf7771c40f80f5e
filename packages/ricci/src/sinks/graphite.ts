/** Graphite: lines over TCP. Definition: Graphite's documentation, "Feeding In Your Data", "Graphite Tag Support". */
import { connect } from 'node:net'
import type { FlowRequest, FlowResult } from '@ricci/replica'
import { z } from 'zod'
import { pointsOf, type Point } from './events.ts'
import { failed, notBegun, sinkKind } from './kind.ts'

interface Settings {
  readonly address: { readonly host: string; readonly port: number }
  readonly prefix: string
  readonly tags: boolean
}

export const graphiteSinkKind = sinkKind({
  type: 'graphite',
  settings: (fields) => ({
    address: fields.requiredAddress("where it is, `host:port`; Graphite's usual port is 2003"),
    prefix: z.string().default('').describe('what stands before every path, like `ricci.`'),
    tags: z
      .boolean()
      .default(true)
      .describe(
        '`service;host=…;rack=…` with host and attributes as tags, which Graphite knows from 1.1 on; else `host.service`',
      ),
  }),
  sink: (settings) => ({
    gatherMs: 1_000,
    requestEvents: 4_096,
    send: (request, mayStart, signal) => sendLines(request, settings, mayStart, signal),
  }),
})

/**
 * Graphite answers nothing. So each request has a connection of its own, whose end is sent behind its lines: a server that closes its side
 * in turn has read all of them. A connection that ends otherwise has its lines sent again, which a store of points does not notice.
 */
function sendLines(
  { batches }: FlowRequest,
  settings: Settings,
  mayStart: () => boolean,
  signal: AbortSignal,
): Promise<FlowResult> {
  const lines = pointsOf(batches).map((point) => lineOf(point, settings))
  const through = batches[batches.length - 1].position
  if (lines.length === 0) return Promise.resolve({ through })
  const { host, port } = settings.address
  return new Promise((resolve) => {
    const socket = connect({ host, port, noDelay: true })
    let isSent = false
    const end = (result: FlowResult): void => {
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      resolve(result)
    }
    const onAbort = (): void =>
      end(failed(isSent ? 'it did not close the connection in time' : 'no connection in time'))
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) return onAbort()
    socket.on('error', (error) => end(failed(error.message)))
    socket.on('connect', () => {
      if (!mayStart()) return end(notBegun)
      isSent = true
      socket.end(lines.join(''))
    })
    // what it says is of no use, but must be read for its end to be seen
    socket.resume()
    socket.on('end', () => {
      // before our own end was sent it cannot have seen it
      end(socket.writableFinished ? { through } : failed('it closed the connection before it had read all'))
    })
    socket.on('close', () => end(failed('the connection ended')))
  })
}

export function lineOf(
  { event, service, metric, seconds }: Point,
  { prefix, tags }: Pick<Settings, 'prefix' | 'tags'>,
): string {
  const host = event.host ?? ''
  if (!tags) {
    // a host's dots would be levels of their own
    const path = [host.replaceAll('.', '_'), service].filter((part) => part !== '').map(pathOf)
    return `${pathOf(prefix)}${path.join('.')} ${metric} ${seconds}\n`
  }
  const named = Object.entries({ ...event.attributes, ...(host !== '' && { host }) })
  const shown = named.flatMap(([name, value]) => {
    const text = tagValue(value)
    const key = tagName(name)
    return text === '' || key === '' || key === 'name' ? [] : [`;${key}=${text}`]
  })
  return `${pathOf(prefix)}${pathOf(service)}${shown.join('')} ${metric} ${seconds}\n`
}

/** A service with spaces is a path of its words, as Riemann writes it. */
function pathOf(text: string): string {
  return text.replaceAll(/\s+/g, '.').replaceAll(/[;!^=~\p{Cc}]/gu, '_')
}

function tagName(text: string): string {
  return text.replaceAll(/[;!^=\s\p{Cc}]/gu, '_')
}

function tagValue(text: string): string {
  return text.replaceAll(/[;\s\p{Cc}]/gu, '_').replace(/^~+/, '')
}
