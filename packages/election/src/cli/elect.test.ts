import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { resolve } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ConsulCluster, without } from '@ricci/testkit'

// The test's bundle lies in a folder that mirrors the sources; the program lies at its top.
const program = resolve(fileURLToPath(import.meta.url), '../../../../../elect.mjs')

/** A process of `elect`, and what it and its command have said, line by line. */
class Run {
  readonly child: ChildProcess
  readonly lines: string[] = []
  readonly ended: Promise<number>
  #told: () => void = () => undefined

  constructor(store: string, args: readonly string[], more: NodeJS.ProcessEnv = {}) {
    const env = { ...process.env, ELECT_STORE: store, ELECT_NAME: 'batch', CONSUL_HTTP_TOKEN: undefined, ...more }
    this.child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line)
        this.#told()
      })
    }
    this.ended = once(this.child, 'close').then(([code]) => code as number)
  }

  /** Resolves with the first line that matches, or the nth, as soon as there is one. @throws when it ends without */
  async says(pattern: RegExp, nth = 1): Promise<RegExpExecArray> {
    let over = false
    void this.ended.then(() => {
      over = true
      this.#told()
    })
    for (;;) {
      const matches = this.lines.map((line) => pattern.exec(line)).filter((match) => match !== null)
      if (matches.length >= nth) return matches[nth - 1]
      if (over) assert.fail(`it ended without saying ${String(pattern)}:\n${this.lines.join('\n')}`)
      await new Promise<void>((told) => (this.#told = told))
    }
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }
}

/** A command that says what it is given and what it is told, and ends when it is asked to, with this exit code. */
const worker = (onTerm: string): string[] => [
  process.execPath,
  '-e',
  `process.on('SIGTERM', () => { console.log('told to end'); ${onTerm} })
   process.on('SIGUSR2', () => { console.log('ends by itself'); process.exit(5) })
   console.log('works under', process.env.ELECT_TOKEN, 'pid', process.pid, 'of', process.ppid)
   setInterval(() => {}, 1000)`,
]
const fast = ['--lease', '500ms', '--detect', '500ms', '--grace', '1s']

/** Whether a process is there. A killed one whose parent has not looked is not. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

describe('elect', { skip: without('consul') }, () => {
  let cluster: ConsulCluster
  let store: string
  const runs: Run[] = []
  const start = (...args: readonly string[]): Run => {
    const run = new Run(store, args)
    runs.push(run)
    return run
  }

  before(async () => {
    cluster = await ConsulCluster.start({ dev: true })
    store = cluster.agents[0].url.replace('http:', 'consul:')
  })
  afterEach(async () => {
    for (const run of runs) run.kill('SIGKILL')
    await Promise.all(runs.splice(0).map(({ ended }) => ended))
  })
  after(() => cluster.stop())

  it('runs a command while it leads, with the token in its environment, and keeps its exit code', async () => {
    const print = 'console.log(process.env.ELECT_NAME, process.env.ELECT_TOKEN, process.argv[1]); process.exitCode = 7'
    const run = start(...fast, '--quiet', '--', process.execPath, '-e', print, 'an argument')
    assert.equal(await run.ended, 7)
    const [, token] = await run.says(/^batch (\d+) an argument$/)
    assert.ok(BigInt(token) > 0n)
    assert.equal(run.lines.length, 1)
  })

  it('runs a command though its guard needs longer than the lease to start', async () => {
    const slow = `if (process.argv[1].endsWith('elect-guard.mjs')) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500)`
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(slow)}`
    const run = new Run(store, [...fast, '--', 'sh', '-c', 'exit 7'], { NODE_OPTIONS })
    runs.push(run)
    assert.equal(await run.ended, 7)
    assert.equal(run.lines.filter((line) => /starting sh$/.test(line)).length, 1, run.lines.join('\n'))
  })

  it('goes on where nobody reads any more what it says, and ends where that was all it was for', async () => {
    const leader = start(...fast, '--', process.execPath, '-e', 'setTimeout(() => process.exit(7), 2000)')
    await leader.says(/stands for batch/)
    leader.child.stderr!.destroy()
    const watching = start('watch')
    await watching.says(/^batch: /)
    watching.child.stdout!.destroy()
    assert.deepEqual(await Promise.all([leader.ended, watching.ended]), [7, 0])
    assert.deepEqual(
      watching.lines.filter((line) => /EPIPE/.test(line)),
      [],
    )
  })

  it('passes SIGTERM on, keeps the exit code, and the next one works under a higher token', async () => {
    const one = start(...fast, '--', ...worker('process.exit(3)'))
    const [, token] = await one.says(/^works under (\d+)/)
    const other = start(...fast, '--', ...worker('process.exit(3)'))
    await other.says(/leads batch/)
    one.kill('SIGTERM')
    assert.equal(await one.ended, 3)
    await one.says(/^told to end$/)
    const [, next] = await other.says(/^works under (\d+)/)
    assert.ok(BigInt(next) > BigInt(token))
  })

  it('kills a command that does not heed it, after the grace', async () => {
    const run = start(...fast, '--', ...worker(''))
    const [, , pid] = await run.says(/^works under (\d+) pid (\d+)/)
    run.kill('SIGTERM')
    assert.equal(await run.ended, 137)
    assert.equal(lives(Number(pid)), false)
  })

  it('whose process is killed leaves no command behind, and another leads', async () => {
    const one = start(...fast, '--', ...worker('process.exit()'))
    const [, , pid] = await one.says(/^works under (\d+) pid (\d+)/)
    const other = start(...fast, '--', ...worker('process.exit()'))
    await other.says(/leads batch/)
    one.kill('SIGKILL')
    await other.says(/^works under/)
    assert.equal(lives(Number(pid)), false)
    // closed once nobody holds its output any more: command and guard have ended
    await one.ended
  })

  it('whose process is stopped has no command when another leads, and campaigns again when it goes on', async () => {
    const one = start(...fast, '--', ...worker('process.exit()'))
    const [, , pid] = await one.says(/^works under (\d+) pid (\d+)/)
    const other = start(...fast, '--', ...worker('process.exit()'))
    await other.says(/leads batch/)
    one.kill('SIGSTOP')
    await other.says(/^works under/)
    assert.equal(lives(Number(pid)), false)
    one.kill('SIGCONT')
    await one.says(/^elect: .* has ended with exit code/)
    other.kill('SIGTERM')
    await other.ended
    await one.says(/^works under/, 2)
  })

  it('does not run again what ended by itself while its process stood still', async () => {
    const one = start(...fast, '--', ...worker('process.exit()'))
    const [, , pid] = await one.says(/^works under (\d+) pid (\d+)/)
    const other = start(...fast, '--', ...worker('process.exit()'))
    await other.says(/leads batch/)
    one.kill('SIGSTOP')
    process.kill(Number(pid), 'SIGUSR2')
    await one.says(/^ends by itself/)
    await other.says(/^works under/)
    one.kill('SIGCONT')
    assert.equal(await one.ended, 5)
  })

  it('whose guard stands still kills the command itself, after the grace', async () => {
    const run = start(...fast, '--', ...worker('process.exit()'))
    const [, guard] = await run.says(/^works under .* of (\d+)/)
    process.kill(Number(guard), 'SIGSTOP')
    run.kill('SIGTERM')
    // closed once nobody holds its output any more: the command has ended, too
    assert.equal(await run.ended, 137)
  })

  it('tells who leads, hands over when it is asked, and says so', async () => {
    const options = [...fast, '--data', '{"zone":"b"}']
    const one = start(...options, '--id', 'one', '--', ...worker('process.exit()'))
    await one.says(/^works under/)
    const other = start(...options, '--id', 'other', '--', ...worker('process.exit()'))
    await other.says(/one leads batch/)
    const status = start('status')
    assert.equal(await status.ended, 0)
    assert.match(
      status.lines.join('\n'),
      /^batch: one leads, under token \d+\n {2}one +leader +\{"zone":"b"\}\n {2}other +candidate/,
    )
    const json = start('status', '-o', 'json')
    await json.ended
    assert.equal(JSON.parse(json.lines[0]).leader, 'one')
    const wrong = start('resign', '--to', 'nobody')
    assert.equal(await wrong.ended, 2)
    await wrong.says(/no candidate nobody; there are (one, other|other, one)/)
    const resign = start('resign', '--to', 'other')
    assert.equal(await resign.ended, 0)
    await resign.says(/^other leads batch, under token \d+$/)
    await one.says(/^told to end$/)
    await other.says(/^works under/)
    one.kill('SIGKILL')
    await one.ended
    const alone = start('resign')
    assert.equal(await alone.ended, 1)
    await alone.says(/^other leads batch, under token \d+, again: nobody else has taken it$/)
  })

  it('says what is wrong', async () => {
    const cases: [args: readonly string[], code: number, said: RegExp][] = [
      [['--store', 'redis://localhost', '--', 'true'], 2, /redis:\/\/localhost is no address of a store/],
      [['--profile', 'faster', '--', 'true'], 2, /no profile faster; the profiles are fast, default, calm/],
      [['--lease', '2 minutes', '--', 'true'], 2, /lease is "2 minutes"/],
      [['--name', 'a b', '--', 'true'], 2, /name is "a b"/],
      [['--data', JSON.stringify('x'.repeat(20_000)), '--', 'true'], 2, /data has 20002 bytes/],
      [['--nmae', 'a', '--', 'true'], 2, /nmae/],
      [['true'], 2, /no subcommand true; a command to run stands after --/],
      [[], 2, /a command to run is missing/],
      [[...fast, '--', 'no-such-command'], 127, /no-such-command cannot be started/],
      [['status', '-o', 'yaml'], 2, /output is "yaml"; use "table" or "json"/],
      [['status', '--name', 'nobodys'], 1, /^nobodys: nobody leads$/],
      [['resign', '--name', 'nobodys'], 1, /^nobody leads nobodys$/],
    ]
    for (const [args, code, said] of cases) {
      const run = start(...args)
      assert.equal(await run.ended, code, `${args.join(' ')}:\n${run.lines.join('\n')}`)
      await run.says(said)
      assert.equal(run.lines.filter((line) => said.test(line)).length, 1, run.lines.join('\n'))
    }
  })
})
