import type { SendResult } from '@ricci/replica'
import { Command, Option } from 'commander'
import { loadConfig } from '../config/config.ts'
import { Receivers } from '../receivers/receivers.ts'
import type { ReceiverTest, ReceiverView } from '../receivers/try.ts'
import { nodeClock } from '../server/node-clock.ts'
import { askJson, tell, urlOption } from './api.ts'
import { withExamples } from './examples.ts'
import { outputOption, printable, table, type OutputFormat } from './output.ts'
import { whileWaiting } from './progress.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import type { Target } from './target.ts'

interface Options {
  readonly url: Target
  readonly config?: string
  readonly output: OutputFormat
}

/** Longest answer: three pages, each with ten seconds to go. */
const hint = 'each page has 10 s to be answered'

/** `ricci receivers …`: of a server that runs or, with `--config`, of a configuration, from this machine. */
export function receiversCommand(surroundings: Surroundings): Command {
  const command = new Command('receivers').description('say who can be paged, and try it out')
  const sub = (name: string, description: string): Command =>
    command
      .command(name)
      .description(description)
      .addOption(new Option('-c, --config <file>', 'ask no server: take the receivers of this configuration'))
      .addOption(outputOption())
      .addOption(urlOption())
  const print = (output: OutputFormat, answer: unknown, text: () => string): void =>
    surroundings.write(output === 'json' ? `${JSON.stringify(answer)}\n` : text())

  withExamples(sub('list', 'list the receivers that rules may page'), [
    'ricci receivers list',
    'ricci receivers list --config /etc/ricci/ricci.yaml',
  ]).action(async ({ url, config, output }: Options) => {
    const receivers =
      config === undefined
        ? (await askJson<{ receivers: ReceiverView[] }>(url, '/api/v1/receivers', {})).receivers
        : receiversOf(config, surroundings).views()
    print(output, { receivers }, () => listTable(receivers))
  })
  withExamples(
    sub('test', 'send a receiver a page that is marked as a test, and say what it answered'),
    ['ricci receivers test oncall'],
    'What is triggered is taken back at once.',
  )
    .argument('<name>', 'the receiver, as ricci receivers list has it')
    .action(async (name: string, { url, config, output }: Options) => {
      const tried =
        config === undefined
          ? tell<ReceiverTest>(url, `/api/v1/receivers/${encodeURIComponent(name)}/test`, {})
          : receiversOf(config, surroundings).try(name)
      const test = await whileWaiting(surroundings, `waiting for ${printable(name)} (${hint})`, tried)
      print(output, test, () => testTable(test))
      const wrong = test.steps.find(({ result }) => result.kind !== 'delivered')
      if (wrong !== undefined) throw new CommandError(ExitCode.failed, whatToDo(name, wrong.result))
    })
  return withExamples(command, ['ricci receivers list', 'ricci receivers test oncall'])
}

function receiversOf(file: string, { print }: Surroundings): Receivers {
  return new Receivers(loadConfig(file), { clock: nodeClock, write: (line) => print(`${line}\n`) })
}

function listTable(receivers: readonly ReceiverView[]): string {
  return table(
    ['RECEIVER', 'TYPE', 'CLASS', 'IN DOUBT', ''],
    receivers.map(({ name, type, class: receiverClass, inDoubt, fallback, self }) => [
      ...[name, type, receiverClass],
      receiverClass === 'C' ? (inDoubt ?? '') : receiverClass === 'B' ? 'look up' : 'repeat, by its key',
      [...(fallback ? ['fallback'] : []), ...(self ? ['self'] : [])].join(', '),
    ]),
  )
}

function testTable({ steps }: ReceiverTest): string {
  return table(
    ['SENT', 'RESULT', 'ANSWER'],
    steps.map(({ action, result }) => [action, result.kind, result.detail ?? '']),
  )
}

function whatToDo(name: string, { kind, detail }: SendResult): string {
  const said = printable(detail ?? '')
  switch (kind) {
    case 'refused':
      return `${name} refuses pages (${said}): mend its settings in the configuration, or what it says is wrong there`
    case 'failed':
      return `${name} was sent nothing, or says that it did nothing (${said}): check its address, and the way there`
    default:
      return `${name} may have been told or not (${said}): look there, and try again`
  }
}
