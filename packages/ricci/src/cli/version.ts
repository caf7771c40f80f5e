import { Command } from 'commander'
import manifest from '../../package.json' with { type: 'json' }
import type { Surroundings } from './surroundings.ts'
import { outputOption, type OutputFormat } from './output.ts'

/** This release. */
export const version: string = manifest.version

export function versionCommand(surroundings: Surroundings): Command {
  return new Command('version')
    .description('print versions')
    .addOption(outputOption())
    .action(({ output }: { output: OutputFormat }) => {
      surroundings.write(
        output === 'json'
          ? `${JSON.stringify({ ricci: version, node: process.versions.node })}\n`
          : `ricci ${version} (Node ${process.versions.node})\n`,
      )
    })
}
