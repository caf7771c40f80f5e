import assert from 'node:assert/strict'
import { test } from 'node:test'
import { build } from 'esbuild'

/** What `ricci agent` loads of others, each with what it takes. Another 10 MB here are 10 MB on every machine. */
const allowed = ['commander', 'pino']

test('the agent loads none of the libraries of the server', async () => {
  const main = 'packages/ricci/src/cli/main.ts'
  // what it imports once it knows what it is to do
  const agent = ['cli/agent', 'agent/local-agent', 'agent/local-http', 'telemetry/uncounted'].map(
    (name) => `packages/ricci/src/${name}.ts`,
  )
  const { metafile } = await build({
    entryPoints: [main],
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    outdir: 'unwritten',
    platform: 'node',
    format: 'esm',
    conditions: ['ricci-source'],
    plugins: [
      {
        name: 'packages stay outside',
        setup: ({ onResolve }) =>
          onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
            kind === 'entry-point' || path.startsWith('@ricci/') ? undefined : { path, external: true },
          ),
      },
    ],
  })
  const seen = new Set<string>()
  const outside = new Set<string>()
  const visit = (file: string): void => {
    if (seen.has(file)) return
    seen.add(file)
    for (const { path, external, kind } of metafile.inputs[file].imports) {
      if (kind === 'dynamic-import') continue
      if (external !== true) visit(path)
      else if (!path.startsWith('node:')) outside.add(path)
    }
  }
  for (const file of [main, ...agent]) visit(file)
  assert.deepEqual(
    [...outside].filter((name) => !allowed.includes(name)),
    [],
  )
  assert.ok(seen.has('packages/ricci/src/agent/scrape/scrape-source.ts'), 'it was looked through')
})
