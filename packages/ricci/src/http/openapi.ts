/** The OpenAPI document, made of the routes' schemas. */
import swagger from '@fastify/swagger'
import type { FastifyContextConfig, FastifyInstance } from 'fastify'
import { viewer } from './caller.ts'
import { openApi } from './schemas.ts'

/** Describes all routes that are added after it, and adds the one that shows the document. */
export function describeRoutes(app: FastifyInstance, version: string): void {
  // what an answer has beyond its schema is sent all the same: the schema tells, it does not cut
  app.setSerializerCompiler(() => (value) => JSON.stringify(value))
  void app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Ricci', version, description: 'Monitoring that stays up. docs/http.md says more of each route.' },
      components: {
        securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'ricci token create' } },
      },
    },
    transform: ({ schema, url, route: { config } }) => ({
      url,
      schema: {
        ...schema,
        description: `role ${config?.role}${config?.isOpen === true ? ', open to everybody' : ''}`,
        security: securityOf(config),
      },
    }),
  })
  void app.register(async (scope) => {
    scope.get('/api/v1/openapi.json', { ...viewer, schema: openApi }, async () => app.swagger())
  })
}

/** The empty one says that it may be left out. */
function securityOf({ role, isOpen, takesEvents }: FastifyContextConfig = {}): Record<string, readonly string[]>[] {
  if (isOpen === true) return []
  return role === 'viewer' || takesEvents === true ? [{ token: [] }, {}] : [{ token: [] }]
}
