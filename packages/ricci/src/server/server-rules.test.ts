import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Partition } from './partition.ts'
import { nodeClock } from './node-clock.ts'
import { readRules } from './rules-source.ts'
import { ServerRules } from './server-rules.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Bench, plainRules } from './testing.ts'

test('after another instance switched, the folder is compared as it is now, not as it was at the start', async () => {
  const bench = new Bench()
  try {
    const config = bench.config()
    const telemetry = new Telemetry(createLogger({ format: 'json', write: () => undefined }), () => 0)
    const rules = new ServerRules({
      config,
      telemetry,
      types: undefined,
      clock: nodeClock,
      assertRuns: () => undefined,
    })
    await rules.load(false)
    bench.writeRules(plainRules.replace('index()', 'index(), index()'))
    const newest = (await readRules(config)).record
    assert.notEqual(rules.folder?.hash, newest.hash)
    const running = (inForce: typeof newest): Pick<Partition, 'engine'>[] => [
      { engine: { rules: inForce } as unknown as Partition['engine'] },
    ]
    await rules.lookAgain(running(newest))
    assert.equal(rules.folder?.hash, newest.hash)
    bench.writeRules('not rules at all (')
    await rules.lookAgain(running({ ...newest, hash: 'yet another' }))
    assert.equal(rules.folder?.hash, newest.hash, 'what cannot be loaded is left to a reload')
  } finally {
    await bench.close()
  }
})
