/** How often somebody may ask. */
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import type { HttpErrorCode } from './errors.ts'

/** Callers that are counted at once; whoever asked longest ago is forgotten first. Some hundred bytes each. */
const maxCallers = 5_000

/** For all routes that are added after it, but for those whose `rateLimit` is false. @param perMinute requests of one caller */
export function limitCallers(app: FastifyInstance, perMinute: number): void {
  void app.register(rateLimit, {
    max: perMinute,
    timeWindow: 60_000,
    cache: maxCallers,
    // a token is one caller wherever it is shown
    keyGenerator: ({ token, ip }) => (token === undefined ? ip : `token ${token.name}`),
    errorResponseBuilder: (_request, { ttl }) =>
      Object.assign(
        new Error(
          `More than ${perMinute} requests came within a minute; ask again in ${Math.ceil(ttl / 1000)} s, or raise http.requestsPerMinute in the configuration.`,
        ),
        { statusCode: 429, code: 'RATE_LIMITED' satisfies HttpErrorCode },
      ),
  })
}
