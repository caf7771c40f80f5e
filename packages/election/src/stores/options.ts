/** What the options of several stores have in common. */
import { systemClock } from '../clock.ts'
import { Endpoints, systemResolver } from '../endpoints.ts'
import { invalid } from '../options.ts'

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

/** What all keys begin with: a path, and so without the parts `.` and `..`. @throws ElectionError `OPTION_INVALID` */
export function prefixOf(given = 'election'): string {
  if (/^(?!.*(^|\/)\.{1,2}(\/|$))[\w.@:-]+(\/[\w.@:-]+)*$/.test(given) && given.length <= 200) return given
  throw invalid(`prefix is ${JSON.stringify(given)}; use letters, digits and . _ - : @, with / in between`)
}
