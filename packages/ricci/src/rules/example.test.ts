// The rules of examples/, those of examples/rules as `npm start` loads them: all that a switch checks, and that each stream is reached by a test of theirs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultConfig } from '../config/config.ts'
import { nodeClock } from '../server/node-clock.ts'
import { checkRules, readRules } from '../server/rules-source.ts'

const examples = [
  { folder: 'examples/rules', streams: 5, tests: 4 },
  { folder: 'examples/alerts', streams: 9, tests: 8 },
]

for (const { folder, ...expected } of examples) {
  test(`the rules of ${folder} pass every check, their own tests among them`, async () => {
    const config = { ...defaultConfig('.'), rulesFolder: folder }
    const { typesUnchecked, streams, tests, hiddenState } = await checkRules(await readRules(config), config, nodeClock)
    assert.deepEqual({ typesUnchecked, streams, tests }, { typesUnchecked: undefined, ...expected })
    assert.equal(hiddenState?.functions, hiddenState?.called)
  })
}
