import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { builtFile } from '../server/built-file.ts'
import type { TypeAnswer, TypeQuestion } from './type-checker.ts'

test('signals to the whole program do not end a check: it is who asked that ends it', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-types-'))
  writeFileSync(join(folder, 'index.ts'), 'export const one: string = 1\n')
  const child = fork(builtFile('type-checker'), { stdio: 'ignore', execArgv: [] })
  const gone = once(child, 'exit')
  t.after(async () => {
    child.kill('SIGKILL')
    await gone
    rmSync(folder, { recursive: true })
  })
  const ask = async (): Promise<number> => {
    child.send({ folder, files: ['index.ts'], paths: {} } satisfies TypeQuestion)
    const [answer] = (await Promise.race([once(child, 'message'), gone])) as [TypeAnswer]
    return answer.checked ? answer.errors.length : -1
  }
  assert.equal(await ask(), 1)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    child.kill(signal)
    assert.equal(await ask(), 1, signal)
  }
  child.disconnect()
  await gone
})
