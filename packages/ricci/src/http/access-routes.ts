/** Tokens and the audit over HTTP. */
import type { FastifyInstance } from 'fastify'
import type { Access } from '../access/access.ts'
import type { Role } from '../access/role.ts'
import { admin, callerOf, operator } from './caller.ts'
import * as schemas from './schemas.ts'

interface Wanted {
  readonly name: string
  readonly role: Role
  readonly expiresInMs?: number
}

/** Adds the routes. */
export function addAccessRoutes(app: FastifyInstance, access: Access): void {
  app.get('/api/v1/tokens', { ...admin, schema: schemas.tokens }, async () => ({ tokens: access.list() }))
  app.post<{ Body: Wanted }>('/api/v1/tokens', { ...admin, schema: schemas.createToken }, async (request, reply) => {
    const { name, role, expiresInMs } = request.body
    // an answer with a secret is kept by nobody on the way
    reply.header('cache-control', 'no-store')
    return access.create({ name, role, expiresInMs }, callerOf(request).who)
  })
  app.post<{ Params: { name: string }; Body: { why?: string } | null }>(
    '/api/v1/tokens/:name/revoke',
    { ...admin, schema: schemas.revokeToken },
    async (request) => {
      const { name } = request.params
      return { name, ...(await access.revoke(name, callerOf(request).who, request.body?.why ?? '')) }
    },
  )
  app.get<{ Querystring: { limit: number } }>(
    '/api/v1/audit',
    { ...operator, schema: schemas.audit },
    async ({ query: { limit } }) => access.audit(limit),
  )
}
