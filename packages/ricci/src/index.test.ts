// What the declarations of 'ricci' promise to a rule is what the bundler and the engine give it: no name less, no name more.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import ts from 'typescript'
import { bundleRules } from './rules/bundle.ts'
import { evaluateRules } from './rules/evaluate.ts'

const folder = mkdtempSync(join(tmpdir(), 'ricci-index-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** Names that a rule can import and use as a value, by the type checker's word. */
function promised(): string[] {
  const { config } = ts.readConfigFile('tsconfig.json', (file) => readFileSync(file, 'utf8'))
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, process.cwd())
  const entry = 'packages/ricci/src/index.ts'
  const program = ts.createProgram([entry], options)
  const checker = program.getTypeChecker()
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!
  return checker
    .getExportsOfModule(module)
    .filter((symbol) => {
      const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
      return (target.flags & ts.SymbolFlags.Value) !== 0
    })
    .map(({ name }) => name)
    .sort()
}

/** Names that a rule finds when it runs. */
async function given(): Promise<string[]> {
  writeFileSync(
    join(folder, 'index.ts'),
    `import * as all from 'ricci'
export default { streams: Object.keys(all).filter((name) => (all as Record<string, unknown>)[name] !== undefined) }
`,
  )
  const { bundle } = await bundleRules(folder)
  const { streams } = evaluateRules(bundle, () => 0).description as unknown as { streams: string[] }
  return streams.filter((name) => name !== 'default').sort()
}

test("what the types of 'ricci' promise is what rules get", async () => {
  const names = promised()
  assert.ok(names.includes('incident') && names.includes('with'), names.join())
  assert.deepEqual(await given(), names)
})
