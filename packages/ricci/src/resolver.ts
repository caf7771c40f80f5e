/** How names become addresses. */
import { promises as dns } from 'node:dns'

/** Handed in, so that a test can be DNS. */
export interface Resolver {
  /** Every address of a host, IPv4 and IPv6. */
  addresses(host: string): Promise<readonly string[]>
  /** The servers of a service: DNS SRV. */
  services(
    name: string,
  ): Promise<readonly { readonly name: string; readonly port: number; readonly priority: number }[]>
}

/** A server of DNS that takes longer is asked no more; twice, then the next one. */
const dnsMs = 1_000

/** The machine's resolver: hosts as every program finds them (/etc/hosts included), services from DNS. */
export const systemResolver: Resolver = {
  addresses: async (host) => (await dns.lookup(host, { all: true })).map(({ address }) => address),
  services: (name) => new dns.Resolver({ timeout: dnsMs, tries: 2 }).resolveSrv(name),
}
