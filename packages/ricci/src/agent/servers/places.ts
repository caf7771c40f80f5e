/** Where servers are: what was given, and what DNS says of it. */
import { isIP } from 'node:net'
import { parseAddress } from '../../config/units.ts'
import type { Resolver } from '../../resolver.ts'

/** What was given: a host with its port, or the name of a service that DNS knows the servers of. */
export type ServerName =
  | { readonly kind: 'host'; readonly host: string; readonly port: number }
  | { readonly kind: 'service'; readonly name: string }

/** One server. */
export interface Place {
  /** As it was given or named by DNS: what TLS verifies. */
  readonly host: string
  /** What is connected to. */
  readonly address: string
  readonly port: number
  /** Those of a higher one are for when all of a lower one are gone (SRV). */
  readonly priority: number
}

/** More is a mistake in DNS, or a name that leads to something else. */
const maxPlaces = 64

/** `HOST:PORT`, or a name that begins with `_`, as those of SRV records do; undefined for anything else. */
export function parseServer(text: string): ServerName | undefined {
  if (/^_[^\s:]+$/.test(text)) return { kind: 'service', name: text }
  const address = parseAddress(text)
  return address === undefined || address.port === 0 ? undefined : { kind: 'host', ...address }
}

/** Whether DNS may say something else another time. */
export function needsDns(names: readonly ServerName[]): boolean {
  return names.some((name) => name.kind === 'service' || isIP(name.host) === 0)
}

/**
 * Every server that the names lead to, each once; of a name that has no answer now, those that it led to before.
 * @throws Error with a sentence when no name leads anywhere
 */
export async function findPlaces(
  names: readonly ServerName[],
  resolver: Resolver,
  before: Map<ServerName, readonly Place[]>,
): Promise<readonly Place[]> {
  const said: string[] = []
  const found = await Promise.all(
    names.map(async (name) => {
      try {
        const places = await placesOf(name, resolver)
        before.set(name, places)
        return places
      } catch (error) {
        said.push((error as Error).message)
        return before.get(name) ?? []
      }
    }),
  )
  const unique = new Map(found.flat().map((place) => [nameOf(place), place]))
  if (unique.size === 0) throw new Error(`no server is known: ${said.join('; ') || 'DNS names none'}`)
  return [...unique.values()].slice(0, maxPlaces)
}

/** For people, and to tell one from another. */
export function nameOf({ host, address, port }: Place): string {
  const at = host.includes(':') ? `[${host}]` : host
  return host === address ? `${at}:${port}` : `${at}:${port} (${address})`
}

async function placesOf(name: ServerName, resolver: Resolver): Promise<Place[]> {
  const hosts =
    name.kind === 'host' ? [{ name: name.host, port: name.port, priority: 0 }] : await resolver.services(name.name)
  const places = hosts.map(async ({ name: host, port, priority }) => {
    const addresses = isIP(host) === 0 ? await resolver.addresses(host) : [host]
    return addresses.map((address) => ({ host, address, port, priority }))
  })
  return (await Promise.all(places)).flat()
}
