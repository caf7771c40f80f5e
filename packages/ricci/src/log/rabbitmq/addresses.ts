/** Where brokers are: what was given, and what DNS says of it. */
import { isIP } from 'node:net'
import type { Resolver } from '../../resolver.ts'
import { maxBrokers } from './limits.ts'

/** A broker: its URL, with the name that TLS verifies, and the address that is connected to; without one the name is looked up anew each time. */
export interface Address {
  readonly url: string
  readonly address: string | undefined
}

/** Whether two are the same broker. */
export function sameAddress(a: Address, b: Address): boolean {
  return a.url === b.url && a.address === b.address
}

/** Whether DNS may say something else another time. */
export function needsDns(urls: readonly string[]): boolean {
  return urls.some((url) => isService(url) || isIP(hostOf(new URL(url))) === 0)
}

/**
 * The brokers that were given, in their order, each by all its addresses; `amqp+srv://` or `amqps+srv://USER:PASSWORD@NAME/VHOST` are those that
 * DNS names, by priority. Of a name that has no answer now the last one counts.
 * @param before what this gave the last time, by URL
 */
export async function findBrokers(
  urls: readonly string[],
  resolver: Resolver,
  before: ReadonlyMap<string, readonly Address[]>,
): Promise<Map<string, readonly Address[]>> {
  const found = await Promise.all(
    urls.map(async (url): Promise<readonly Address[]> => {
      try {
        return await addressesOf(url, resolver)
      } catch (error) {
        const last = before.get(url)
        if (last !== undefined) return last
        if (isService(url)) throw new Error(`DNS names no brokers: ${(error as Error).message}`, { cause: error })
        return [{ url, address: undefined }]
      }
    }),
  )
  return new Map(urls.map((url, index) => [url, found[index]]))
}

/** All of them, each once. */
export function distinct(found: ReadonlyMap<string, readonly Address[]>): Address[] {
  const unique = new Map<string, Address>()
  for (const address of [...found.values()].flat()) {
    const name = `${address.url} ${address.address}`
    if (!unique.has(name)) unique.set(name, address)
  }
  return [...unique.values()].slice(0, maxBrokers)
}

async function addressesOf(given: string, resolver: Resolver): Promise<readonly Address[]> {
  const hosts = isService(given) ? await serversOf(given, resolver) : [given]
  const addresses = hosts.map(async (url): Promise<readonly Address[]> => {
    const host = hostOf(new URL(url))
    const found = isIP(host) === 0 ? await resolver.addresses(host) : [host]
    return found.map((address) => ({ url, address }))
  })
  return (await Promise.all(addresses)).flat()
}

/** A URL for each server of a service. */
async function serversOf(given: string, resolver: Resolver): Promise<string[]> {
  const url = new URL(given)
  const servers = await resolver.services(url.hostname)
  const who = url.username === '' ? '' : `${url.username}:${url.password}@`
  return servers
    .slice(0, maxBrokers)
    .sort((a, b) => a.priority - b.priority)
    .map(({ name, port }) => `${url.protocol.replace('+srv', '')}//${who}${name}:${port}${url.pathname}${url.search}`)
}

function isService(url: string): boolean {
  return /^amqps?\+srv:/.test(url)
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}
