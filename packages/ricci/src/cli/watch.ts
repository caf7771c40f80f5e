import type { Event } from '@ricci/client'
import { Command } from 'commander'
import { ask, noServer, urlOption } from './api.ts'
import { eventLine } from './events.ts'
import { outputOption, type OutputFormat } from './output.ts'
import { untilStopped } from './signals.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

interface Options {
  readonly url: string
  readonly output: OutputFormat
}

export function watchCommand(surroundings: Surroundings): Command {
  return new Command('watch')
    .description('print changes of the index that match a query, as they come, until Ctrl-C')
    .argument('<query>', `for example 'state != "ok"'`)
    .addOption(outputOption())
    .addOption(urlOption(surroundings))
    .action(async (query: string, { url, output }: Options) => {
      const stopped = untilStopped(surroundings)
      try {
        const response = await ask(url, '/api/v1/watch', { query }, stopped.signal)
        for await (const line of lines(response)) {
          const event = eventOf(line, response)
          surroundings.write(output === 'json' ? `${line}\n` : eventLine(event))
        }
        throw ended()
      } catch (error) {
        if (!stopped.signal.aborted) throw error
      } finally {
        stopped.dispose()
      }
    })
}

function ended(cause?: unknown): CommandError {
  return new CommandError(ExitCode.failed, 'the server ended the watch; is it still running?', { cause })
}

function eventOf(line: string, { url }: Response): Event {
  try {
    return JSON.parse(line) as Event
  } catch (cause) {
    throw new CommandError(ExitCode.failed, noServer(new URL(url).origin), { cause })
  }
}

/** The lines of a response that are not empty: empty ones are signs of life. */
async function* lines(response: Response): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let rest = ''
  try {
    for await (const chunk of response.body!) {
      const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = parts.pop()!
      for (const line of parts) if (line !== '') yield line
    }
  } catch (error) {
    throw ended(error)
  }
}
