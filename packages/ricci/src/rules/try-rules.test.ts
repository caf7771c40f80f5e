import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { nodeClock } from '../server/node-clock.ts'
import { bundleRules } from './bundle.ts'
import { checkReceivers } from './receivers-used.ts'
import { tryRules, type TriedRules } from './try-rules.ts'

// inside the repository, so that the worker finds its packages
const scratch = mkdtempSync('.build/try-rules-')
const workerFile = pathToFileURL(join(scratch, 'rules-worker.mjs'))
before(() =>
  build({
    entryPoints: ['packages/ricci/src/rules/rules-worker.ts'],
    outfile: join(scratch, 'rules-worker.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    conditions: ['ricci-source'],
    external: ['re2js'],
    logLevel: 'warning',
  }),
)
after(() => rmSync(scratch, { recursive: true, force: true }))

async function tried(source: string, limitMs = 20_000): Promise<TriedRules> {
  writeFileSync(join(scratch, 'index.ts'), `import { index, rules } from 'ricci'\n${source}\n`)
  const { bundle } = await bundleRules(scratch)
  return tryRules(bundle, { workerFile, clock: nodeClock, limitMs })
}

test('rules that load say how many streams they have and whom they page', async () => {
  const source = `import { incident, notify, where } from 'ricci'
    export default rules(
      index(),
      where('true', incident('cpu', { to: ['oncall', 'chat'] }), notify('oncall')),
    )`
  const { streams, receivers } = await tried(source)
  assert.equal(streams, 2)
  assert.deepEqual(
    receivers,
    new Map([
      ['oncall', new Set(['cpu', 'notify oncall'])],
      ['chat', new Set(['cpu'])],
    ]),
  )
  checkReceivers(
    receivers,
    new Map([
      ['oncall', 1],
      ['chat', 1],
    ]),
  )
  assert.throws(
    () =>
      checkReceivers(
        receivers,
        new Map([
          ['on-call', 1],
          ['chat', 1],
        ]),
      ),
    {
      code: 'RULES_INVALID',
      message:
        'cpu, notify oncall: there is no receiver "oncall"; add it to the configuration; did you mean "on-call"?',
    },
  )
})

test('an endless loop is ended by the time limit', async () => {
  await assert.rejects(tried('while (true) index()\nexport default rules()', 300), {
    code: 'RULES_TIMEOUT',
    message: /did not finish loading within 0\.3 s; is there an endless loop/,
  })
})

test('rules that throw are shown at their line', async () => {
  await assert.rejects(tried('const a: any = {}\nexport default rules(a.b.c)'), {
    code: 'RULES_INVALID',
    message: /index\.ts:3:\d+: Cannot read properties/,
  })
})

test('rules that eat memory end only their own thread', async () => {
  await assert.rejects(
    tried('const all: unknown[] = []\nfor (;;) all.push(new Array(1000).fill(index()))\nexport default rules()'),
    {
      code: 'RULES_INVALID',
      message: /need more than 256 MB to load/,
    },
  )
})
