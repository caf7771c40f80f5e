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
  let url: URL
  try {
    url = new URL(path, base)
  } catch {
    throw new CommandError(ExitCode.usage, `"${base}" is not a URL; write it like ${defaultUrl}`)
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  let response: Response
  try {
    response = await fetch(url, { signal })
  } catch (error) {
    if (signal?.aborted === true) throw error
    throw new CommandError(
      ExitCode.failed,
      `no answer from ${url.origin}: is a server running there? (${reasonOf(error)})`,
      { cause: error },
    )
  }
  if (response.ok && response.status !== 202) return response
  const text = await response.text()
  let message = text
  try {
    message = (JSON.parse(text) as { error?: string }).error ?? text
  } catch {
    // not one of our answers
  }
  throw new CommandError(response.status === 400 ? ExitCode.usage : ExitCode.failed, message)
}

/** Node's fetch hides the reason in the cause. */
function reasonOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; message?: string } }
  return cause?.code ?? cause?.message ?? (error as Error).message
}
