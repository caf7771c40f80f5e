/** Who asks over HTTP, and who may: each route says which role it takes, `{ config: { role } }`. */
import type { FastifyRequest } from 'fastify'

/** What a caller may do: a viewer reads, an operator deals with incidents besides, an admin with the servers. Each may what the one before it may. */
export type Role = 'viewer' | 'operator' | 'admin'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may ask; every route of ours has one. */
    role?: Role
    /** Open to whoever reaches the port: health, and what checks by itself who asks (a signature). */
    isOpen?: boolean
    /** Takes events: from any machine, as over Riemann's protocol. */
    takesEvents?: boolean
  }
}

/** For a route's options. */
export const viewer = { config: { role: 'viewer' } } as const
export const operator = { config: { role: 'operator' } } as const
export const admin = { config: { role: 'admin' } } as const
/** For who looks whether the process lives. */
export const probe = { config: { role: 'viewer', isOpen: true } } as const
/** For events. */
export const sender = { config: { role: 'operator', takesEvents: true } } as const

/** As it stands in the audit. */
export interface Caller {
  /** `local`, or `local:NAME` where the program on this machine said for whom it asks; `anyone` from elsewhere. */
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
  if (!fromThisMachine(request)) return { who: 'anyone', from }
  const user = request.headers[userHeader]
  return { who: typeof user === 'string' && saneUser.test(user) ? `local:${user}` : 'local', from }
}

/** Whether a request may only come from somebody who is known. */
export function needsCaller({ method, routeOptions: { config } }: FastifyRequest): boolean {
  return method !== 'GET' && method !== 'HEAD' && config.isOpen !== true && config.takesEvents !== true
}

/** Whether its peer is on this machine. */
export function fromThisMachine({ socket }: FastifyRequest): boolean {
  const address = socket.remoteAddress ?? ''
  return address === '::1' || /^(::ffff:)?127\./.test(address)
}
