import { Command } from 'commander'
import { withExamples } from './examples.ts'
import { describeRules, givenRules } from './rules-check.ts'
import type { Surroundings } from './surroundings.ts'

export function checkCommand(surroundings: Surroundings): Command {
  const command = new Command('check')
    .description('check a configuration and the rules it names, and change nothing')
    .argument('[file]', 'the configuration, or a folder of rules; default: ricci.yaml here, else ./rules')
    .action(async (given: string | undefined) => {
      const { config, file } = givenRules(given)
      if (file !== undefined) surroundings.write(`${file}: ok\n`)
      surroundings.write(await describeRules(config, surroundings))
    })
  return withExamples(
    command,
    ['ricci check', 'ricci check /etc/ricci/ricci.yaml', 'ricci check rules'],
    'Rules are checked as before a switch: types, the tests beside them, and generated events that find state kept outside of the engine.',
  )
}
