/** Incidents over HTTP: what is open, and what people do about it. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { IncidentFilter } from '../incidents/incident-filter.ts'
import type { CommandRequest } from '../incidents/incident-commands.ts'
import type { ListedKind } from '../peers/protocol.ts'
import type { HttpBackend } from './backend.ts'
import { callerOf, operator, viewer } from './caller.ts'
import { RicciError } from '../errors.ts'
import * as schemas from './incident-schemas.ts'
import { longestMs, maxWords } from './incident-schemas.ts'

interface IncidentsQuery extends Omit<IncidentFilter, 'refs' | 'words'> {
  readonly cursor?: string
  readonly limit: number
  readonly kind?: ListedKind
  readonly incident?: string
  readonly words?: string
}

type CommandBody = Omit<CommandRequest, 'id' | 'why' | 'via'> & { readonly id?: string; readonly why?: string }

export interface IncidentRoutesOptions {
  readonly backend: Pick<HttpBackend, 'incidents' | 'command' | 'drill'>
  /** Wall clock: a time to come is one by this. */
  readonly nowSeconds: () => number
}

/** Adds the routes. */
export function addIncidentRoutes(app: FastifyInstance, { backend, nowSeconds }: IncidentRoutesOptions): void {
  app.get<{ Querystring: IncidentsQuery }>(
    '/api/v1/incidents',
    { ...viewer, schema: schemas.incidents },
    async ({ query: { limit, cursor, kind, incident, words, ...rest } }, reply) => {
      const filter: IncidentFilter = {
        ...rest,
        ...(incident !== undefined && { refs: [incident] }),
        ...(words !== undefined && { words: wordsOf(words) }),
      }
      const asked = Object.keys(filter).length > 0 ? { filter } : {}
      const kinds = kind === undefined ? {} : { kinds: [kind] }
      const text = await backend.incidents({ limit, cursor, ...asked, ...kinds })
      return reply.type('application/json; charset=utf-8').send(text)
    },
  )
  app.post<{ Body: CommandBody }>(
    '/api/v1/incidents/commands',
    { ...operator, schema: schemas.incidentCommands },
    async (request, reply) => {
      const { id = randomUUID(), why = '', ...body } = request.body
      checkCommand({ ...body, why }, nowSeconds() * 1_000)
      const answer = await backend.command({ id, why: why.trim(), ...body }, callerOf(request))
      const isWhole = answer.results.every(({ did }) => did !== 'pending')
      return reply.code(isWhole ? 200 : 202).send(answer)
    },
  )
  app.post<{ Body: { to?: string; why?: string; id?: string } }>(
    '/api/v1/drill',
    { ...operator, schema: schemas.drill },
    async (request) => {
      const { to, why = 'paging is tried out', id = randomUUID() } = request.body
      return backend.drill({ to, id, why }, callerOf(request))
    },
  )
}

/** @throws RicciError `COMMAND_INVALID` for what the schema cannot say */
function checkCommand({ command, why, forMs, untilMs }: Omit<CommandRequest, 'id'>, nowMs: number): void {
  const wrong = (what: string): never => {
    throw new RicciError('COMMAND_INVALID', what)
  }
  const holds = command === 'acknowledge' || command === 'snooze'
  if (!holds && (forMs !== undefined || untilMs !== undefined))
    wrong(`${command} holds for no time; leave out forMs and untilMs`)
  if (forMs !== undefined && untilMs !== undefined) wrong('give forMs or untilMs, not both')
  if (command === 'snooze' && forMs === undefined && untilMs === undefined) {
    wrong('a snooze needs an end: forMs, or untilMs (milliseconds since 1970)')
  }
  if (untilMs !== undefined && untilMs <= nowMs) wrong('untilMs has passed; name a time to come')
  if (untilMs !== undefined && untilMs > nowMs + longestMs)
    wrong('untilMs is more than 30 days away; name an earlier one')
  if (command !== 'acknowledge' && command !== 'redrive' && why.trim() === '') {
    wrong(
      `say why: whoever looks into it later is told who ${command === 'snooze' ? 'snoozed' : 'resolved'} it, and why`,
    )
  }
}

/** @throws RicciError `COMMAND_INVALID` */
function wordsOf(text: string): string[] {
  const words = text.split(/\s+/).filter((word) => word !== '')
  if (words.length <= maxWords) return words
  throw new RicciError('COMMAND_INVALID', `${words.length} words are looked for, at most ${maxWords} are`)
}
