import { randomUUID } from 'node:crypto'
import { bounded, pause } from '../../bounded.ts'
import type { Endpoint } from '../../endpoints.ts'
import { ElectionError, hasCode } from '../../errors.ts'
import type { HttpClient } from '../../http.ts'
import type { SessionOptions } from '../../store.ts'

/** The least that Consul takes. A backstop only: Consul ends a session up to twice this long after its last renewal. */
const sessionTtl = '10s'

/** How often the session is renewed, in ms: three times within its time to live. */
const renewEveryMs = 3000

/** After how long Consul forgets a service whose process has died: the least that it takes. */
const forgottenAfter = '1m'

/** Between two attempts to make a session, in ms: the agent takes a moment to tell the servers of a new check. */
const sessionAgainMs = 25

/** How long cleaning up after a failed registration may take, in ms. */
const cleanUpMs = 1000

/** What Consul tells of a session. */
interface SessionInfo {
  readonly ID: string
  readonly Node: string
  readonly TTL: string
  /** In nanoseconds. */
  readonly LockDelay: number
  readonly Behavior: string
  /** Since 1.7. */
  readonly NodeChecks?: readonly string[] | null
  /** Since 1.7. */
  readonly ServiceChecks?: readonly { readonly ID: string }[] | null
  /** Before 1.7: of both kinds. */
  readonly Checks?: readonly string[] | null
}

/**
 * This process as Consul knows it: a service with a check that goes critical when no sign of life comes for the detection time, and a
 * session that ends with that check, with its node's health, or when it was not renewed.
 *
 * The check is the agent's, so it is told to the agent that it was registered at, always; the session may be renewed anywhere.
 */
export class Registration {
  #renewedMs: number

  private constructor(
    private readonly http: HttpClient,
    private readonly options: SessionOptions,
    private readonly service: string,
    private readonly agent: Endpoint,
    readonly session: string,
  ) {
    this.#renewedMs = options.clock.monotonicMs()
  }

  /** Registers, makes the session, and reads back what Consul made of it. @throws ElectionError as `LeaseStore.open` */
  static async make(http: HttpClient, serviceName: string, options: SessionOptions): Promise<Registration> {
    const { detectMs, group, id, signal } = options
    const service = `${serviceName}:${id}:${randomUUID()}`
    const body = {
      ID: service,
      Name: serviceName,
      Meta: { group, member: id },
      Check: {
        CheckID: service,
        Name: `${id} of the election ${group}`,
        TTL: `${Math.ceil(detectMs)}ms`,
        Status: 'passing',
        DeregisterCriticalServiceAfter: forgottenAfter,
      },
    }
    const permission = serviceRight(serviceName)
    const { endpoint } = await http.ask({ path: '/v1/agent/service/register', body, permission, signal })
    let session: string | undefined
    try {
      for (const style of ['ServiceChecks', 'Checks'] as const) {
        session = await createSession(http, endpoint, service, style, options)
        const info = await sessionInfo(http, session, signal)
        if (isBound(info, service)) {
          verify(info, options.warn)
          return new Registration(http, options, service, endpoint, session)
        }
        await destroySession(http, session, signal)
        session = undefined
      }
      const said =
        'Consul did not bind the session to our check: it passed over what we sent it. Is something between us and it?'
      throw new ElectionError('STORE_REFUSED', said, false)
    } catch (error) {
      // An agent without servers takes a service, and no more: the next try is made elsewhere.
      if (hasCode(error, 'STORE_UNAVAILABLE')) http.blame(endpoint)
      await cleanUp(http, options, endpoint, service, session)
      throw error
    }
  }

  /** How often {@link beat} is to be called, in ms. */
  get beatEveryMs(): number {
    return this.options.detectMs / 4
  }

  /** Tells the agent that we live, and renews the session when it is time. @throws ElectionError `SESSION_LOST`, `STORE_UNAVAILABLE` */
  async beat(signal: AbortSignal): Promise<void> {
    const now = this.options.clock.monotonicMs()
    const renews = now - this.#renewedMs >= renewEveryMs
    if (renews) this.#renewedMs = now
    await Promise.all([
      passCheck(this.http, this.agent, this.service, this.beatEveryMs, signal),
      ...(renews ? [this.#renew(signal)] : []),
    ])
  }

  /** Ends the session, takes back the service: each whether or not the other can be done. */
  async end(signal: AbortSignal): Promise<void> {
    const ends = [
      destroySession(this.http, this.session, signal),
      deregister(this.http, this.agent, this.service, signal),
    ]
    for (const end of await Promise.allSettled(ends)) if (end.status === 'rejected') throw end.reason
  }

  /**
   * Not found is not believed: a server that has just become Consul's leader answers renewals before it has taken in everything that is
   * committed, and a young session is what it then knows nothing of. Seen where a killed leader came back at once and was elected again. A
   * consistent read waits for it.
   */
  async #renew(signal: AbortSignal): Promise<void> {
    const path = `/v1/session/renew/${this.session}`
    const asked = { path, method: 'PUT', repeatable: true, accept: [404], permission: sessionRight, signal } as const
    if ((await this.http.ask(asked)).status !== 404) return
    if ((await findSession(this.http, this.session, signal)) === undefined) throw lost('has ended')
    // with the next sign of life
    this.#renewedMs = -Infinity
  }
}

const sessionRight = 'session_prefix "" { policy = "write" }'

function serviceRight(name: string): string {
  return `service "${name}" { policy = "write" }`
}

/** Makes a session that is bound to our check. Tries again while the servers do not know the check yet. */
async function createSession(
  http: HttpClient,
  endpoint: Endpoint,
  check: string,
  style: 'ServiceChecks' | 'Checks',
  { id, group, detectMs, clock, signal }: SessionOptions,
): Promise<string> {
  const checks =
    style === 'ServiceChecks'
      ? { NodeChecks: ['serfHealth'], ServiceChecks: [{ ID: check }] }
      : { Checks: ['serfHealth', check] }
  const body = {
    Name: `${id} of the election ${group}`,
    TTL: sessionTtl,
    LockDelay: '0s',
    Behavior: 'release',
    ...checks,
  }
  for (;;) {
    const asked = { path: '/v1/session/create', body, endpoint, permission: sessionRight, accept: [400, 500], signal }
    const answer = await http.ask(asked)
    if (answer.status < 300) return answer.json<{ ID: string }>().ID
    const said = answer.text.trim()
    if (/session ttl/i.test(said)) {
      const help = `Consul refuses a session of ${sessionTtl} (${said}); lower session_ttl_min of its servers`
      throw new ElectionError('STORE_REFUSED', help, false)
    }
    if (!/missing (check|node)|critical state/i.test(said)) {
      throw new ElectionError('STORE_UNAVAILABLE', `Consul makes no session now (${said})`, true)
    }
    await pause(clock, sessionAgainMs, signal)
    signal.throwIfAborted()
    // It may have gone critical while we waited.
    await passCheck(http, endpoint, check, detectMs, signal)
  }
}

async function findSession(http: HttpClient, session: string, signal: AbortSignal): Promise<SessionInfo | undefined> {
  const path = `/v1/session/info/${session}?consistent`
  return (await http.ask({ path, permission: sessionRight, signal })).json<readonly SessionInfo[] | null>()?.[0]
}

async function sessionInfo(http: HttpClient, session: string, signal: AbortSignal): Promise<SessionInfo> {
  const found = await findSession(http, session, signal)
  if (found !== undefined) return found
  throw new ElectionError('STORE_UNAVAILABLE', 'Consul ended the session as soon as it was made', true)
}

/** Whether a session ends with our check. */
function isBound({ ServiceChecks, Checks }: SessionInfo, check: string): boolean {
  return (ServiceChecks?.some(({ ID }) => ID === check) ?? false) || (Checks?.includes(check) ?? false)
}

/** What Consul made of the rest of it. None of it is unsafe. */
function verify({ TTL, LockDelay, Behavior, NodeChecks, Checks }: SessionInfo, warn: (message: string) => void): void {
  if (Behavior !== 'release') {
    const said = `Consul made the session's behaviour "${Behavior}" instead of "release": names would be deleted`
    throw new ElectionError('STORE_REFUSED', said, false)
  }
  const odd = [
    ...(TTL === sessionTtl ? [] : [`its time to live is "${TTL}" instead of ${sessionTtl}`]),
    ...(LockDelay === 0 ? [] : [`after its end nobody gets its names for ${LockDelay / 1e6} ms`]),
    ...([...(NodeChecks ?? []), ...(Checks ?? [])].includes('serfHealth') ? [] : ['it does not end with its node']),
  ]
  if (odd.length > 0) warn(`Consul made another session than it was asked for: ${odd.join(', ')}`)
}

/** @throws ElectionError `SESSION_LOST` where the agent does not know the check any more */
async function passCheck(
  http: HttpClient,
  endpoint: Endpoint,
  check: string,
  patienceMs: number,
  signal: AbortSignal,
): Promise<void> {
  const path = `/v1/agent/check/update/${encodeURIComponent(check)}`
  const permission = serviceRight(check.split(':')[0])
  const body = { Status: 'passing' }
  const asked = { path, body, endpoint, repeatable: true, accept: [404, 500], permission, patienceMs, signal }
  const answer = await http.ask(asked)
  if (answer.status < 300) return
  const said = answer.text.trim()
  // Before 1.13: 500 and this sentence.
  if (answer.status === 404 || /does not have associated TTL/i.test(said)) throw lost('is not known to its agent')
  throw new ElectionError('STORE_UNAVAILABLE', `Consul took no sign of life (${said})`, true)
}

async function destroySession(http: HttpClient, session: string, signal: AbortSignal): Promise<void> {
  const path = `/v1/session/destroy/${session}`
  await http.ask({ path, method: 'PUT', repeatable: true, permission: sessionRight, signal })
}

async function deregister(http: HttpClient, endpoint: Endpoint, service: string, signal: AbortSignal): Promise<void> {
  const path = `/v1/agent/service/deregister/${encodeURIComponent(service)}`
  const permission = serviceRight(service.split(':')[0])
  // Unknown: it is gone already.
  await http.ask({ path, method: 'PUT', endpoint, repeatable: true, accept: [404, 500], permission, signal })
}

/** Takes back what was made before something failed, the signal of which may be what failed. */
async function cleanUp(
  http: HttpClient,
  { clock }: SessionOptions,
  endpoint: Endpoint,
  service: string,
  session: string | undefined,
): Promise<void> {
  await bounded(clock, cleanUpMs, undefined, async (signal) => {
    const ends = [deregister(http, endpoint, service, signal)]
    if (session !== undefined) ends.push(destroySession(http, session, signal))
    await Promise.allSettled(ends)
  }).catch(() => undefined)
}

function lost(what: string): ElectionError {
  return new ElectionError('SESSION_LOST', `our session with Consul ${what}`, true)
}
