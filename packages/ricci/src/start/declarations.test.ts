import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { copied } from './declarations.ts'

const folder = mkdtempSync(join(tmpdir(), 'ricci-types-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('what the declarations of an installed package reach is copied as it would lie in node_modules, and nothing else', () => {
  const files: Readonly<Record<string, string>> = {
    'ricci/package.json': '{ "name": "ricci" }',
    'ricci/dist/index.d.ts': `export * from '@ricci/engine/vocabulary'`,
    'ricci/dist/test.d.ts': `import type { Run } from './rules/run.js'\nexport type { Run }`,
    'ricci/dist/rules/run.d.ts': `export type Run = import('@ricci/engine/vocabulary').Stream`,
    'ricci/dist/server.d.ts': 'export {}',
    '@ricci/engine/package.json': `{ "name": "@ricci/engine", "exports": { "./vocabulary": { "types": "./dist/streams/vocabulary.d.ts" } } }`,
    '@ricci/engine/dist/streams/vocabulary.d.ts': `import { readFileSync } from 'node:fs'\nexport { Stream } from './stream.ts'`,
    '@ricci/engine/dist/streams/stream.d.ts': 'export type Stream = string',
  }
  const at = (path: string): string => join(folder, 'node_modules', path)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(at(path)), { recursive: true })
    writeFileSync(at(path), text)
  }
  const { paths, copies } = copied({ ricci: at('ricci/dist/index.d.ts'), 'ricci/test': at('ricci/dist/test.d.ts') })
  const place = '.ricci/types/node_modules'
  assert.deepEqual(paths, {
    ricci: `./${place}/ricci/dist/index.d.ts`,
    'ricci/test': `./${place}/ricci/dist/test.d.ts`,
  })
  const wanted = Object.keys(files).filter((path) => !path.endsWith('server.d.ts'))
  assert.deepEqual([...copies.keys()].sort(), wanted.map((path) => `${place}/${path}`).sort())
})
