import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { builtFile } from '../server/built-file.ts'
import { nodeClock } from '../server/node-clock.ts'
import { bundleRules } from './bundle.ts'
import { missingNames } from './names-used.ts'
import { tryRules, type TriedRules } from './try-rules.ts'

const scratch = mkdtempSync(join(tmpdir(), 'ricci-try-'))
const workerFile = builtFile('rules-worker')
after(() => rmSync(scratch, { recursive: true, force: true }))

async function tried(source: string, loadMs = 20_000): Promise<TriedRules> {
  writeFileSync(join(scratch, 'index.ts'), `import { index, rules } from 'ricci'\n${source}\n`)
  const { bundle } = await bundleRules(scratch)
  return tryRules(bundle, { workerFile, clock: nodeClock, loadMs })
}

test('rules that load say how many streams they have and whom they page', async () => {
  const source = `import { forward, incident, notify, where } from 'ricci'
    export default rules(
      index(),
      where('true', incident('cpu', { to: ['oncall', 'chat'] }), notify('oncall')),
      forward('graphite'),
    )`
  const { streams, receivers, sinks, semantics } = await tried(source)
  assert.deepEqual([streams, semantics, (await tried('export default rules()')).semantics], [3, 2, 1])
  assert.deepEqual(
    receivers,
    new Map([
      ['oncall', new Set(['cpu', 'notify oncall'])],
      ['chat', new Set(['cpu'])],
    ]),
  )
  const configured = (...names: string[]) => new Map(names.map((name) => [name, 1]))
  const missing = (to: string, sink: string): string | undefined =>
    missingNames({ receivers, sinks }, { receivers: configured(to, 'chat'), sinks: configured(sink) })
  assert.equal(missing('oncall', 'graphite'), undefined)
  assert.equal(
    missing('on-call', 'graphit'),
    'cpu, notify oncall: there is no receiver "oncall"; add it to the configuration; did you mean "on-call"?\n' +
      'forward: there is no sink "graphite"; add it to the configuration; did you mean "graphit"?',
  )
})

test('an endless loop is ended by the time limit, and named', async () => {
  const source = 'function forever() {\n  for (;;) index()\n}\nforever()\nexport default rules()'
  await assert.rejects(tried(source, 300), {
    code: 'RULES_TIMEOUT',
    message:
      /^index\.ts:3:12: the rules did not finish loading within 0\.3 s; is there an endless loop.*\n  3 \|   for \(;;\) index\(\)/,
  })
})

test('rules that throw are shown at their line', async () => {
  await assert.rejects(tried('const a: any = {}\nexport default rules(a.b.c)'), {
    code: 'RULES_INVALID',
    message: /index\.ts:3:\d+: Cannot read properties/,
  })
})

test('streams that do not fit together are told at their line', async () => {
  const source = `import { fixedTimeWindow, notify } from 'ricci'
    export default rules(
      fixedTimeWindow(
        5,
        index(),
      ),
    )`
  await assert.rejects(tried(source), {
    code: 'RULES_INVALID',
    message: /^index\.ts:6:9: .*fixedTimeWindow > index: index takes events, but its parent gives lists; put smap .*\n/,
  })
})

test('a word that is not there is named as it was written', async () => {
  await assert.rejects(tried('import { nope } from "ricci"\nexport default rules(nope(index()))'), {
    code: 'RULES_INVALID',
    message: /^index\.ts:3:\d+: "nope" is no function that ricci has; is it spelt right\?/,
  })
})

test('rules that eat memory end only their own thread', async () => {
  await assert.rejects(
    tried('const all: unknown[] = []\nfor (;;) all.push(new Array(1000).fill(index()))\nexport default rules()'),
    {
      code: 'RULES_INVALID',
      message: /need more than 256 MB while they load/,
    },
  )
})
