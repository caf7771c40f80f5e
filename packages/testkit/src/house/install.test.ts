// What the first command of a new user does before anything else: an install that did not come to its end is not taken for one.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'

const packages = { 'node_modules/a': { version: '1.0.0', integrity: 'x' } }

describe('the install of a fresh clone', () => {
  let clone: string
  beforeEach(() => {
    clone = mkdtempSync(join(tmpdir(), 'ricci-install-'))
    mkdirSync(join(clone, 'scripts'))
    mkdirSync(join(clone, 'node_modules'))
    for (const file of ['scripts/install.mjs', 'package.json']) cpSync(file, join(clone, file))
    writeFileSync(join(clone, 'package-lock.json'), JSON.stringify({ packages }))
  })
  afterEach(() => rmSync(clone, { recursive: true, force: true }))

  /** Installs with an npm that is this script, as if on this version of Node. */
  function install(npm: string, node = '20.19.0'): { status: number | null; stdout: string; stderr: string } {
    const script = join(clone, 'npm.cjs')
    writeFileSync(script, npm)
    const program = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${node}' } })
      import { ensureInstalled } from './scripts/install.mjs'; ensureInstalled('product'); console.log('goes on')`
    return spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: clone,
      encoding: 'utf8',
      env: { ...process.env, npm_execpath: script },
    })
  }
  const record = `require('fs').writeFileSync('node_modules/.package-lock.json', '${JSON.stringify({ packages })}')`
  const stamp = () => existsSync(join(clone, 'node_modules/.ricci-stamp'))

  for (const [how, npm] of [
    ['fails', 'process.exit(1)'],
    ['ends well and has not done its work', ''],
  ])
    it(`where npm ${how} a sentence says what to do, and the next start installs again`, () => {
      const { status, stdout, stderr } = install(npm)
      assert.equal(status, 1)
      assert.match(stderr, /^npm ci did not install everything; .* Then run the same command again\.\n$/s)
      assert.doesNotMatch(stdout, /goes on/)
      assert.ok(!stamp())
      assert.equal(install(record).status, 0)
    })

  it('is not begun on a Node that is too old, and says which one is not', () => {
    for (const node of ['18.20.8', '20.18.3']) {
      const { status, stdout, stderr } = install(record, node)
      assert.equal(
        stderr,
        `Ricci needs Node 20.19 or newer (24 is recommended), and this is ${node}: https://nodejs.org\n`,
      )
      assert.deepEqual([status, stdout, stamp()], [1, '', false])
    }
    for (const node of ['20.20.2', '22.0.0', '24.1.0']) assert.equal(install(record, node).status, 0)
  })

  it('is done once', () => {
    assert.match(install(record).stdout, /^Installing what Ricci needs \(once\) …\ngoes on\n$/)
    assert.ok(stamp())
    assert.equal(install('process.exit(1)').stdout, 'goes on\n')
  })
})
