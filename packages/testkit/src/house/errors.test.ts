// docs/errors.md lists every code of every error, each under the type that declares it, and no code is declared for nothing.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

const product = ['client', 'election', 'engine', 'replica', 'ricci']
const sources = product.flatMap((name) =>
  readdirSync(`packages/${name}/src`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => readFileSync(join(`packages/${name}/src`, file), 'utf8')),
)

/** `export type SomethingErrorCode = 'A' | 'B'`, and what declares the codes a host fails with. */
const declaration = /^export type (\w+(?:Error|Failure)Code) =([^]*?)\n(?! *(?:\||\/\/|\/\*| \*))/gm
const quoted = (text: string): string[] => [...text.matchAll(/'([A-Z][A-Z_]+)'/g)].map(([, code]) => code)
const declared = new Map(
  sources.flatMap((text) => [...text.matchAll(declaration)].map(([, type, codes]) => [type, quoted(codes)] as const)),
)

const page = readFileSync('docs/errors.md', 'utf8')
/** The codes of each section: a heading names the type, rows begin with a code and say what it means and what to do. */
const documented = new Map(
  [...page.matchAll(/^## .*\(`(\w+)`\)\n([^]*?)(?=^## |$(?![^]))/gm)].map(([, type, section]) => [
    type,
    [...section.matchAll(/^\| `([A-Z_]+)` +(?:\| \d+ +)?\| \S[^|]+\| \S[^|]+\|$/gm)].map(([, code]) => code),
  ]),
)

describe('docs/errors.md', () => {
  it('has a section for each type of codes', () => {
    assert.ok(declared.size >= 7, `only ${[...declared.keys()].join(', ')} were found in the code`)
    assert.deepEqual([...documented.keys()].sort(), [...declared.keys()].sort())
  })

  for (const [type, codes] of declared) {
    it(`says of each ${type} what it means and what to do`, () => {
      assert.deepEqual([...(documented.get(type) ?? [])].sort(), [...codes].sort())
    })
  }

  it('declares no code that nothing fails with', () => {
    const uses = sources.flatMap((text) => quoted(text.replaceAll(declaration, '')))
    assert.deepEqual(
      [...declared.values()].flat().filter((code) => !uses.includes(code)),
      [],
    )
  })

  it('leaves no code undeclared', () => {
    const thrown = sources.flatMap((text) =>
      [...text.matchAll(/\b(?:\w+Error\(\s*|code: )'([A-Z][A-Z_]+)'/g)].map(([, code]) => code),
    )
    assert.ok(thrown.length > 50, 'hardly any error was found in the code')
    const known = new Set([...declared.values()].flat())
    assert.deepEqual(
      thrown.filter((code) => !known.has(code)),
      [],
    )
  })
})
