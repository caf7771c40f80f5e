import { Command } from 'commander'
import { loadConfig } from '../config/config.ts'
import { withExamples } from './examples.ts'
import { describeRules, givenRules } from './rules-check.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

/** `ricci test`: what stands before a switch of rules, without a server, and without receivers where no configuration names any. */
export function testCommand(surroundings: Surroundings): Command {
  const command = new Command('test')
    .description(
      'check the types of rules, run the tests beside them, and look for state that they keep outside of the engine',
    )
    .argument('[folder]', 'the rules; default: those of ricci.yaml here, else ./rules')
    .option('-c, --config <file>', 'the configuration whose settings and receivers hold')
    .action(async (folder: string | undefined, { config: file }: { config?: string }) => {
      const { config } = file === undefined ? givenRules(folder) : { config: loadConfig(file) }
      const given = file === undefined || folder === undefined ? config : { ...config, rulesFolder: folder }
      try {
        surroundings.write(await describeRules(given, surroundings))
      } catch (error) {
        // a test that fails is no bad configuration
        const { code, message } = error as { code?: string; message: string }
        throw code === 'RULES_TESTS' ? new CommandError(ExitCode.failed, message, { cause: error }) : error
      }
    })
  return withExamples(
    command,
    ['ricci test', 'ricci test rules --config /etc/ricci/ricci.yaml'],
    'Needs no server, and pages nobody.',
  )
}
