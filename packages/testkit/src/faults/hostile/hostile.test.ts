import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { without } from '../../servers/program.ts'
import { hostileText, listenerNames, runHostile } from './run.ts'

const program = fileURLToPath(new URL('../../../../../ricci.mjs', import.meta.url))

/** A look; 100,000 at each: `npm run faults -- input`. */
const attempts = 2_000
const seed = 1

describe('hostile input', { timeout: 600_000, skip: without('openssl') }, () => {
  it('at every listener: everybody else is served meanwhile, and nothing of it is left', async () => {
    const results = await runHostile({ program, attempts, seed, report: () => undefined })
    assert.deepEqual(
      results.filter(({ wrong }) => wrong.length > 0).map(hostileText),
      [],
      `npm run faults -- input --attempts ${attempts} --seed ${seed}`,
    )
    assert.deepEqual(
      results.map(({ name }) => name),
      listenerNames,
    )
    for (const { name, kinds, rounds } of results) {
      assert.ok(rounds >= attempts / 50, `${name}: ${rounds} rounds`)
      assert.ok(kinds.size >= 15, `${name}: ${kinds.size} kinds`)
    }
  })
})
