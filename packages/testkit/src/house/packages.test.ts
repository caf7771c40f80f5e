// What is published: built, packed, installed into an empty folder, imported there on the oldest Node that is promised and on the
// recommended one, and compiled against by a program that sees nothing but the installed declarations.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { nodeTool } from './tools.ts'

/** The floor of `engines`, and the recommendation. */
const oldestNode = '20.19.6'
const recommendedNode = '24.21.0'

const names = {
  client: '@ricci/client',
  election: '@ricci/election',
  engine: '@ricci/engine',
  replica: '@ricci/replica',
  ricci: 'ricci',
}
type Package = keyof typeof names
const all = Object.keys(names) as Package[]

const packed = resolve('.build/packages')
const tarball = (name: Package): string =>
  join(packed, `${names[name].replace('@', '').replace('/', '-')}-${version}.tgz`)
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string }

/** What programs import from each: the package's name and those of its subpaths. */
const importsOf = (name: Package): string[] => {
  const { exports } = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8')) as { exports: object }
  return Object.keys(exports).map((path) => join(names[name], path))
}

/** A program that imports a package by each of its names and prints what it exports. */
const importer = (name: Package): string =>
  `const modules = await Promise.all(${JSON.stringify(importsOf(name))}.map((name) => import(name)));
   console.log(JSON.stringify(modules.map((module) => Object.keys(module))))`

/** npm's own output on errors is in the error that this throws. */
function npm(args: string[], cwd: string): void {
  const common = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline', '--ignore-scripts']
  execFileSync('npm', [...args, ...common], { cwd, stdio: 'pipe' })
}

describe('published packages', () => {
  const folders = new Map<string, string>()
  /** A folder with nothing but these packages in it, installed from their tarballs, once for all tests that want the same. */
  function folderWith(...packages: Package[]): string {
    const there = folders.get(packages.join())
    if (there !== undefined) return there
    const folder = mkdtempSync(join(tmpdir(), 'ricci-package-'))
    folders.set(packages.join(), folder)
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }')
    npm(['install', ...packages.map(tarball)], folder)
    return folder
  }

  before(() => {
    execFileSync(process.execPath, ['scripts/package.mjs'], { stdio: ['ignore', 'pipe', 'pipe'] })
  })
  after(() => {
    for (const folder of folders.values()) rmSync(folder, { recursive: true, force: true })
  })

  const exportsOf = (folder: string, name: Package, node: string): string[][] => {
    const output = execFileSync(node, ['--input-type=module', '-e', importer(name)], { cwd: folder, encoding: 'utf8' })
    return JSON.parse(output) as string[][]
  }

  for (const name of all)
    it(`${name}: the tarball holds what it should and nothing else`, () => {
      const files = execFileSync('tar', ['-tzf', tarball(name)], { encoding: 'utf8' })
        .trim()
        .split('\n')
        .map((file) => file.replace('package/', ''))
      for (const file of ['README.md', 'LICENSE', 'package.json', 'dist/index.mjs', 'dist/index.d.ts'])
        assert.ok(files.includes(file), `${file} is missing`)
      const expected = /^(README\.md|LICENSE|package\.json|dist\/.+\.(mjs|d\.ts))$/
      assert.deepEqual(
        files.filter((file) => !expected.test(file) || file.includes('.test.')),
        [],
      )
      const manifest = readFileSync(join(packed, name, 'package.json'), 'utf8')
      assert.doesNotMatch(manifest, /ricci-source/)
    })

  it('the operators’ tables of cases stay at home: each is called @__PURE__, so that bundles leave it out', () => {
    const modules = all.flatMap((name) =>
      readdirSync(join(packed, name, 'dist'))
        .filter((file) => file.endsWith('.mjs'))
        .map((file) => join(packed, name, 'dist', file)),
    )
    assert.ok(modules.length >= all.length)
    assert.deepEqual(
      modules.filter((file) => /\bcasesOf\b/.test(readFileSync(file, 'utf8'))),
      [],
    )
  })

  it('client alone: installs nothing else', () => {
    const folder = folderWith('client')
    const installed = readdirSync(join(folder, 'node_modules')).filter((entry) => !entry.startsWith('.'))
    assert.deepEqual(installed, ['@ricci'])
    assert.deepEqual(readdirSync(join(folder, 'node_modules/@ricci')), ['client'])
    assert.ok(exportsOf(folder, 'client', process.execPath).every((names) => names.length > 0))
  })

  for (const [node, packages] of [
    [oldestNode, all],
    [recommendedNode, ['client', 'engine']],
  ] as [string, Package[]][])
    it(`imports on Node ${node}: ${packages.join(', ')}`, (context) => {
      const tool = nodeTool(node)
      if ('missing' in tool) return context.skip(tool.missing)
      const folder = folderWith(...packages)
      for (const name of packages) {
        const here = exportsOf(folder, name, process.execPath)
        assert.deepEqual(exportsOf(folder, name, tool.command), here)
      }
    })

  it('declarations: a program compiles against them, and a wrong one does not', () => {
    const folder = folderWith(...all)
    const program = `
      import type { Event } from '@ricci/client'
      import { EngineError, type Engine } from '@ricci/engine'
      import type { LogPort } from '@ricci/replica'
      import { index, rules } from 'ricci'
      import { EmbeddedLog } from 'ricci/embedded'
      export const event: Event = { host: 'a', service: 'b' }
      export const failed = (error: unknown): boolean => error instanceof EngineError && error.code.length > 0
      export type Both = [Engine, LogPort]
      export const open = EmbeddedLog.open
      export default rules(index())
    `
    writeFileSync(join(folder, 'good.ts'), program)
    writeFileSync(join(folder, 'wrong.ts'), `${program}\nexport const wrong: Event = { host: 5 }\n`)
    writeFileSync(
      join(folder, 'rules.ts'),
      `import { EmbeddedLog } from 'ricci'\nexport const open = EmbeddedLog.open\n`,
    )
    const compile = (file: string): string => {
      const options = ['--noEmit', '--strict', '--target', 'es2023', '--module', 'nodenext', '--types', 'node']
      const types = ['--typeRoots', resolve('node_modules/@types')]
      try {
        return execFileSync(
          process.execPath,
          [resolve('node_modules/typescript/bin/tsc'), ...options, ...types, file],
          {
            cwd: folder,
            encoding: 'utf8',
          },
        )
      } catch (error) {
        return (error as { stdout: string }).stdout
      }
    }
    assert.equal(compile('good.ts'), '')
    assert.match(
      compile('wrong.ts'),
      /^wrong\.ts\(\d+,\d+\): error TS2322: Type 'number' is not assignable to type 'string/,
    )
    assert.match(compile('rules.ts'), /has no exported member 'EmbeddedLog'/)
  })
})
