// The units that are shipped, judged by systemd itself.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const folder = join(process.cwd(), 'packages/ricci/systemd')
const analyze = '/usr/bin/systemd-analyze'

/** From 0 (nothing is exposed) to 100; services of Debian are mostly between 80 and 96. */
const mostExposure = 25

test('units are understood, and hardened', { skip: existsSync(analyze) ? false : 'needs systemd-analyze' }, () => {
  const units = readdirSync(folder).map((name) => join(folder, name))
  assert.ok(units.length > 0)
  for (const unit of units) {
    const verified = spawnSync(analyze, ['verify', unit], { encoding: 'utf8' })
    assert.deepEqual([verified.status, verified.stderr], [0, ''], unit)
    const words = ['security', '--offline=yes', `--threshold=${mostExposure}`, '--no-pager', unit]
    const judged = spawnSync(analyze, words, { encoding: 'utf8' })
    assert.equal(judged.status, 0, judged.stdout.slice(-2_000))
  }
})
