import type { Command } from 'commander'

/** Gives a command's help the ways it is usually called, and what it needs, in a sentence. */
export function withExamples(command: Command, examples: readonly string[], needs?: string): Command {
  const lines = examples.map((example) => `  ${example}`).join('\n')
  const before = needs === undefined ? '' : `\n${needs}\n`
  return command.addHelpText('after', `${before}\n${examples.length > 1 ? 'Examples' : 'Example'}:\n${lines}`)
}
