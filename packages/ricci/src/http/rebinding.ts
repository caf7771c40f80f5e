/**
 * Who may ask by which name. A page in a browser reaches a server on loopback as well: by a name of its own that it had resolved to
 * 127.0.0.1 after it was loaded (DNS rebinding), it would even read the answers. Its requests carry that name in `Host`, so only
 * names that are this machine's are answered. What changes something is further refused to pages of other origins: they could
 * send it without reading the answer.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { bracketed } from '../config/units.ts'
import type { HttpErrorCode } from './errors.ts'

/** Why a request is refused. */
export interface Refusal {
  readonly status: number
  readonly code: HttpErrorCode | 'TOO_MANY_WATCHES'
  readonly error: string
  readonly headers?: Readonly<Record<string, string>>
}

const loopbackNames = ['localhost', '127.0.0.1', '[::1]']

/** Whether an address to listen at is this machine's alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}

/**
 * Looks at a request's names.
 * @param listenHost what the listener was told to listen at; beyond loopback the names of this machine are not known, and only
 *   `allowed` decides, if it names any
 * @param allowed further names, without a port
 * @returns undefined where there is nothing against it
 */
export function refusalOf(
  { host, origin }: IncomingHttpHeaders,
  method: string,
  listenHost: string,
  allowed: readonly string[],
): Refusal | undefined {
  if (!isLoopback(listenHost) && allowed.length === 0) return undefined
  const names = namesOf(listenHost, allowed)
  const asked = nameIn(`http://${host ?? ''}`)
  if (asked === undefined || !names.includes(asked)) {
    return {
      status: 421,
      code: 'HOST_NOT_ALLOWED',
      error: `This server is not asked by the name ${JSON.stringify(host ?? '')}; ask localhost, or add the name to http.allowedHosts in its configuration.`,
    }
  }
  if (method === 'GET' || method === 'HEAD' || origin === undefined) return undefined
  const page = nameIn(origin)
  if (page !== undefined && names.includes(page)) return undefined
  return {
    status: 403,
    code: 'ORIGIN_NOT_ALLOWED',
    error: `What changes something is not taken from a page of ${JSON.stringify(origin)}; ask with the command line, or add its host to http.allowedHosts in the configuration.`,
  }
}

/**
 * Whether a page of another origin may read what is streamed: browsers let any page open a WebSocket, and say whose it is. A page of the name that was asked
 * for may, one of this machine, and those of `allowed` names.
 */
export function mayStream(
  { host, origin }: IncomingHttpHeaders,
  listenHost: string,
  allowed: readonly string[],
): boolean {
  if (origin === undefined) return true
  const page = nameIn(origin)
  return page !== undefined && (page === nameIn(`http://${host ?? ''}`) || namesOf(listenHost, allowed).includes(page))
}

/** The headers by which a browser lets the page that asks read the answer, where it may. */
export function corsOf(
  headers: IncomingHttpHeaders,
  listenHost: string,
  allowed: readonly string[],
): Record<string, string> {
  const { origin } = headers
  if (origin === undefined || !mayStream(headers, listenHost, allowed)) return {}
  return { 'access-control-allow-origin': origin, vary: 'origin' }
}

function namesOf(listenHost: string, allowed: readonly string[]): string[] {
  return [...loopbackNames, bracketed(listenHost), ...allowed.map(bracketed)].map((name) => name.toLowerCase())
}

/** Whether this machine is asked by one of its own names on loopback, and by no page of elsewhere. */
export function asksLoopback({ host, origin }: IncomingHttpHeaders): boolean {
  const isLoopbackName = (name: string | undefined): boolean =>
    name !== undefined && (loopbackNames.includes(name) || /^127(\.\d+){3}$/.test(name))
  return isLoopbackName(nameIn(`http://${host ?? ''}`)) && (origin === undefined || isLoopbackName(nameIn(origin)))
}

/** The name in an address, lower case, without its port. */
function nameIn(address: string): string | undefined {
  return URL.canParse(address) ? new URL(address).hostname : undefined
}
