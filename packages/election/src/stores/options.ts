/** What the options of several stores have in common. */
import { systemClock } from '../clock.ts'
import { Endpoints, systemResolver } from '../endpoints.ts'
import { ElectionError } from '../errors.ts'
import type { Json } from '../store.ts'

/** How much a member may publish, in bytes of JSON: everybody reads it with every confirm. */
const maxDataBytes = 16 * 1024

/** A store's options, of which its addresses may be all that is given. */
export function optionsOf<Options extends { readonly addresses?: string | readonly string[] }>(
  given: string | readonly string[] | Options,
): Options | { readonly addresses: string | readonly string[] } {
  const isAddress = typeof given === 'string' || Array.isArray(given)
  return isAddress ? { addresses: given as string | readonly string[] } : (given as Options)
}

/** The addresses of a store, found by this machine. @throws ElectionError `OPTION_INVALID` */
export function endpointsOf(addresses: string | readonly string[], port: number): Endpoints {
  return new Endpoints(addresses, { port, resolver: systemResolver, clock: systemClock, random: Math.random })
}

/** What all keys begin with. @throws ElectionError `OPTION_INVALID` */
export function prefixOf(given = 'election'): string {
  if (/^[\w.@:-]+(\/[\w.@:-]+)*$/.test(given) && given.length <= 200) return given
  throw invalid(`prefix is ${JSON.stringify(given)}; use letters, digits and . _ - : @, with / in between`)
}

/** @throws ElectionError `OPTION_INVALID` where a member wants to publish too much */
export function assertPublishable(id: string, data: Json): void {
  const bytes = Buffer.byteLength(JSON.stringify(data))
  if (bytes <= maxDataBytes) return
  throw invalid(`a member may publish ${maxDataBytes} bytes, and ${id} wants to publish ${bytes}`)
}

/** An option that cannot be. */
export function invalid(message: string): ElectionError {
  return new ElectionError('OPTION_INVALID', message, false)
}
