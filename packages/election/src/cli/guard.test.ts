import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { GuardOrder, GuardReport } from './guard.ts'

// The test's bundle lies in a folder that mirrors the sources; the program lies at its top.
const program = resolve(fileURLToPath(import.meta.url), '../../../../../elect-guard.mjs')

/** What a guard reports that is given these orders at once: they wait for it while it starts, and come to it together. */
async function guarded(
  ...orders: readonly GuardOrder[]
): Promise<{ reports: GuardReport[]; code: number; said: string }> {
  const guard = fork(program, { stdio: ['ignore', 'pipe', 'inherit', 'ipc'], execArgv: [] })
  const reports: GuardReport[] = []
  let said = ''
  guard.on('message', (report: GuardReport) => report.kind === 'ready' || reports.push(report))
  guard.stdout!.on('data', (text: Buffer) => (said += String(text)))
  for (const order of orders) guard.send(order)
  // Closed once nobody holds its output any more: the command has ended, too.
  const [code] = await once(guard, 'close')
  return { reports, code: code as number, said }
}

const node = process.execPath
const run = (command: string, args: readonly string[], forMs = 60_000): GuardOrder => ({
  ...{ kind: 'run', command, args, env: process.env, graceMs: 60_000 },
  ...{ untilMs: Date.now() + forMs, forMs },
})
const stays = ['-e', 'console.log("works"); setInterval(() => {}, 1000)']
const end: GuardOrder = { kind: 'end', signal: 'SIGTERM' }
const withoutPid = (reports: readonly GuardReport[]): unknown[] => reports.filter(({ kind }) => kind !== 'started')

describe('the guard', () => {
  it('ends a command that it was to start and to end at once', async () => {
    const { reports, code } = await guarded(run(node, stays), end)
    assert.deepEqual(withoutPid(reports), [{ kind: 'ended', code: 143, asked: true }])
    assert.equal(code, 143)
  })

  it('tells of a command that cannot be started, also where it is to end at once', async () => {
    const { reports, code } = await guarded(run('no-such-command', []), end)
    assert.deepEqual(
      reports.map(({ kind }) => kind),
      ['failed'],
    )
    assert.equal(code, 127)
  })

  it('starts nothing once the lease has run out on either clock', async () => {
    const late = run(node, stays, 0)
    const jumped = { ...run(node, stays), untilMs: Date.now() - 1 }
    for (const order of [late, jumped]) {
      const { reports, said } = await guarded(order, end)
      assert.deepEqual([reports, said], [[{ kind: 'ended', code: 143, asked: true }], ''])
    }
  })

  it('ends a command when the lease runs out, though the wall clock says that it goes on', async () => {
    const order = { ...run(node, stays, 100), untilMs: Date.now() + 3_600_000 }
    const { reports } = await guarded(order)
    assert.deepEqual(withoutPid(reports), [{ kind: 'ended', code: 143, asked: true }])
  })

  it('says when a command has ended by itself', async () => {
    const { reports, said } = await guarded(run(node, ['-e', 'console.log("done"); process.exitCode = 5']))
    assert.deepEqual([withoutPid(reports), said], [[{ kind: 'ended', code: 5, asked: false }], 'done\n'])
  })
})
