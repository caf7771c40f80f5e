/** Writes down who changed something over HTTP, or wanted to, before the answer is sent. */
import type { FastifyContextConfig, FastifyReply, FastifyRequest } from 'fastify'
import type { Access } from '../access/access.ts'
import { maxWhyLength } from '../access/token.ts'
import { callerOf } from './caller.ts'

/** What is kept of a body as it is; of a longer one its beginning. */
const maxArgumentsLength = 2_000

/** Statuses by which a caller that is known is told that it asked too often: a flood is to fill no audit. */
const tooOften = 429

/** Whether what a route takes changes something: all but reading and events, which are no command. What is open to all checks and writes down by itself. */
export function changesSomething({ role, isOpen, takesEvents }: FastifyContextConfig): boolean {
  return role !== undefined && role !== 'viewer' && isOpen !== true && takesEvents !== true
}

/** For `onSend`. */
export function auditHook(access: Pick<Access, 'note'>) {
  return async (request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> => {
    const { method, url, body, token, isAudited = false } = request
    if (!isAudited || method === 'GET' || method === 'HEAD' || reply.statusCode === tooOften) return
    const { why, ...others } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>
    await access.note({
      ...callerOf(request),
      ...(token !== undefined && { role: token.role }),
      what: `${method} ${url.split('?')[0]}`,
      ...(Object.keys(others).length > 0 && { arguments: bounded(others) }),
      ...(typeof why === 'string' && why !== '' && { why: why.slice(0, maxWhyLength) }),
      status: reply.statusCode,
      ...(reply.statusCode >= 400 && { code: codeIn(payload) }),
    })
  }
}

function bounded(value: object): unknown {
  const text = JSON.stringify(value)
  return text.length <= maxArgumentsLength ? value : text.slice(0, maxArgumentsLength)
}

function codeIn(payload: unknown): string | undefined {
  try {
    return (JSON.parse(String(payload)) as { code?: string }).code
  } catch {
    return undefined
  }
}
