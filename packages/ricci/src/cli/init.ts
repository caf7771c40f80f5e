import { copyFileSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { Command } from 'commander'
import { startTypes } from '../start/declarations.ts'
import { startFiles, typesFolder } from '../start/files.ts'
import { withExamples } from './examples.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

/** `ricci init`: a folder to begin with, that an editor completes and checks without an install. */
export function initCommand(surroundings: Surroundings): Command {
  const command = new Command('init')
    .description(
      'write a small start: a configuration, rules, a test of them, and what an editor needs to complete and check them',
    )
    .argument('[folder]', 'where to; it is made if it is not there', '.')
    .action((given: string) => {
      const folder = resolve(given)
      const types = startTypes()
      const files = Object.entries(startFiles(types))
      const there = files.flatMap(([path]) => (path !== '.gitignore' && existsSync(join(folder, path)) ? [path] : []))
      const isOurs = there.length === files.length - 1 && types.copies.size > 0
      if (there.length > 0 && !isOurs) {
        throw new CommandError(
          ExitCode.failed,
          `${there.join(', ')} ${there.length === 1 ? 'is' : 'are'} in ${folder} already, and nothing was written; begin in an empty folder: ricci init FOLDER`,
        )
      }
      rmSync(join(folder, typesFolder), { recursive: true, force: true })
      for (const [path, from] of types.copies) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        copyFileSync(from, join(folder, path))
      }
      if (isOurs) {
        surroundings.write(`The types for your editor are those of this release now; nothing else was touched.\n`)
        return
      }
      const written = files.filter(([path]) => !existsSync(join(folder, path)))
      for (const [path, text] of written) {
        mkdirSync(dirname(join(folder, path)), { recursive: true })
        writeFileSync(join(folder, path), text)
      }
      surroundings.write(
        whatNext(
          folder,
          written.map(([path]) => path),
        ),
      )
    })
  return withExamples(
    command,
    ['ricci init monitoring && cd monitoring && ricci check'],
    'Writes over nothing: where any of it is there already it refuses. In a folder that it made, it brings the types for the editor up to date.',
  )
}

function whatNext(folder: string, files: readonly string[]): string {
  const here = relative(process.cwd(), folder)
  return [
    `Written into ${folder}: ${files.join(', ')}.`,
    '',
    'Next:',
    ...(here === '' ? [] : [`  cd ${here.startsWith('..') ? folder : here}`]),
    '  ricci check                       says whether all is right; the tests of the rules run as well',
    '  ricci serve --config ricci.yaml   watches, and prints pages here',
    '  ricci agent                       on another terminal: sends what this machine is at',
    "  ricci query 'true'                what is known now",
    '',
    'Change rules/index.ts, then: ricci rules diff, ricci rules reload.',
    '',
  ].join('\n')
}
