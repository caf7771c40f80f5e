// The harness watches the tests; this watches the harness: what is left open fails, what is closed passes, and the counts that
// CI adds up are those of the leaves.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import fc from 'fast-check'

const nameOf = {
  server: 'TCPServerWrap',
  socket: 'UDPWrap',
  timer: 'Timeout',
  worker: 'Worker',
  process: 'ProcessWrap',
}

/** Test files that leave something open: they fail, and what is open is named. */
const leaking: Record<keyof typeof nameOf, string> = {
  server: `import { createServer } from 'node:net'; test('x', () => { createServer().listen(0, '127.0.0.1') })`,
  socket: `import { createSocket } from 'node:dgram'
    test('x', async () => { const s = createSocket('udp4'); await new Promise((done) => s.bind(0, '127.0.0.1', done)) })`,
  timer: `test('x', () => { setInterval(() => {}, 1e6) })`,
  worker: `import { Worker } from 'node:worker_threads'
    test('x', () => { new Worker('setInterval(() => {}, 1e6)', { eval: true }) })`,
  process: `import { spawn } from 'node:child_process'
    test('x', () => { const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] })
      child.stdin.unref() })`,
}

/** A test file that opens all of these and closes them, the last of them only after the test has ended. */
const closing = `
  import { createServer } from 'node:net'
  import { Worker } from 'node:worker_threads'
  test('server', async () => { const s = createServer().listen(0, '127.0.0.1'); await new Promise((r) => s.once('listening', r)); s.close() })
  test('timer', () => { clearInterval(setInterval(() => {}, 1e6)); setInterval(() => {}, 1e6).unref() })
  test('worker', async () => { const w = new Worker('setInterval(() => {}, 1e6)', { eval: true }); await w.terminate() })
  test('late', () => { setTimeout(() => {}, 50) })
`

const mixed = `
  import { describe, it } from 'node:test'
  describe('suite', () => { it('a', () => {}); it('b', () => { throw new Error('b broke') }); it('c', { skip: 'no c here' }, () => {}) })
  test('parent', async (t) => { await t.test('d', () => {}); await t.test('e', () => { throw new Error('e broke') }) })
`

describe('the harness of the tests', () => {
  it('runs properties on the same seed each time, unless asked to explore', () => {
    const wanted = process.env.RICCI_PROPERTY_SEED ?? '1'
    assert.equal(fc.readConfigureGlobal().seed, wanted === 'random' ? undefined : Number(wanted))
  })

  let folder: string
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'ricci-harness-'))
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  /** Runs a test file as scripts/test.mjs does; gives its exit code and what the reporter said. */
  function run(name: string, text: string): { code: number | null; said: string } {
    const file = join(folder, `${name}.test.mjs`)
    writeFileSync(file, `import test from 'node:test'\n${text}`)
    const harness = [
      `--import=${resolve('scripts/leaks.mjs')}`,
      `--test-reporter=${resolve('scripts/reporter.mjs')}`,
      '--test',
      '--test-force-exit',
    ]
    // A runner within a runner: without this the inner one would report to the outer one.
    const env = { ...process.env, NODE_TEST_CONTEXT: undefined }
    const { status, stdout } = spawnSync(process.execPath, [...harness, file], {
      encoding: 'utf8',
      env,
      timeout: 30_000,
    })
    return { code: status, said: stdout }
  }

  for (const [name, text] of Object.entries(leaking))
    it(`a ${name} left open fails the file`, () => {
      const { code, said } = run(name, text)
      assert.equal(code, 1)
      assert.match(said, new RegExp(`Left open after the last test: [^.]*${nameOf[name as keyof typeof nameOf]}`))
      assert.match(said, /\n1 passed, 1 failed, 0 skipped\n$/)
    })

  it('what is closed, or closes within a second, passes', () => {
    assert.deepEqual(run('closing', closing), { code: 0, said: '4 passed, 0 failed, 0 skipped\n' })
  })

  it('leaves are counted, each failure is named, and each reason to skip with whom it was given', () => {
    const { code, said } = run('mixed', mixed)
    assert.equal(code, 1)
    for (const expected of [/FAILED .*mixed\.test\.mjs:\d+ b\n/, /Error: b broke/, / e\n/, /Error: e broke/])
      assert.match(said, expected)
    assert.match(said, /^skipped 1: no c here \(c\)$/m)
    assert.match(said, /\n2 passed, 2 failed, 1 skipped\n$/)
  })

  it('options it does not have are refused, --help tells how it is used, and neither runs a test', () => {
    const test = (word: string) => spawnSync(process.execPath, ['scripts/test.mjs', word], { encoding: 'utf8' })
    const help = test('--help')
    assert.match(help.stdout, /^usage: npm test \[-- FILTER …\]\n.*servers.*\n$/)
    assert.equal(help.status, 0)
    const unknown = test('--watch')
    assert.match(unknown.stderr, /^There is no option --watch\.\nusage: npm test/)
    assert.deepEqual([unknown.status, unknown.stdout], [2, ''])
  })

  for (const [how, code] of [
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['its output without a reader', 141],
  ] as const)
    it(`${how} ends what it runs, with all that this started`, async () => {
      const file = join(folder, 'running.mjs')
      // the innermost process says that it runs, and by its end that it does not, on a pipe that only these three hold
      const inner = `require('fs').writeSync(3, 'runs'); setInterval(() => {}, 1e6)`
      const outer = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(inner)}], { stdio: [0, 1, 2, 3] })`
      writeFileSync(
        file,
        `import { runChild, stopSignal } from ${JSON.stringify(resolve('scripts/child.mjs'))}
        process.stdin.once('data', () => console.log('said')).unref()
        const stop = stopSignal()
        await runChild(process.execPath, ['-e', ${JSON.stringify(outer)}], ['ignore', 'ignore', 'inherit', 3], '.', stop)
        process.exit(stop.reason)`,
      )
      const runner = spawn(process.execPath, [file], { stdio: ['pipe', 'pipe', 'inherit', 'pipe'] })
      const ended = once(runner, 'close')
      const pipe = runner.stdio[3] as Readable
      assert.equal(String(await once(pipe, 'data')), 'runs')
      if (how.startsWith('SIG')) runner.kill(how as NodeJS.Signals)
      else {
        runner.stdout!.destroy()
        await once(runner.stdout!, 'close')
        runner.stdin!.write('say something')
      }
      await once(pipe.resume(), 'close')
      assert.deepEqual(await ended, [code, null])
    })
})
