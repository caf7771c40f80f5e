import { CommandError, ExitCode } from './surroundings.ts'
import { defaultUrl, UrlOption, type Target } from './target.ts'

/** `--url`, whose value is a {@link Target} when the command runs. */
export function urlOption(): UrlOption {
  return new UrlOption()
}

/**
 * Asks the server's API; gives the response when it is one of success.
 * @throws CommandError with a sentence for people
 */
export async function ask(
  target: Target,
  path: string,
  parameters: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Response> {
  return request(target, path, parameters, { signal })
}

/** Tells the server's API something; gives its answer. @throws CommandError with a sentence for people */
export async function tell<Answer>(target: Target, path: string, what: unknown): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  return (await jsonOf(
    await request(target, path, {}, { method: 'POST', headers, body: JSON.stringify(what) }),
  )) as Answer
}

/** So long a server may take to be connected to where there is another to ask. */
const connectMs = 3_000

async function request(
  { urls, token, ca, user }: Target,
  path: string,
  parameters: Readonly<Record<string, string>>,
  how: RequestInit,
): Promise<Response> {
  const headers = {
    ...(how.headers as Record<string, string>),
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(user !== undefined && { 'x-ricci-user': user }),
  }
  const last = urls.at(-1)!
  for (const base of urls) {
    const url = urlOf(base, path, parameters)
    try {
      const response = await send(url, { ...how, headers }, { ca, hurry: urls.length > 1 })
      // 202 to who tells something: it is taken, and its answer says how far it is; to who asks: there is no answer yet
      if (response.ok && (response.status !== 202 || how.method === 'POST')) return response
      const { error, code } = (await jsonOf(response)) as { error?: string; code?: string }
      // it ends, or has not begun: nothing was done
      if (code === 'NOT_RUNNING' && base !== last) continue
      // what lies in the server's folder is wrong, as where a command reads it itself
      const isRules = code?.startsWith('RULES_') === true && code !== 'RULES_RESOLVE'
      const exitCode = response.status === 400 ? ExitCode.usage : isRules ? ExitCode.configuration : ExitCode.failed
      throw new CommandError(exitCode, error ?? noServer(url.origin))
    } catch (error) {
      if (error instanceof CommandError || how.signal?.aborted === true) throw error
      const reason = reasonOf(error)
      if (base !== last && (how.method === undefined || beforeSending.test(reason))) continue
      throw new CommandError(ExitCode.failed, sentenceOf(urls.length > 1 ? urls.join(', ') : url.origin, reason), {
        cause: error,
      })
    }
  }
  throw new CommandError(ExitCode.usage, 'no server is named')
}

/** Reasons for which nothing can have arrived, so that another server may be told. */
const beforeSending =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|UND_ERR_CONNECT_TIMEOUT)$|CERT|VERIFY|SSL/

function sentenceOf(origin: string, reason: string): string {
  if (/CERT|VERIFY/.test(reason))
    return `the certificate of ${origin} is not trusted (${reason}): name who signed it, as "ca" of a context or by NODE_EXTRA_CA_CERTS`
  return `no answer from ${origin}: is a server running there? (${reason})`
}

/** By Node's own client, but where a certificate or a time to connect is asked for: the other takes time to load. */
async function send(
  url: URL,
  how: RequestInit,
  { ca, hurry }: { readonly ca: string | undefined; readonly hurry: boolean },
): Promise<Response> {
  if (ca === undefined && !hurry) return fetch(url, how)
  const { sendWith } = await import('./send-with.ts')
  return sendWith({ ...(ca !== undefined && { ca }), ...(hurry && { timeout: connectMs }) }, url, how)
}

function urlOf(base: string, path: string, parameters: Readonly<Record<string, string>>): URL {
  let url: URL
  try {
    url = new URL(path, base)
  } catch {
    throw new CommandError(ExitCode.usage, `"${base}" is not a URL; write it like ${defaultUrl}`)
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url
}

/**
 * The same, and the answer read.
 * @throws CommandError with a sentence for people
 */
export async function askJson<Answer>(...request: Parameters<typeof ask>): Promise<Answer> {
  return (await jsonOf(await ask(...request))) as Answer
}

/**
 * The same, and the answer read as it comes.
 * @param read what gives the answer; a SyntaxError of it means that there is none
 * @throws CommandError with a sentence for people
 */
export async function streamJson<Answer>(
  read: (body: AsyncIterable<Uint8Array>) => Promise<unknown>,
  ...request: Parameters<typeof ask>
): Promise<Answer> {
  return (await answerOf(await ask(...request), ({ body }) => read(body as AsyncIterable<Uint8Array>))) as Answer
}

function jsonOf(response: Response): Promise<unknown> {
  return answerOf(response, async () => JSON.parse(await response.text()) as unknown)
}

async function answerOf(response: Response, read: (response: Response) => Promise<unknown>): Promise<unknown> {
  const { origin } = new URL(response.url)
  try {
    return await read(response)
  } catch (error) {
    if (error instanceof SyntaxError) throw new CommandError(ExitCode.failed, noServer(origin), { cause: error })
    const message = `the answer of ${origin} broke off: is the server still running? (${reasonOf(error)})`
    throw new CommandError(ExitCode.failed, message, { cause: error })
  }
}

/** Something else has that port. */
export function noServer(origin: string): string {
  return `what answers at ${origin} is no Ricci server; --url names the server's HTTP side, like ${defaultUrl}`
}

/** Node's fetch hides the reason in the cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } }
  return cause?.code ?? cause?.message ?? (error as Error).message
}
