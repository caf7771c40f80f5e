// `npm start` as a user has it, and a real Riemann client of another make: it finds again what it sent.
import assert from 'node:assert/strict'
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { debianTool } from './tools.ts'

describe('riemann-c-client', () => {
  const tool = debianTool('riemann-c-client', 'riemann-client')
  let data: string
  let daemon: ChildProcess
  let port: string

  before(async () => {
    data = mkdtempSync(join(tmpdir(), 'ricci-data-'))
    const options = ['--port', '0', '--http-port', '0', '--data', data]
    daemon = spawn(process.execPath, ['scripts/start.mjs', ...options], { stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    for await (const chunk of daemon.stdout!.iterator({ destroyOnReturn: false })) {
      said += String(chunk)
      if (said.includes('Ctrl-C stops it')) break
    }
    port = /UDP on 127\.0\.0\.1:(\d+)/.exec(said)?.[1] ?? ''
    daemon.stdout!.resume()
  })
  after(async () => {
    const exited = once(daemon, 'exit')
    daemon.kill('SIGINT')
    const [code] = (await exited) as [number | null]
    rmSync(data, { recursive: true, force: true })
    assert.equal(code, 0)
  })

  const client = (command: string, ...args: string[]): string => {
    assert.ok('command' in tool)
    const server = ['127.0.0.1', port]
    return execFileSync(tool.command, [command, ...args, ...server], { encoding: 'utf8', env: tool.env })
  }

  it('sends and queries', { skip: 'missing' in tool ? tool.missing : false }, () => {
    assert.match(port, /^\d+$/)
    client('send', '-h', 'far', '-S', 'kept', '-s', 'ok', '-i', '7', '-L', '3600')
    const found = client('query', '-j', 'host = "far" and service = "kept"')
    assert.match(found, /"service": *"kept"/)
    assert.match(client('query', '-j', 'host = "nobody"'), /^\s*(\[\s*\])?\s*$/)
  })
})
