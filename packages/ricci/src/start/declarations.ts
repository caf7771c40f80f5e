/** The declarations of what rules import, for an editor: those of the installed package are copied, a clone's own sources are pointed at. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { RicciError } from '../errors.ts'
import { declarationFiles } from '../rules/type-check.ts'
import { typesFolder, type StartTypes } from './files.ts'

/** Declarations, and the files that they are to be copied from, by their paths in the new folder. */
export interface CopiedTypes extends StartTypes {
  readonly copies: ReadonlyMap<string, string>
}

/** Many times what the vocabulary and all that it names come to. */
const maxFiles = 2_000

/** @throws RicciError `CONFIG_UNREADABLE` where this program's own files are not there */
export function startTypes(): CopiedTypes {
  const files = declarationFiles()
  if (files === undefined) {
    throw new RicciError(
      'CONFIG_UNREADABLE',
      'the declarations of ricci are missing beside the program; install it again',
    )
  }
  return Object.values(files).every((file) => file.endsWith('.d.ts')) ? copied(files) : ofClone(files)
}

/** In a clone of the project there is nothing to copy: its packages are their sources, which use Node's types and a newer library. */
function ofClone(paths: Readonly<Record<string, string>>): CopiedTypes {
  const root = resolve(dirname(Object.values(paths)[0]), '../../..')
  return {
    paths,
    options: {
      lib: ['es2023'],
      noImplicitAny: true,
      customConditions: ['ricci-source'],
      types: ['node'],
      typeRoots: [join(root, 'node_modules/@types')],
    },
    copies: new Map(),
  }
}

/**
 * All that some declarations reach, each package as it would lie in `node_modules`: a compiler finds its way there by itself.
 * @param entries by the names that rules import
 */
export function copied(entries: Readonly<Record<string, string>>): CopiedTypes {
  const copies = new Map<string, string>()
  const queue = Object.values(entries)
  const reached = new Set<string>()
  while (queue.length > 0 && reached.size < maxFiles) {
    const file = queue.shift()!
    if (reached.has(file)) continue
    reached.add(file)
    const home = packageOf(file)
    copies.set(placeOf(file, home), file)
    copies.set(placeOf(join(home.folder, 'package.json'), home), join(home.folder, 'package.json'))
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/(?:from|import|import\()\s*['"]([^'"]+)['"]/g)) {
      const found = name.startsWith('.') ? beside(file, name) : inPackages(file, name)
      if (found !== undefined) queue.push(found)
    }
  }
  const paths = Object.entries(entries).map(([word, file]) => [word, `./${placeOf(file, packageOf(file))}`])
  return { paths: Object.fromEntries(paths) as Record<string, string>, options: {}, copies }
}

interface Home {
  readonly name: string
  readonly folder: string
}

function placeOf(file: string, { name, folder }: Home): string {
  return [typesFolder, 'node_modules', name, relative(folder, file)].join('/').replaceAll('\\', '/')
}

/** The package that a file belongs to: the nearest with a name. */
function packageOf(file: string): Home {
  for (let folder = dirname(file); dirname(folder) !== folder; folder = dirname(folder)) {
    const manifest = join(folder, 'package.json')
    if (!existsSync(manifest)) continue
    const { name } = JSON.parse(readFileSync(manifest, 'utf8')) as { name?: string }
    if (name !== undefined) return { name, folder }
  }
  return { name: 'ricci', folder: dirname(file) }
}

/** A declaration file imported by a relative path, which names what it is compiled to. */
function beside(file: string, name: string): string | undefined {
  const path = join(dirname(file), name)
  return [path.replace(/\.m?js$/, '.d.ts'), path.replace(/\.ts$/, '.d.ts'), `${path}.d.ts`, path].find(
    (each) => each.endsWith('.d.ts') && existsSync(each),
  )
}

/** What a package exports under a name, as seen from a file; Node's own modules and packages without types are nobody's. */
function inPackages(file: string, name: string): string | undefined {
  const [, owner, rest] = /^((?:@[^/]+\/)?[^/]+)(.*)$/.exec(name) ?? []
  if (owner === undefined) return undefined
  for (let folder = dirname(file); dirname(folder) !== folder; folder = dirname(folder)) {
    const home = join(folder, 'node_modules', owner)
    const manifest = join(home, 'package.json')
    if (!existsSync(manifest)) continue
    const { exports } = JSON.parse(readFileSync(manifest, 'utf8')) as { exports?: Record<string, { types?: string }> }
    const types = exports?.[`.${rest}`]?.types
    return types === undefined ? undefined : join(home, types)
  }
  return undefined
}
