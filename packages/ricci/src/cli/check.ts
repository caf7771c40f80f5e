import { Command } from 'commander'
import { loadConfig } from '../config/config.ts'
import { describeRules } from './rules.ts'
import { withExamples } from './examples.ts'
import type { Surroundings } from './surroundings.ts'

export function checkCommand(surroundings: Surroundings): Command {
  const command = new Command('check')
    .description('check a configuration and the rules it names, and change nothing')
    .argument('<file>', 'the configuration')
    .action(async (file: string) => {
      const config = loadConfig(file)
      surroundings.write(`${file}: ok\n`)
      surroundings.write(await describeRules(config))
    })
  return withExamples(command, ['ricci check /etc/ricci/ricci.yaml'])
}
