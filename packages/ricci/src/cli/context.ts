import { Command } from 'commander'
import { listContexts, useContext } from './contexts.ts'
import { withExamples } from './examples.ts'
import { outputOption, table, type OutputFormat } from './output.ts'
import type { Surroundings } from './surroundings.ts'

/** `ricci context …`: which servers commands ask, by name. */
export function contextCommand({ env, write, complain }: Surroundings): Command {
  const command = new Command('context').description(
    'say which servers commands ask: names in ~/.config/ricci/contexts.yaml',
  )
  withExamples(command.command('list'), ['ricci context list'])
    .description('list the contexts; * is the current one')
    .addOption(outputOption())
    .action(({ output }: { output: OutputFormat }) => {
      const { current, contexts } = listContexts(env)
      if (output === 'json') return write(`${JSON.stringify({ current, contexts })}\n`)
      if (contexts.length === 0) return complain('There is none; docs/access.md shows how to write one.\n')
      const rows = contexts.map(({ name, urls, token }) => [name === current ? '*' : '', name, urls.join(', '), token])
      write(table(['', 'CONTEXT', 'URLS', 'TOKEN'], rows))
    })
  withExamples(command.command('use'), ['ricci context use production'])
    .description('have commands ask the servers of this context from now on')
    .argument('<name>')
    .action((name: string) => {
      useContext(name, env)
      complain(`Commands ask the servers of ${name} from now on.\n`)
    })
  return withExamples(command, ['ricci context list', 'ricci context use production'])
}
