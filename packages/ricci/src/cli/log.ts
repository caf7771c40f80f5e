import { Command, InvalidArgumentError } from 'commander'
import type { Names, RecordLine } from '../server/log-lines.ts'
import { ask, urlOption } from './api.ts'
import { withExamples } from './examples.ts'
import { linesOf, parsedLine } from './lines.ts'
import { outputOption, printable, truncated, type OutputFormat } from './output.ts'
import { untilStopped } from './signals.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'
import { columnsOf } from './terminal.ts'

interface Options {
  readonly url: Target
  readonly output: OutputFormat
  readonly from?: string
  readonly lines: string
  readonly kind?: string
  readonly follow: boolean
}

const ended = 'the server ended the answer; is it still running?'

const kinds = 'events, claim, tick, attempt, outcome, command, rules, checkpoint, skip, hole'

/** `ricci log …`: what everything is decided from. */
export function logCommand(surroundings: Surroundings): Command {
  const command = new Command('log').description('look at the log, from which everything is decided')
  const tail = command
    .command('tail')
    .description('print the records of a partition, as they come, until Ctrl-C')
    .argument('<partition>', 'its number; 0 where one server works alone', whole)
    .option('--from <offset>', 'from this record on, instead of the last ones', whole)
    .option('-n, --lines <count>', 'begin with so many of the last records', whole, '20')
    .option('--kind <kinds>', `these alone, like attempt,outcome: ${kinds}`, kindsOf)
    .option('--no-follow', 'end where the log ends now')
    .addOption(outputOption())
    .addOption(urlOption())
    .action(async (partition: string, { url, output, from, lines, kind, follow }: Options) => {
      const stopped = untilStopped(surroundings)
      const room = columnsOf(surroundings)
      const parameters: Record<string, string> = {
        ...(from === undefined ? { last: lines } : { from }),
        ...(kind !== undefined && { kind }),
        follow: String(follow),
      }
      try {
        const response = await ask(url, `/api/v1/log/${partition}`, parameters, stopped.signal)
        for await (const line of linesOf(response, ended)) {
          const text = output === 'json' ? line : truncated(recordText(parsedLine<RecordLine>(line, response)), room)
          surroundings.write(`${text}\n`)
        }
        if (follow) throw new CommandError(ExitCode.failed, ended)
      } catch (error) {
        if (!stopped.signal.aborted) throw error
      } finally {
        stopped.dispose()
      }
    })
  withExamples(
    tail,
    [
      'ricci log tail 0',
      'ricci log tail 0 -n 100 --kind claim,attempt,outcome',
      'ricci log tail 7 --from 120000 --no-follow -o json | jq .kind',
    ],
    'Any instance can be asked, also for a partition that it does not keep: it reads the log itself.',
  )
  return withExamples(command, ['ricci log tail 0'])
}

function whole(text: string): string {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('write a whole number, from 0 on.')
  return text
}

function kindsOf(text: string): string {
  const known = [...kinds.split(', '), 'unreadable']
  const names = text.split(',').map((name) => name.trim())
  const wrong = names.find((name) => !known.includes(name))
  if (wrong !== undefined) throw new InvalidArgumentError(`there is no kind "${wrong}"; there are ${kinds}.`)
  return names.join(',')
}

/** One record on one line: where, when, what. */
export function recordText(record: RecordLine): string {
  const { offset, kind, atMs } = record
  const time = atMs === undefined ? '' : new Date(atMs).toISOString().slice(11, 23)
  return printable(
    [String(offset).padStart(8), time.padEnd(12), kind.padEnd(10), detailOf(record)].join('  '),
  ).trimEnd()
}

/** What each kind says, as far as it is not there already. */
function detailOf(record: RecordLine): string {
  switch (record.kind) {
    case 'events': {
      const { events, hosts, services, mark } = record
      const from = mark === undefined ? '' : `, ${mark.producer} ${mark.incarnation}/${mark.sequence}`
      return `${events} of ${named(hosts)}: ${named(services)}${from}`
    }
    case 'tick': {
      const { number, epoch, elapsedMs, back } = record
      return `${number}, epoch ${epoch}, ${Math.round(elapsedMs)} ms${back === true ? ', the wall clock went back' : ''}`
    }
    case 'claim':
      return `epoch ${record.epoch} by ${record.instance}, semantics ${record.semantics}`
    case 'attempt': {
      const { epoch, n, receiver, pages, digest, repeats } = record
      const how = `${digest === undefined ? '' : ', as a digest'}${repeats === undefined ? '' : `, again after ${repeats}`}`
      return `${epoch}/${n} to ${receiver}: ${listed(pages)}${how}`
    }
    case 'outcome': {
      const { epoch, n, receiver, pages, result, detail } = record
      return `${epoch}/${n} at ${receiver}: ${result}${detail === undefined ? '' : ` (${detail})`}, ${listed(pages)}`
    }
    case 'rules':
      return `${record.hash.slice(0, 12)}, ${record.bundleBytes} bytes, semantics ${record.semantics}`
    case 'hole':
      return 'an offset that the log used for itself'
    default: {
      const { offset: _offset, kind: _kind, bytes: _bytes, atMs: _atMs, ...rest } = record
      return Object.entries(rest)
        .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
        .join(', ')
    }
  }
}

function named({ count, first }: Names): string {
  const some = first.map((name) => (name === '' ? '(none)' : name)).join(', ')
  return count > first.length ? `${some} and ${count - first.length} more` : some
}

function listed(pages: readonly string[]): string {
  return pages.length > 3 ? `${pages.length} pages` : pages.join(', ')
}
