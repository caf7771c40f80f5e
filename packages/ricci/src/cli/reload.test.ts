import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { AuditEntry } from '../access/audit.ts'
import { builtFile } from '../server/built-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'ricci-reload-'))
after(() => rmSync(folder, { recursive: true, force: true }))
mkdirSync(join(folder, 'rules'))
const writeRules = (text: string): void => writeFileSync(join(folder, 'rules', 'index.ts'), text)
const rulesWith = (name: string): string =>
  `import { index, rules, tap } from 'ricci'\nexport default rules(index(), tap('${name}'))\n`

describe('SIGHUP', () => {
  it('reloads the rules of the real process, keeps the old ones where the new are wrong, and stops nothing', async () => {
    writeRules(rulesWith('one'))
    writeFileSync(
      join(folder, 'ricci.yaml'),
      'data: data\nlisten:\n  tcp: 127.0.0.1:0\n  udp: off\n  http: 127.0.0.1:0\n',
    )
    const words = ['serve', '--config', join(folder, 'ricci.yaml'), '--log-format', 'json']
    const server = spawn(process.execPath, [fileURLToPath(builtFile('ricci')), ...words], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    })
    const exited = once(server, 'exit')
    try {
      const lines = createInterface(server.stderr)[Symbol.asyncIterator]()
      const said = async (pattern: RegExp): Promise<void> => {
        for (let step = await lines.next(); ; step = await lines.next()) {
          assert.ok(step.done !== true, `the server ended and never said ${pattern}`)
          if (pattern.test(step.value)) return
        }
      }
      await said(/ serves"/)
      writeRules(rulesWith('two'))
      server.kill('SIGHUP')
      await said(/the rules were switched/)
      writeRules('export default rules(')
      server.kill('SIGHUP')
      await said(/were not switched, the old ones run on/)
      server.kill('SIGTERM')
      assert.deepEqual(await exited, [0, null])
      const audit = readFileSync(join(folder, 'data', 'audit.jsonl'), 'utf8')
        .trim()
        .split('\n')
      assert.deepEqual(
        audit.map((line) => JSON.parse(line) as AuditEntry).map(({ from, status, code }) => [from, status, code]),
        [
          ['SIGHUP', 200, undefined],
          ['SIGHUP', 500, 'RULES_INVALID'],
        ],
      )
    } finally {
      server.kill('SIGKILL')
      await exited
    }
  })
})
