import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { it } from 'node:test'
import { killsText, runKills } from './kills.ts'

/** The product lies at the top of the folder that the tests are bundled into. */
const program = fileURLToPath(new URL('../../../../ricci.mjs', import.meta.url))

it('30 kills lose no ack and no page, and no key takes effect twice', async (context) => {
  const result = await runKills({ program, kills: 30, seed: 1 })
  context.diagnostic(killsText(result))
  assert.deepEqual(result.wrong, [], killsText(result))
  // a run that exercised nothing proves nothing
  assert.ok(result.kills >= 30, `${result.kills} kills`)
  assert.ok(result.during >= 10, `${result.during} kills with a page pending or a send open`)
  assert.ok(result.sendOpen >= 5 && result.pagePending >= 5, killsText(result))
  assert.equal(result.counts['pages pending at the end'], 0, killsText(result))
  const exercised = [
    ...['messages sent again', 'messages in the log more than once', 'datagrams applied', 'switches of the rules'],
    ...['kills of a life that began from a snapshot', 'hosts that fell silent', 'pages delivered'],
    ...['requests at the blind receiver', 'checkpoints compared', 'whole states compared'],
  ]
  for (const name of exercised) {
    assert.ok(result.counts[name] > 0, `no ${name}: ${killsText(result)}`)
  }
})
