// Half a minute of faults, several at once, done to a whole cluster of real processes: too short to measure anything, long enough for the oracle.
import assert from 'node:assert/strict'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { it } from 'node:test'
import { without } from '../../servers/program.ts'
import { findingLines } from './page.ts'
import { runStorm } from './storm.ts'

/** What is started lies at the top of the folder that the tests are bundled into. */
const built = (name: string): string => resolve(fileURLToPath(import.meta.url), '../../../../../../', name)

it(
  'a storm of faults loses no record and no page',
  { skip: without('rabbitmq', 'erlang', 'consul') },
  async (context) => {
    const said: string[] = []
    const result = await runStorm({
      program: built('ricci.mjs'),
      load: built('fault-load.mjs'),
      seed: 1,
      partitions: 2,
      // the machine has other work, too
      eventsPerSecond: 1_000,
      pagesPerSecond: 10,
      durationMs: 30_000,
      report: (line) => said.push(line),
    })
    const text = [...said, ...findingLines(result)].join('\n')
    context.diagnostic(text)
    assert.deepEqual(result.wrong, [], text)
    assert.ok(result.faults >= 3, text)
    for (const name of ['pages in flight at a fault', 'pages delivered', 'acknowledged records checked', 'claims'])
      assert.ok(result.counts[name] > 0, `no ${name}: ${text}`)
    assert.match(result.picture, /^<svg [^]*<\/svg>\n$/)
  },
)
