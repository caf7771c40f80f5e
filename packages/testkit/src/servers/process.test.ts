import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { describe, it } from 'node:test'
import { freePorts } from './ports.ts'
import { ready, runProgram, ServerProcess, unprivileged } from './process.ts'
import { without, type Program } from './program.ts'

const shell: Program = { name: 'openssl', version: '', origin: '', file: '/bin/sh', libraries: [] }
const folder = tmpdir()
const running = (script: string): ServerProcess => new ServerProcess(shell, ['-c', script], { folder })
const gone = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ') // a zombie: nobody has asked yet how it ended
  } catch {
    return true
  }
}
/** Set in the process that a test kills. */
const victim = 'RICCI_TEST_VICTIM'

if (process.env[victim] !== undefined) {
  const server = running('kill -STOP $$; exec sleep 600')
  process.stdout.write(`${server.pid}\n`)
} else
  describe('ServerProcess', { skip: without('openssl') }, () => {
    it('ends with a test that is killed, even a frozen one', async () => {
      const test = spawn(process.execPath, [process.argv[1]], {
        env: { ...process.env, [victim]: 'true', NODE_TEST_CONTEXT: undefined },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const [said] = (await once(test.stdout, 'data')) as [Buffer]
      const pid = Number(String(said))
      assert.equal(gone(pid), false)
      test.kill('SIGKILL')
      await once(test, 'close')
      while (!gone(pid)) await new Promise((resolve) => setImmediate(resolve))
    })

    it('tells lines as they come, keeps the last ones, and says them when it ends too early', async () => {
      const server = running('seq 1000; echo it listens; echo it fails >&2; exit 3')
      assert.equal(await server.logged(/listens/), 'it listens')
      await assert.rejects(
        ready('It', [server], () => Promise.reject(new Error('refused'))),
        /ended with 3.*refused.*it fails/s,
      )
      await assert.rejects(server.logged(/nothing like it/), /it fails/)
      assert.ok(server.lines.length < 1000)
      assert.deepEqual(await server.exited, { code: 3, signal: null })
    })

    it('ends in order if it can, else by force; twice is once', async () => {
      const orderly = running('trap "exit 5" TERM; echo up; while :; do sleep 0.01; done')
      await orderly.logged(/up/)
      orderly.signal('SIGSTOP')
      assert.equal((await orderly.end('SIGTERM')).code, 5)
      assert.equal((await orderly.end()).code, 5)
      const other = running('exec sleep 600')
      assert.equal((await other.end()).signal, 'SIGKILL')
    })

    it('runs as somebody else where we are root', async () => {
      const user = unprivileged()
      const [uid] = await runProgram(shell, ['-c', 'id -u'], { folder, user })
      assert.notEqual(uid, '0')
    })

    it('ports are given once', async () => {
      const ports = [...(await freePorts(20)), ...(await freePorts(20))]
      assert.equal(new Set(ports).size, 40)
    })

    it('another process is given others: a block of ports is held by its first', async () => {
      const blockPorts = 200
      const [port] = await freePorts(1)
      const first = port - (port % blockPorts)
      const other = createServer().listen(first, '127.0.0.1')
      const [error] = (await once(other, 'error')) as [NodeJS.ErrnoException]
      assert.equal(error.code, 'EADDRINUSE')
    })
  })
