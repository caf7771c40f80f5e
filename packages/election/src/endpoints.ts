import { promises as dns } from 'node:dns'
import { isIP } from 'node:net'
import type { Clock, Random } from './clock.ts'
import { ElectionError } from './errors.ts'
import { invalid } from './options.ts'

/** For how long an address that failed is asked after the others, in ms: as long as a server takes to start again, roughly. */
const failedLastMs = 10_000

/** After how long names are looked up again, in ms: what resolvers cache at least, so that asking costs nothing. */
const resolveEveryMs = 30_000

/** How soon after the last look-up a failure brings about another, in ms: a store that is away must not flood the resolver. */
const resolveAgainMs = 1000

/** How many addresses one store may have: more are a mistake, and each may be tried in turn. */
const maxEndpoints = 64

/** How long one question to a DNS server may take, in ms, and how often it is put. */
const dnsPatience = { timeout: 2000, tries: 2 }

/** The share of weight 0 beside others: a very small chance, as RFC 2782 asks. */
const leastWeight = 0.01

/** Where a store can be asked. */
export interface Endpoint {
  /** `http://10.0.0.1:8500`: what tells it from others, and what messages call it. */
  readonly url: string
  readonly secure: boolean
  /** What is connected to: an IP address. */
  readonly address: string
  readonly port: number
  /** The name it was given under: for the Host header, and for TLS to verify. */
  readonly host: string
}

/** How names become addresses. Handed in, so that a test can be DNS. */
export interface Resolver {
  /** Every address of a host, IPv4 and IPv6. */
  addresses(host: string): Promise<readonly string[]>
  /** The servers of a service: DNS SRV. */
  services(name: string): Promise<readonly ServiceRecord[]>
}

/** An SRV record: a lower priority is asked first, a higher weight more often (RFC 2782). */
export interface ServiceRecord {
  readonly name: string
  readonly port: number
  readonly priority: number
  readonly weight: number
}

/** The machine's resolver: hosts as every program finds them (/etc/hosts and mDNS included), services from DNS. */
export const systemResolver: Resolver = {
  async addresses(host) {
    const found = await dns.lookup(host, { all: true })
    return found.map(({ address }) => address)
  },
  services: (name) => new dns.Resolver(dnsPatience).resolveSrv(name),
}

/** What {@link Endpoints} are found with. */
export interface EndpointsOptions {
  /** The port where an address names none. */
  readonly port: number
  readonly resolver: Resolver
  readonly clock: Clock
  readonly random: Random
}

/** An address as it was given. */
interface Source {
  readonly secure: boolean
  readonly service: boolean
  readonly host: string
  readonly port: number
}

/** An endpoint and its place: by the order given, then by priority, then by chance. */
interface Place {
  readonly endpoint: Endpoint
  readonly order: number
  readonly priority: number
  readonly weight: number
}

/**
 * Finds a store: the addresses that were given, what DNS says about them, and which of them answer.
 *
 * - `http://10.0.0.1:8500` or `https://…`: that address. A name is looked up, and all its addresses are used.
 * - `http+srv://_consul._tcp.example.org` or `https+srv://…`: DNS SRV says which servers there are, and on which ports.
 *
 * They are asked in the order given, within one name by SRV priority and then by chance (SRV weight), the same throughout. One that failed goes
 * to the end for a while. Names are looked up again at an interval, and after a failure; while that fails, the last answer counts.
 */
export class Endpoints {
  /** The addresses as given, without secrets. */
  readonly description: string
  readonly #sources: readonly Source[]
  readonly #options: EndpointsOptions
  /** Which of two of equal standing goes first: drawn once for each, so that the order stays while the addresses do. */
  readonly #chances = new Map<string, number>()
  /** When one failed last, in monotonic ms. */
  readonly #failedMs = new Map<string, number>()
  #places: readonly Place[] = []
  #resolvedMs = -Infinity
  #wanted = true
  #resolving: Promise<void> | undefined

  /** @throws ElectionError `OPTION_INVALID` */
  constructor(addresses: string | readonly string[], options: EndpointsOptions) {
    const given = typeof addresses === 'string' ? addresses.split(',') : addresses
    this.#sources = given.map((address) => sourceOf(address.trim(), options.port))
    if (this.#sources.length === 0 || this.#sources.length > maxEndpoints) {
      throw invalid(`there are ${this.#sources.length} addresses; give 1 to ${maxEndpoints}`)
    }
    this.#options = options
    this.description = this.#sources.map(describe).join(', ')
  }

  /**
   * All of them, the one to be asked first in front. Waits for DNS only while nothing is known yet.
   * @throws ElectionError `STORE_UNAVAILABLE`; the signal's reason
   */
  async list(signal: AbortSignal): Promise<readonly Endpoint[]> {
    signal.throwIfAborted()
    const now = this.#options.clock.monotonicMs()
    const dueMs = this.#wanted ? resolveAgainMs : resolveEveryMs
    if (now - this.#resolvedMs >= dueMs || this.#places.length === 0) {
      const resolved = this.#resolve()
      if (this.#places.length === 0) await orAborted(resolved, signal)
      // The last answer counts meanwhile, and stays if this one fails.
      else resolved.catch(() => undefined)
    }
    return this.#ordered().map(({ endpoint }) => endpoint)
  }

  /** It could not be reached, or was silent for too long. */
  failed(endpoint: Endpoint): void {
    this.#failedMs.set(endpoint.url, this.#options.clock.monotonicMs())
    this.#wanted = this.#sources.some(needsDns)
  }

  /** It answered. */
  answered(endpoint: Endpoint): void {
    this.#failedMs.delete(endpoint.url)
  }

  #ordered(): readonly Place[] {
    const now = this.#options.clock.monotonicMs()
    // Failed ones by when: the one that failed longest ago is the likeliest to be back.
    const failed = ({ endpoint: { url } }: Place): number => {
      const atMs = this.#failedMs.get(url) ?? -Infinity
      return now - atMs < failedLastMs ? atMs : -Infinity
    }
    const chance = ({ endpoint: { url }, weight }: Place): number => this.#chances.get(url)! / weight
    return this.#places.toSorted(
      (a, b) =>
        compare(failed(a), failed(b)) || a.order - b.order || a.priority - b.priority || compare(chance(a), chance(b)),
    )
  }

  #resolve(): Promise<void> {
    this.#resolving ??= this.#resolveAll().finally(() => (this.#resolving = undefined))
    return this.#resolving
  }

  async #resolveAll(): Promise<void> {
    this.#resolvedMs = this.#options.clock.monotonicMs()
    this.#wanted = false
    const answers = await Promise.allSettled(this.#sources.map((source, order) => this.#resolveOne(source, order)))
    // A name that has no answer now keeps its last one.
    const places = answers.flatMap((answer, order) =>
      answer.status === 'fulfilled' ? answer.value : this.#places.filter((place) => place.order === order),
    )
    const failure = answers.find((answer) => answer.status === 'rejected')
    if (failure !== undefined) this.#wanted = true
    if (places.length === 0) {
      const said = `no address is known of ${this.description}: DNS has no answer. Is the name right?`
      throw new ElectionError('STORE_UNAVAILABLE', said, true, { cause: failure?.reason })
    }
    const unique = new Map<string, Place>()
    for (const place of places) if (!unique.has(place.endpoint.url)) unique.set(place.endpoint.url, place)
    this.#places = [...unique.values()].slice(0, maxEndpoints)
    for (const url of unique.keys()) {
      // An exponential draw divided by the weight: the first of several is each with the chance of its weight.
      if (!this.#chances.has(url)) this.#chances.set(url, -Math.log(1 - this.#options.random()))
    }
    for (const known of [this.#chances, this.#failedMs]) {
      for (const url of known.keys()) if (!unique.has(url)) known.delete(url)
    }
  }

  async #resolveOne(source: Source, order: number): Promise<readonly Place[]> {
    const { resolver } = this.#options
    const records: readonly ServiceRecord[] = source.service
      ? await resolver.services(source.host)
      : [{ name: source.host, port: source.port, priority: 0, weight: 1 }]
    const places = await Promise.all(
      records.slice(0, maxEndpoints).map(async ({ name, port, priority, weight }) => {
        const addresses = isIP(name) === 0 ? await resolver.addresses(name) : [name]
        return addresses.map((address) => ({
          endpoint: { url: urlOf(source.secure, address, port), secure: source.secure, address, port, host: name },
          order,
          priority,
          weight: Math.max(weight, leastWeight),
        }))
      }),
    )
    return places.flat()
  }
}

/** @throws ElectionError `OPTION_INVALID` */
function sourceOf(address: string, defaultPort: number): Source {
  let url: URL
  try {
    // Without a scheme: http, as the stores' own clients have it.
    url = new URL(address.includes('://') ? address : `http://${address}`)
  } catch {
    // Not repeated in the message: there may be a password in it.
    throw invalid('an address of the store is no URL; give one like "http://10.0.0.1:8500"')
  }
  const [scheme, service] = url.protocol.slice(0, -1).split('+')
  if ((scheme !== 'http' && scheme !== 'https') || (service !== undefined && service !== 'srv')) {
    throw invalid(`an address of the store begins with ${url.protocol}//; use http, https, http+srv or https+srv`)
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(`the address of ${url.hostname} has a user name in it; give it as an option of its own`)
  }
  if ((url.pathname !== '/' && url.pathname !== '') || url.search !== '' || url.hash !== '') {
    throw invalid(`the address of ${url.hostname} goes on after the port; give host and port only`)
  }
  if (service === 'srv' && url.port !== '') {
    throw invalid(`${url.hostname} is a service of DNS, which names the ports; leave out the port`)
  }
  const secure = scheme === 'https'
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (host === '') throw invalid('an address of the store names no host; give one like "http://10.0.0.1:8500"')
  return { secure, service: service === 'srv', host, port: portOf(url, address, secure, defaultPort) }
}

/** URL leaves out the port where it is the scheme's own: `http://host:80` does name 80. */
function portOf(url: URL, address: string, secure: boolean, defaultPort: number): number {
  if (url.port !== '') return Number(url.port)
  return /:0*(80|443)\/?$/.test(address) ? (secure ? 443 : 80) : defaultPort
}

function urlOf(secure: boolean, address: string, port: number): string {
  return `${secure ? 'https' : 'http'}://${isIP(address) === 6 ? `[${address}]` : address}:${port}`
}

function describe({ secure, service, host, port }: Source): string {
  return service ? `${secure ? 'https' : 'http'}+srv://${host}` : urlOf(secure, host, port)
}

function needsDns({ service, host }: Source): boolean {
  return service || isIP(host) === 0
}

function compare(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** What `promise` gives, or the signal's reason if that aborts first. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason)
    signal.addEventListener('abort', aborted)
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
