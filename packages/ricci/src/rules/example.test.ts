// The rules of examples/rules, as `npm start` loads them: all that a switch checks, and that each stream is reached by a test of theirs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultConfig } from '../config/config.ts'
import { nodeClock } from '../server/node-clock.ts'
import { checkRules, readRules } from '../server/rules-source.ts'

test('the example rules pass every check, their own tests among them', async () => {
  const config = { ...defaultConfig('.'), rulesFolder: 'examples/rules' }
  const { typesUnchecked, streams, tests, hiddenState } = await checkRules(await readRules(config), config, nodeClock)
  assert.deepEqual({ typesUnchecked, streams, tests }, { typesUnchecked: undefined, streams: 5, tests: 4 })
  assert.equal(hiddenState?.functions, hiddenState?.called)
})
