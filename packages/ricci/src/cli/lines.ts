import { noServer } from './api.ts'
import { CommandError, ExitCode } from './surroundings.ts'

/** The lines of an answer that are not empty: empty ones are signs of life. @throws CommandError when it breaks off */
export async function* linesOf(response: Response, ended: string): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const chunk of response.body!) {
      const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = parts.pop()!
      for (const line of parts) if (line !== '') yield line
    }
  } catch (cause) {
    throw new CommandError(ExitCode.failed, ended, { cause })
  }
}

/** What a line says. @throws CommandError where that is no JSON */
export function parsedLine<Line>(line: string, { url }: Response): Line {
  try {
    return JSON.parse(line) as Line
  } catch (cause) {
    throw new CommandError(ExitCode.failed, noServer(new URL(url).origin), { cause })
  }
}
