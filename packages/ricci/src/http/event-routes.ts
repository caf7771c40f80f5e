/** Events over HTTP: Riemann's `/events`, which answers each event with a line, and our own `/api/v1/events`, which takes all of them or none. */
import type { FastifyInstance } from 'fastify'
import { sender } from './caller.ts'
import { EventBodies, maxBodyBytes, type EventBodiesOptions } from './event-bodies.ts'
import { takeEvents, takeRiemannEvents } from './schemas.ts'

/** Adds the routes. */
export function addEventRoutes(app: FastifyInstance, options: EventBodiesOptions): void {
  const bodies = new EventBodies(options)
  void app.register(async (scope) => {
    // whatever a client calls it, it is JSON
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxBodyBytes }, (_request, body, done) =>
      done(null, body),
    )
    scope.addHook('onRequest', async ({ ip }, { raw }) => bodies.begin(raw, ip))
    scope.addHook('preHandler', async (_request, { raw }) => bodies.came(raw))
    const { config } = sender
    // bytes are read by the parser of events, which has words of its own
    const validatorCompiler = () => () => true
    scope.route<{ Body: Buffer | undefined }>({
      method: ['POST', 'PUT'],
      url: '/events',
      ...{ config, validatorCompiler, schema: takeRiemannEvents },
      handler: async ({ body, ip }, reply) =>
        reply.type('application/json; charset=utf-8').send(await bodies.takeEach(body ?? nothing, ip)),
    })
    scope.route<{ Body: Buffer | undefined }>({
      method: ['POST', 'PUT'],
      url: '/api/v1/events',
      ...{ config, validatorCompiler, schema: takeEvents },
      handler: async ({ body, ip }) => bodies.takeAll(body ?? nothing, ip),
    })
  })
}

const nothing = new Uint8Array()
