import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { test } from 'node:test'
import { agentKillsText, runAgentKills } from './agent.ts'

/** The product lies at the top of the folder that the tests are bundled into. */
const program = fileURLToPath(new URL('../../../../ricci.mjs', import.meta.url))

test('agent and server killed in turn: what a program was told is in the index, once', async (context) => {
  const result = await runAgentKills({ program, kills: 6, seed: 1 })
  context.diagnostic(agentKillsText(result))
  assert.deepEqual(result.wrong, [], agentKillsText(result))
  const exercised = [
    'kills of the server',
    'kills of the agent',
    'events acknowledged',
    'messages in the log more than once',
  ]
  for (const name of exercised) assert.ok(result.counts[name] > 0, `no ${name}: ${agentKillsText(result)}`)
})
