/** Where receivers tell back what people did there: `POST /hooks/RECEIVER`. Who sends shows it by a signature; nothing else of it is believed. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RicciError } from '../errors.ts'
import type { Inbound } from '../receivers/inbound.ts'
import { RateLimit } from '../telemetry/rate-limit.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { HttpBackend } from './backend.ts'
import { callerOf } from './caller.ts'
import type { HttpErrorCode } from './errors.ts'
import * as schemas from './incident-schemas.ts'

/** Largest message: PagerDuty's are a few kB; Slack's hold the message that was pressed, some 10 kB. */
const maxHookBytes = 256 << 10
/** Messages that are read at once: nobody knows yet who sends them, and they wait in memory until their signature can be looked at. */
const maxAtOnce = 16
/** Messages that nobody signed, told of a minute for each receiver; metrics count all of them. */
const toldAMinute = 1
/** Longest name of a person that stands in a record. */
const maxWhoCharacters = 100

/** What is wrong with a name does not become better by telling it again. */
const overCodes: readonly string[] = ['NO_INCIDENT', 'INCIDENT_CLOSED', 'INCIDENT_AMBIGUOUS', 'COMMAND_REFUSED']

export interface HookRoutesOptions {
  readonly backend: Pick<HttpBackend, 'command' | 'inbound'>
  readonly telemetry: Pick<Telemetry, 'log'>
  readonly nowSeconds: () => number
}

type HookRequest = FastifyRequest<{ Params: { receiver: string } }>

/** Adds the route. */
export function addHookRoutes(app: FastifyInstance, { backend, telemetry, nowSeconds }: HookRoutesOptions): void {
  let reading = 0
  const pace = new RateLimit(toldAMinute, 60_000, () => nowSeconds() * 1_000)

  /** Reads the message, and lets it pass if it is signed, before anything looks into it. */
  async function checked(request: HookRequest, reply: FastifyReply, payload: AsyncIterable<Buffer>): Promise<Readable> {
    const { receiver } = request.params
    const inbound = backend.inbound(receiver)
    const refuse = (status: number, code: HttpErrorCode, error: string): Readable => {
      void reply.code(status).send({ error, code })
      return Readable.from([])
    }
    if (inbound === undefined) return refuse(404, 'NOT_FOUND', `No receiver ${receiver} tells anything back here.`)
    if (reading >= maxAtOnce)
      throw new RicciError(
        'INTAKE_FULL',
        `${maxAtOnce} messages to hooks are being read already; send it again in a moment`,
      )
    const parts: Buffer[] = []
    let bytes = 0
    reading++
    try {
      for await (const part of payload) {
        bytes += part.length
        if (bytes > maxHookBytes) return refuse(413, 'USAGE', `A message has at most ${maxHookBytes} bytes.`)
        parts.push(part)
      }
    } finally {
      reading--
    }
    const body = Buffer.concat(parts)
    const refusal = inbound.refusal(request.headers, body, nowSeconds() * 1_000)
    if (refusal !== undefined) {
      if (pace.pass(receiver) >= 0) {
        const what =
          'a message to a hook is not signed as its receiver would; is the secret the same there and in the configuration?'
        telemetry.log.warn({ receiver, from: request.ip, refusal }, what)
      }
      return refuse(401, 'NOT_SIGNED', refusal)
    }
    return Object.assign(Readable.from(body, { objectMode: false }), { receivedEncodedLength: body.length })
  }

  // forms are taken here alone: a browser sends one without asking, which elsewhere would act in the name of who sits before it
  void app.register(async (scope) => {
    scope.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'string' }, (_request, body, done) =>
      done(null, Object.fromEntries(new URLSearchParams(body as string))),
    )
    scope.post<{ Params: { receiver: string }; Body: unknown }>(
      '/hooks/:receiver',
      {
        config: { role: 'operator', isOpen: true },
        schema: schemas.hook,
        bodyLimit: maxHookBytes,
        preParsing: async (request, reply, payload) =>
          checked(request as HookRequest, reply, payload as AsyncIterable<Buffer>),
      },
      async (request) => ({ did: await act(backend, request.params.receiver, request, nowSeconds() * 1_000) }),
    )
  })
}

/** Does what was said; gives what that was, or why it was nothing. */
async function act(
  backend: HookRoutesOptions['backend'],
  receiver: string,
  request: FastifyRequest,
  nowMs: number,
): Promise<string> {
  const inbound: Inbound = backend.inbound(receiver)!
  const told = inbound.read(request.body, nowMs)
  if (told === undefined) return 'nothing'
  const { id, command, dedupKey } = told
  const who = told.who.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ').slice(0, maxWhoCharacters)
  const asked = { command, id: `hook/${receiver}/${id}`, incidents: [dedupKey], why: `at ${receiver}` }
  try {
    const { results } = await backend.command(inbound.showsByItself ? { ...asked, via: receiver } : asked, {
      who,
      from: callerOf(request).from,
    })
    // it is told again, and by the same id does nothing more
    if (results[0].did === 'pending')
      throw new RicciError('ENGINE_AWAY', 'it is taken and not applied yet; tell it again')
    return results[0].did
  } catch (error) {
    const { code = '' } = error as { code?: string }
    if (inbound.tellsAgain && overCodes.includes(code)) return code
    throw error
  }
}
