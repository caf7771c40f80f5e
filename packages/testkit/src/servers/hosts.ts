/**
 * Hosts of a network of our own: whoever runs as a host's user sends from an address of its own, so that packets can be told by where they come from and
 * where they go to, and a host, or the link between two, can be cut. All of them listen on 127.0.0.1.
 */
import { cutNetwork, hasOwnNetwork, ipRoute, ipRule } from './network.ts'
import type { ServerUser } from './process.ts'

/** Users of nobody's: the first host's, and on from there. */
const firstUser = 59_500
/** Routing tables: the first host's, and on from there. */
const firstTable = 1_000
/** What stays within a host is never cut; what leaves it does so by its address, unless it is cut. */
const order = { within: 5, leaving: 19_500 }

let hosts = 0

/** A host. Its rules are gone with the network. */
export class Host {
  readonly user: ServerUser
  /** Where its own connections come from. */
  readonly address: string
  private readonly table: string
  private readonly listening: (readonly [first: number, last: number])[] = []

  /** @throws Error in a network that is not our own */
  constructor(readonly name: string) {
    if (!hasOwnNetwork()) throw new Error('There are hosts in a network of our own alone.')
    const number = ++hosts
    this.user = { uid: firstUser + number, gid: firstUser + number, readsAll: true }
    this.address = `127.1.0.${number}`
    this.table = String(firstTable + number)
    ipRoute('add', `local 127.0.0.0/8 dev lo src ${this.address} table ${this.table}`)
    ipRule('add', `pref ${order.within} ${this.from} to ${this.address} lookup ${this.table}`)
    ipRule('add', `pref ${order.leaving} ${this.from} lookup ${this.table}`)
  }

  /** What runs here listens on these ports. */
  listens(first: number, last = first): void {
    this.listening.push([first, last])
    for (const to of this.ports([[first, last]])) {
      ipRule('add', `pref ${order.within} ${this.from} ${to} lookup ${this.table}`)
    }
  }

  /** Nobody hears of it, and it hears of nobody; gives what heals that. */
  cut(): () => void {
    return cutNetwork({ drop: [this.from, ...this.towards] })
  }

  /** What this host sends to another is lost; what the other sends is not. Gives what heals that. */
  cutTowards(other: Host): () => void {
    return cutNetwork({ drop: other.towards.map((to) => `${this.from} ${to}`) })
  }

  /** Cuts the link between two hosts, both ways; gives what heals it. */
  cutFrom(other: Host): () => void {
    const healing = [this.cutTowards(other), other.cutTowards(this)]
    return () => {
      for (const heal of healing) heal()
    }
  }

  private get from(): string {
    return `uidrange ${this.user.uid}-${this.user.uid}`
  }

  /** What is sent to it. */
  private get towards(): string[] {
    return [`to ${this.address}`, ...this.ports(this.listening)]
  }

  private ports(ranges: readonly (readonly [number, number])[]): string[] {
    return ranges.flatMap(([first, last]) =>
      ['tcp', 'udp'].map((protocol) => `ipproto ${protocol} dport ${first}-${last}`),
    )
  }
}
