import { Command, CommanderError } from 'commander'
import { agentCommand } from './agent.ts'
import { checkCommand } from './check.ts'
import { clusterCommand } from './cluster.ts'
import { devCommand } from './dev.ts'
import { incidentsCommand } from './incidents.ts'
import { lead, leadCommand } from './lead.ts'
import { queryCommand } from './query.ts'
import { receiversCommand } from './receivers.ts'
import { sendCommand } from './send.ts'
import { serveCommand } from './serve.ts'
import { statusCommand } from './status.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'
import { testCommand } from './test.ts'
import { version, versionCommand } from './version.ts'
import { watchCommand } from './watch.ts'

/** Codes of errors that mean: the configuration or the rules are wrong, starting again will not help. */
const configurationCodes = /^(CONFIG_|RULES_)/

/**
 * Runs one command line.
 * @param words without the program's name
 * @returns the exit code: 0 ok, 1 failed, 2 usage, 78 bad configuration
 */
export async function runProgram(words: readonly string[], surroundings: Surroundings): Promise<number> {
  // Its command line is that of `elect`, with a command of its own behind `--`.
  if (words[0] === 'lead') return lead(words.slice(1))
  const program = new Command('ricci')
    .description('Monitoring that stays up: watches streams of events, keeps state, pages people')
    .version(version, '-V, --version', 'print the version')
    .showHelpAfterError('(ricci --help lists the commands)')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => surroundings.write(text),
      writeErr: (text) => surroundings.complain(text),
    })
  const commands = [
    devCommand(surroundings),
    serveCommand(surroundings),
    agentCommand(surroundings),
    checkCommand(surroundings),
    testCommand(surroundings),
    sendCommand(surroundings),
    queryCommand(surroundings),
    watchCommand(surroundings),
    statusCommand(surroundings),
    incidentsCommand(surroundings),
    receiversCommand(surroundings),
    clusterCommand(surroundings),
    leadCommand(),
    versionCommand(surroundings),
  ]
  for (const command of commands) {
    program.addCommand(command.copyInheritedSettings(program))
    for (const sub of command.commands) sub.copyInheritedSettings(program)
  }
  if (words.length === 0) {
    program.outputHelp({ error: true })
    return ExitCode.usage
  }
  try {
    await program.parseAsync(words, { from: 'user' })
    return ExitCode.ok
  } catch (error) {
    return exitCodeOf(error, surroundings)
  }
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
