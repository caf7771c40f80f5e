import { elect } from '@ricci/election/cli'
import { Command } from 'commander'
import { withExamples } from './examples.ts'

/** `ricci lead` is the command `elect` of @ricci/election. @returns its exit code */
export function lead(words: readonly string[]): Promise<number> {
  return elect(words)
}

/** For the list of commands alone: {@link lead} takes its words as they are. */
export function leadCommand(): Command {
  const command = new Command('lead').description(
    'run a command on one of several machines at a time (ricci lead --help)',
  )
  return withExamples(command, ['ricci lead --help'])
}
