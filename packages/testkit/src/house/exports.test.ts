// Every name that a package exports has a doc comment: it is what people see who have nothing but the installed package.
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, it } from 'node:test'
import ts from 'typescript'

interface Manifest {
  readonly private?: boolean
  readonly exports: Readonly<Record<string, { readonly 'ricci-source': string }>>
}

/** What of a package can be imported: its main entry and its subpaths. */
function entriesOf(name: string): string[] {
  const manifest = JSON.parse(readFileSync(`packages/${name}/package.json`, 'utf8')) as Manifest
  if (manifest.private === true) return []
  return Object.values(manifest.exports).map((target) => join('packages', name, target['ricci-source']))
}

describe('public exports', () => {
  const { config } = ts.readConfigFile('tsconfig.json', (file) => readFileSync(file, 'utf8'))
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, process.cwd())
  const entries = readdirSync('packages').flatMap(entriesOf)
  const program = ts.createProgram(entries, options)
  const checker = program.getTypeChecker()

  for (const entry of entries)
    it(`${entry}: each has a doc comment`, () => {
      const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)
      const bare = (module === undefined ? [] : checker.getExportsOfModule(module))
        .map((symbol) => ({
          name: symbol.name,
          target: symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
        }))
        .filter(({ target }) => target.getDocumentationComment(checker).length === 0)
        .map(({ name, target }) => {
          const declaration = target.declarations?.[0]
          const file = declaration?.getSourceFile()
          const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(declaration!.getStart()).line + 1
          return `${file === undefined ? '?' : relative(process.cwd(), join(file.fileName))}:${line} ${name}`
        })
      assert.deepEqual(bare, [])
    })
})
