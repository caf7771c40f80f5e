import { Command } from 'commander'
import { withExamples } from './examples.ts'
import { outputOption, type OutputFormat } from './output.ts'
import { version } from './release.ts'
import type { Surroundings } from './surroundings.ts'

export function versionCommand(surroundings: Surroundings): Command {
  const command = new Command('version')
    .description('print versions')
    .addOption(outputOption())
    .action(({ output }: { output: OutputFormat }) => {
      surroundings.write(
        output === 'json'
          ? `${JSON.stringify({ ricci: version, node: process.versions.node })}\n`
          : `ricci ${version} (Node ${process.versions.node})\n`,
      )
    })
  return withExamples(command, ['ricci version'])
}
