/** Explanations over HTTP. One JSON object a line: how far it is, as long as it goes on, and the answer, or what went wrong, at last. */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { ExplainStep, SilenceRequest } from '../explain/explainer.ts'
import { plainError } from '../server/worker-protocol.ts'
import type { HttpBackend } from './backend.ts'
import { viewer } from './caller.ts'
import * as schemas from './schemas.ts'

/** Adds the routes. */
export function addExplainRoutes(app: FastifyInstance, backend: Pick<HttpBackend, 'explainer'>): void {
  app.get<{ Querystring: { incident: string } }>(
    '/api/v1/explain/incident',
    { ...viewer, schema: schemas.explainIncident },
    ({ query: { incident } }, reply) => lines(reply, (signal) => backend.explainer().incident(incident, signal)),
  )
  app.get<{ Querystring: SilenceRequest }>(
    '/api/v1/explain/silence',
    { ...viewer, schema: schemas.explainSilence },
    ({ query }, reply) => lines(reply, (signal) => backend.explainer().silence(query, signal)),
  )
}

/** What is wrong with the question is answered with a status of its own: before the first line. */
async function lines(
  reply: FastifyReply,
  explain: (signal: AbortSignal) => AsyncGenerator<ExplainStep<unknown>, void, undefined>,
): Promise<FastifyReply> {
  const gone = new AbortController()
  reply.raw.once('close', () => gone.abort())
  const steps = explain(gone.signal)
  const first = await steps.next()
  // who is gone reads nothing: an answer that nobody begins to read would never end
  if (gone.signal.aborted) {
    await steps.return()
    return reply.hijack()
  }
  return reply.type('application/x-ndjson').send(Readable.from(texts(first, steps)))
}

async function* texts(
  first: IteratorResult<ExplainStep<unknown>, void>,
  rest: AsyncGenerator<ExplainStep<unknown>, void, undefined>,
): AsyncGenerator<string, void, undefined> {
  try {
    for (let step = first; step.done !== true; step = await rest.next()) yield `${JSON.stringify(step.value)}\n`
  } catch (error) {
    const { code, message } = plainError(error)
    yield `${JSON.stringify({ error: message, code: code ?? 'FAILED' })}\n`
  } finally {
    await rest.return()
  }
}
