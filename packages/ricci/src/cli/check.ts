import { Command } from 'commander'
import { loadConfig } from '../config/config.ts'
import { describeRules } from './rules.ts'
import type { Surroundings } from './surroundings.ts'

export function checkCommand(surroundings: Surroundings): Command {
  return new Command('check')
    .description('check a configuration and the rules it names, and change nothing')
    .argument('<file>', 'the configuration')
    .action(async (file: string) => {
      const config = loadConfig(file)
      surroundings.write(`${file}: ok\n`)
      surroundings.write(await describeRules(config))
    })
}
