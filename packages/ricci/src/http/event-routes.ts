/** Events over HTTP: Riemann's `/events`, which answers each event with a line, and our own `/api/v1/events`, which takes all of them or none. */
import type { Event } from '@ricci/client'
import type { FastifyInstance } from 'fastify'
import { RicciError } from '../errors.ts'
import { eventsOfBody, type Parsed } from '../intake/json/json-body.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { HttpBackend } from './backend.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Takes events: from any machine, not from this one alone. */
    takesEvents?: boolean
  }
}

export interface EventRoutesOptions {
  readonly backend: Pick<HttpBackend, 'take'>
  readonly telemetry: Telemetry
  /** Seconds since 1970: the time of events that name none. */
  readonly nowSeconds: () => number
}

/** A body: some 5,000 events of a host's metrics; to parse it takes some ten milliseconds, for which nobody else is served. */
const maxBodyBytes = 1 << 20

/** Bodies that are read or waited for at once: 64 MiB, and the events made of them. */
const maxAtOnce = 64

/** Adds the routes. */
export function addEventRoutes(app: FastifyInstance, options: EventRoutesOptions): void {
  const { backend, telemetry, nowSeconds } = options
  let atOnce = 0
  const take = async (all: readonly Parsed[]): Promise<void> => {
    const events = all.flatMap((one): Event[] => ('event' in one ? [one.event] : []))
    if (events.length === 0) return
    await backend.take(events)
    telemetry.tally.httpEvents += events.length
  }
  /** Takes what can be taken; gives what each came to. */
  const takeEach = async (all: readonly Parsed[]): Promise<readonly Parsed[]> => {
    try {
      await take(all)
      return all
    } catch (error) {
      if (!isMalformed(error)) throw error
      if (all.length === 1) return [{ error: error.message }]
      return (await Promise.all(all.map((one) => takeEach([one])))).flat()
    }
  }
  void app.register(async (scope) => {
    // whatever a client calls it, it is JSON
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxBodyBytes }, (_request, body, done) =>
      done(null, body),
    )
    scope.addHook('onRequest', async (_request, reply) => {
      if (atOnce >= maxAtOnce)
        throw new RicciError(
          'INTAKE_FULL',
          `${maxAtOnce} requests with events are being taken in already; send it again in a moment`,
        )
      atOnce++
      reply.raw.once('close', () => atOnce--)
    })
    const config = { takesEvents: true }
    scope.route<{ Body: Buffer | undefined }>({
      method: ['POST', 'PUT'],
      url: '/events',
      config,
      handler: async ({ body, ip }, reply) => {
        const all = await takeEach(eventsOfBody(body ?? new Uint8Array(), nowSeconds()))
        const lines = all.map((one) => {
          if ('event' in one) return '{}\n'
          telemetry.malformed('http', ip, one.error)
          return `${JSON.stringify({ error: one.error })}\n`
        })
        return reply.type('application/json; charset=utf-8').send(lines.join(''))
      },
    })
    scope.route<{ Body: Buffer | undefined }>({
      method: ['POST', 'PUT'],
      url: '/api/v1/events',
      config,
      handler: async ({ body, ip }) => {
        const all = eventsOfBody(body ?? new Uint8Array(), nowSeconds())
        for (const [at, one] of all.entries()) {
          if ('event' in one) continue
          telemetry.malformed('http', ip, one.error)
          throw new RicciError(
            'EVENT_MALFORMED',
            `event ${at + 1} of ${all.length}: ${one.error}; none of them was taken`,
          )
        }
        await take(all)
        return { taken: all.length }
      },
    })
  })
}

/** Whether it is an event's own fault. */
function isMalformed(error: unknown): error is RicciError {
  return error instanceof RicciError && error.code === 'EVENT_MALFORMED'
}
