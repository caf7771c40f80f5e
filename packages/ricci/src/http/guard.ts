/** Judges who asks over HTTP: by the token that is shown, by where it comes from, and by the role that the route takes. */
import type { FastifyContextConfig } from 'fastify'
import type { Access } from '../access/access.ts'
import { reaches } from '../access/role.ts'
import { RateLimit } from '../telemetry/rate-limit.ts'
import type { CallerRefusedReason } from '../telemetry/internal-events.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { fromThisMachine, type Asking, type KnownToken } from './caller.ts'
import type { Refusal } from './rebinding.ts'

export interface GuardOptions {
  readonly access: Pick<Access, 'find' | 'requiresToken'>
  readonly telemetry: Pick<Telemetry, 'callerRefused'>
  readonly monotonicMs: () => number
}

/** What came of it: refused, or not; and who asks, where a token says so. */
export interface Verdict {
  readonly refusal?: Refusal
  readonly token?: KnownToken
}

/**
 * Wrong tokens of one address that are answered one by one in so long. No number of tries finds one: this is for the log and the metrics. Whoever shows one
 * that holds is let in all the same, so that nobody is locked out by a neighbour's mistake.
 */
const wrongTokens = 20
const wrongTokensMs = 60_000

const challenge = { 'www-authenticate': 'Bearer realm="ricci"' }

const wrong = {
  unknown: 'The token that was shown is not known here',
  expired: 'The token that was shown has expired',
  revoked: 'The token that was shown was revoked',
} as const

export class Guard {
  private readonly attempts: RateLimit

  constructor(private readonly options: GuardOptions) {
    this.attempts = new RateLimit(wrongTokens, wrongTokensMs, options.monotonicMs)
  }

  judge(asking: Asking, { role = 'viewer', isOpen, takesEvents }: FastifyContextConfig): Verdict {
    if (isOpen === true) return {}
    const { access } = this.options
    const peer = asking.socket.remoteAddress ?? ''
    const secret = bearerOf(asking.headers.authorization)
    if (secret === undefined) {
      const isFree = role === 'viewer' || takesEvents === true || fromThisMachine(asking)
      return isFree && !access.requiresToken ? {} : this.refuse('none', peer, { status: 401, ...tokenWanted })
    }
    const shown = access.find(secret)
    if ('wrong' in shown) return this.refuseWrong(shown.wrong, peer)
    const token = { name: shown.name, role: shown.role }
    // what is open to who shows none is open to who shows any
    if (reaches(token.role, role) || (takesEvents === true && !access.requiresToken)) return { token }
    const error = `This takes a token of role ${role}; that of "${token.name}" is of role ${token.role}.`
    return { ...this.refuse('weak', peer, { status: 403, code: 'ROLE_TOO_WEAK', error }), token }
  }

  private refuseWrong(why: keyof typeof wrong, peer: string): Verdict {
    if (this.attempts.pass(peer) < 0) {
      const error = `Too many tokens that do not hold came from ${peer}; wait a minute, and mend what shows them.`
      const headers = { ...challenge, 'retry-after': String(wrongTokensMs / 1000) }
      return this.refuse('too-many', peer, { status: 429, code: 'TOO_MANY_ATTEMPTS', error, headers })
    }
    const error = `${wrong[why]}; ricci token list, asked on a server's own machine, says which hold.`
    const headers = { 'www-authenticate': `${challenge['www-authenticate']}, error="invalid_token"` }
    return this.refuse(why, peer, { status: 401, code: 'TOKEN_INVALID', error, headers })
  }

  private refuse(reason: CallerRefusedReason, peer: string, refusal: Refusal): Verdict {
    // what is to be done is said to who asked
    const [what] = refusal.error.split(/[;:] /)
    this.options.telemetry.callerRefused(reason, peer, what)
    return { refusal }
  }
}

const tokenWanted = {
  code: 'TOKEN_REQUIRED',
  error:
    'This takes a token: send "Authorization: Bearer TOKEN", or set RICCI_TOKEN for the command line. Who may gives one: ricci token create NAME --role ROLE.',
  headers: challenge,
} as const

/** What is shown as a token; a login of another scheme is a proxy's business. */
function bearerOf(authorization: string | undefined): string | undefined {
  return /^bearer(?: +(.*))?$/i
    .exec(authorization ?? '')
    ?.slice(1)
    .map((secret = '') => secret.trim())[0]
}
