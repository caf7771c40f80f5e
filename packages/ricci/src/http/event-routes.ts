/** Events over HTTP: Riemann's `/events`, which answers each event with a line, and our own `/api/v1/events`, which takes all of them or none. */
import type { Event } from '@ricci/client'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { RicciError } from '../errors.ts'
import { eventsOfBody, type Parsed } from '../intake/json/json-body.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { HttpBackend } from './backend.ts'
import { sender } from './caller.ts'

export interface EventRoutesOptions {
  readonly backend: Pick<HttpBackend, 'take'>
  readonly telemetry: Telemetry
  /** Seconds since 1970: the time of events that name none. */
  readonly nowSeconds: () => number
}

/** A body: some 5,000 events of a host's metrics; to parse it takes some ten milliseconds, for which nobody else is served. */
const maxBodyBytes = 1 << 20

/** Bodies that are read or waited for at once: 64 MiB, and the events made of them. While more come, the one that has been coming longest gives way. */
const maxAtOnce = 64

/** Adds the routes. */
export function addEventRoutes(app: FastifyInstance, options: EventRoutesOptions): void {
  const { backend, telemetry, nowSeconds } = options
  const all = new Set<FastifyReply>()
  /** Those of them whose body is not whole: oldest first. */
  const coming = new Set<FastifyReply>()
  /** There is room for one more; or it is made by letting go of who sends too slowly. */
  const makeRoom = (): boolean => {
    if (all.size < maxAtOnce) return true
    const [slowest] = coming as Iterable<FastifyReply | undefined>
    if (slowest === undefined) return false
    telemetry.connectionClosed('half-sent', slowest.request.ip, `${maxAtOnce} bodies came at once, its own slowest`)
    leave(slowest)
    slowest.raw.destroy()
    return true
  }
  const leave = (reply: FastifyReply): void => {
    coming.delete(reply)
    all.delete(reply)
  }
  const take = async (parsed: readonly Parsed[]): Promise<void> => {
    const events = parsed.flatMap((one): Event[] => ('event' in one ? [one.event] : []))
    if (events.length === 0) return
    await backend.take(events)
    telemetry.tally.httpEvents += events.length
  }
  /** Takes what can be taken; gives what each came to. */
  const takeEach = async (parsed: readonly Parsed[]): Promise<readonly Parsed[]> => {
    try {
      await take(parsed)
      return parsed
    } catch (error) {
      if (!isMalformed(error)) throw error
      if (parsed.length === 1) return [{ error: error.message }]
      const half = parsed.length >> 1
      return (await Promise.all([takeEach(parsed.slice(0, half)), takeEach(parsed.slice(half))])).flat()
    }
  }
  void app.register(async (scope) => {
    // whatever a client calls it, it is JSON
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer', bodyLimit: maxBodyBytes }, (_request, body, done) =>
      done(null, body),
    )
    scope.addHook('onRequest', async (_request, reply) => {
      if (!makeRoom())
        throw new RicciError(
          'INTAKE_FULL',
          `${maxAtOnce} requests with events are being taken in already; send it again in a moment`,
        )
      all.add(reply)
      coming.add(reply)
      reply.raw.once('close', () => leave(reply))
    })
    scope.addHook('preHandler', async (_request, reply) => void coming.delete(reply))
    const { config } = sender
    scope.route<{ Body: Buffer | undefined }>({
      method: ['POST', 'PUT'],
      url: '/events',
      config,
      handler: async ({ body, ip }, reply) => {
        const parsed = await takeEach(eventsOfBody(body ?? new Uint8Array(), nowSeconds()))
        const lines = parsed.map((one) => {
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
        const parsed = eventsOfBody(body ?? new Uint8Array(), nowSeconds())
        for (const [at, one] of parsed.entries()) {
          if ('event' in one) continue
          telemetry.malformed('http', ip, one.error)
          throw new RicciError(
            'EVENT_MALFORMED',
            `event ${at + 1} of ${parsed.length}: ${one.error}; none of them was taken`,
          )
        }
        await take(parsed)
        return { taken: parsed.length }
      },
    })
  })
}

/** Whether it is an event's own fault. */
function isMalformed(error: unknown): error is RicciError {
  return error instanceof RicciError && error.code === 'EVENT_MALFORMED'
}
