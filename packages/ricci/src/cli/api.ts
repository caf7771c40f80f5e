import { Option } from 'commander'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

const defaultUrl = 'http://127.0.0.1:5556'

/** `--url`: the server's HTTP side. */
export function urlOption(surroundings: Surroundings): Option {
  return new Option('--url <url>', "the server's API").default(surroundings.env.RICCI_URL ?? defaultUrl)
}

/**
 * Asks the server's API; gives the response when it is one of success.
 * @throws CommandError with a sentence for people
 */
export async function ask(
  base: string,
  path: string,
  parameters: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Response> {
  return request(base, path, parameters, { signal })
}

/** Tells the server's API something; gives its answer. @throws CommandError with a sentence for people */
export async function tell<Answer>(base: string, path: string, what: unknown): Promise<Answer> {
  const headers = { 'content-type': 'application/json' }
  return (await jsonOf(
    await request(base, path, {}, { method: 'POST', headers, body: JSON.stringify(what) }),
  )) as Answer
}

async function request(
  base: string,
  path: string,
  parameters: Readonly<Record<string, string>>,
  how: RequestInit,
): Promise<Response> {
  const { signal } = how
  let url: URL
  try {
    url = new URL(path, base)
  } catch {
    throw new CommandError(ExitCode.usage, `"${base}" is not a URL; write it like ${defaultUrl}`)
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  let response: Response
  try {
    response = await fetch(url, how)
  } catch (error) {
    if (signal?.aborted === true) throw error
    throw new CommandError(
      ExitCode.failed,
      `no answer from ${url.origin}: is a server running there? (${reasonOf(error)})`,
      { cause: error },
    )
  }
  if (response.ok && response.status !== 202) return response
  const { error } = (await jsonOf(response)) as { error?: string }
  throw new CommandError(response.status === 400 ? ExitCode.usage : ExitCode.failed, error ?? noServer(url.origin))
}

/**
 * The same, and the answer read.
 * @throws CommandError with a sentence for people
 */
export async function askJson<Answer>(...request: Parameters<typeof ask>): Promise<Answer> {
  return (await jsonOf(await ask(...request))) as Answer
}

async function jsonOf(response: Response): Promise<unknown> {
  const { origin } = new URL(response.url)
  let text: string
  try {
    text = await response.text()
  } catch (error) {
    const message = `the answer of ${origin} broke off: is the server still running? (${reasonOf(error)})`
    throw new CommandError(ExitCode.failed, message, { cause: error })
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CommandError(ExitCode.failed, noServer(origin), { cause: error })
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
