/** Who asks over HTTP, and who may: each route says which role it takes, `{ config: { role } }`. */
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'
import type { Role } from '../access/role.ts'
import { asksLoopback } from './rebinding.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may ask; every route of ours has one. */
    role?: Role
    /** Open to whoever reaches the port: health, and what checks by itself who asks (a signature). */
    isOpen?: boolean
    /** Takes events: from any machine, as over Riemann's protocol. */
    takesEvents?: boolean
  }
  interface FastifyRequest {
    /** What its token says, where it showed one that holds. */
    token?: KnownToken
    /** It may, or is known and may not: either stands in the audit. */
    isAudited?: boolean
  }
}

/** What a token that was shown says of who shows it. */
export interface KnownToken {
  readonly name: string
  readonly role: Role
}

/** For a route's options. */
export const viewer = { config: { role: 'viewer' } } as const
export const operator = { config: { role: 'operator' } } as const
export const admin = { config: { role: 'admin' } } as const
/** For who looks whether the process lives. */
export const probe = { config: { role: 'viewer', isOpen: true, rateLimit: false } } as const
/** For who reads metrics, as often as it likes. */
export const scraper = { config: { role: 'viewer', rateLimit: false } } as const
/** For events. */
export const sender = { config: { role: 'operator', takesEvents: true, rateLimit: false } } as const

/** As it stands in the audit. */
export interface Caller {
  /** A token's name; without one `local`, or `local:NAME` where the program on this machine said for whom it asks, and `anyone` from elsewhere. */
  readonly who: string
  /** The peer's address. */
  readonly from: string
}

/** Where a program on this machine says for whom it asks. Anybody may say anything here: it is a note, no proof. */
export const userHeader = 'x-ricci-user'

/** Names of users, as systems allow them, and addresses of mail; nothing that could be taken for something else in a table. */
const saneUser = /^[\w.@+-]{1,64}$/

/** Who asks. */
export function callerOf(request: FastifyRequest): Caller {
  const from = request.socket.remoteAddress ?? ''
  if (request.token !== undefined) return { who: request.token.name, from }
  if (!fromThisMachine(request)) return { who: 'anyone', from }
  const user = request.headers[userHeader]
  return { who: typeof user === 'string' && saneUser.test(user) ? `local:${user}` : 'local', from }
}

/** What proxies add that say for whom they ask. */
const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-real-ip'] as const

/**
 * Whether who asks is a program on this machine: not a proxy there that asks for somebody elsewhere, nor a page in a browser, which asks by a
 * name of its own (DNS rebinding) or says whose it is.
 */
export function fromThisMachine({ socket, headers }: Asking): boolean {
  const address = socket.remoteAddress ?? ''
  const isHere = address === '::1' || /^(::ffff:)?127\./.test(address)
  if (!isHere || proxyHeaders.some((name) => headers[name] !== undefined)) return false
  return asksLoopback(headers)
}

/** A request as far as it says who asks. */
export interface Asking {
  readonly headers: IncomingHttpHeaders
  readonly socket: { readonly remoteAddress?: string }
}
