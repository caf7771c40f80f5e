import { Command, CommanderError } from 'commander'
import { withExamples } from './examples.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import { version } from './release.ts'

/** Each loads what it needs when it is asked for: an agent is to be small, and a question about a server quick. */
const commands: Readonly<Record<string, (surroundings: Surroundings) => Promise<Command>>> = {
  dev: async (surroundings) => (await import('./dev.ts')).devCommand(surroundings),
  serve: async (surroundings) => (await import('./serve.ts')).serveCommand(surroundings),
  agent: async (surroundings) => (await import('./agent.ts')).agentCommand(surroundings),
  check: async (surroundings) => (await import('./check.ts')).checkCommand(surroundings),
  test: async (surroundings) => (await import('./test.ts')).testCommand(surroundings),
  rules: async (surroundings) => (await import('./rules.ts')).rulesCommand(surroundings),
  init: async (surroundings) => (await import('./init.ts')).initCommand(surroundings),
  send: async (surroundings) => (await import('./send.ts')).sendCommand(surroundings),
  query: async (surroundings) => (await import('./query.ts')).queryCommand(surroundings),
  watch: async (surroundings) => (await import('./watch.ts')).watchCommand(surroundings),
  status: async (surroundings) => (await import('./status.ts')).statusCommand(surroundings),
  log: async (surroundings) => (await import('./log.ts')).logCommand(surroundings),
  incidents: async (surroundings) => (await import('./incidents.ts')).incidentsCommand(surroundings),
  explain: async (surroundings) => (await import('./explain.ts')).explainCommand(surroundings),
  drill: async (surroundings) => (await import('./drill.ts')).drillCommand(surroundings),
  receivers: async (surroundings) => (await import('./receivers.ts')).receiversCommand(surroundings),
  cluster: async (surroundings) => (await import('./cluster.ts')).clusterCommand(surroundings),
  bench: async (surroundings) => (await import('./bench.ts')).benchCommand(surroundings),
  completion: async (surroundings) =>
    (await import('./completion.ts')).completionCommand(surroundings, () => commandTree(surroundings)),
  token: async (surroundings) => (await import('./token.ts')).tokenCommand(surroundings),
  audit: async (surroundings) => (await import('./audit.ts')).auditCommand(surroundings),
  context: async (surroundings) => (await import('./context.ts')).contextCommand(surroundings),
  lead: async () => (await import('./lead.ts')).leadCommand(),
  version: async (surroundings) => (await import('./version.ts')).versionCommand(surroundings),
}

/** Codes of errors that mean: the configuration or the rules are wrong, starting again will not help. */
const configurationCodes = /^(CONFIG_|RULES_)/

/**
 * Runs one command line.
 * @param words without the program's name
 * @returns the exit code: 0 ok, 1 failed, 2 usage, 78 bad configuration
 */
export async function runProgram(words: readonly string[], surroundings: Surroundings): Promise<number> {
  // Its command line is that of `elect`, with a command of its own behind `--`.
  if (words[0] === 'lead') return (await import('./lead.ts')).lead(words.slice(1))
  const program = await commandTree(surroundings, Object.hasOwn(commands, words[0] ?? '') ? [words[0]] : undefined)
  if (words.length === 0) {
    program.outputHelp({ error: true })
    return ExitCode.usage
  }
  try {
    const agent =
      words[0] === 'agent' ? ['agent', ...(await import('./agent.ts')).withCheckFirst(words.slice(1))] : words
    await program.parseAsync(agent, { from: 'user' })
    return ExitCode.ok
  } catch (error) {
    return exitCodeOf(error, surroundings)
  }
}

/**
 * All commands, each with its options and help.
 * @param names those that are wanted; all of them unless told
 */
export async function commandTree(
  surroundings: Surroundings,
  names: readonly string[] = Object.keys(commands),
): Promise<Command> {
  const program = new Command('ricci')
    .description('Monitoring that stays up: watches streams of events, keeps state, pages people')
    .version(version, '-V, --version', 'print the version')
    .showHelpAfterError('(ricci --help lists the commands)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.write(text),
      writeErr: (text) => surroundings.complain(text),
    })
  for (const name of names) {
    const command = await commands[name](surroundings)
    if (asksServer(command)) {
      const { addContextOptions, settleTarget } = await import('./target.ts')
      addContextOptions(command)
      command.hook('preAction', (_, action) => settleTarget(action, surroundings))
    }
    program.addCommand(inheriting(command, program, `ricci ${name}`))
  }
  return withExamples(program, ['ricci dev', 'ricci status', `ricci query 'state != "ok"'`])
}

/** How errors are told goes for all of them; each names its own help. */
function inheriting(command: Command, from: Command, words: string): Command {
  command.copyInheritedSettings(from).showHelpAfterError(`(${words} --help shows what it takes)`)
  for (const sub of command.commands) inheriting(sub, command, `${words} ${sub.name()}`)
  return command
}

/** Whether it, or a command below it, takes `--url`: only then what contexts need is loaded. */
function asksServer({ options, commands }: Command): boolean {
  return options.some(({ long }) => long === '--url') || commands.some(asksServer)
}

function exitCodeOf(error: unknown, surroundings: Surroundings): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage
  const { message, code, stack } = error as Error & { code?: string }
  // a code means that the message is written for people; anything else is a defect and shows where it is
  const known = error instanceof CommandError || typeof code === 'string'
  surroundings.complain(`${known ? `ricci: ${message}` : (stack ?? String(error))}\n`)
  if (error instanceof CommandError) return error.exitCode
  return configurationCodes.test(code ?? '') ? ExitCode.configuration : ExitCode.failed
}
