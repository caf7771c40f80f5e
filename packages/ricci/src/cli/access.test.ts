import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, it, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { hashOf } from '../access/token.ts'
import { builtFile } from '../server/built-file.ts'
import { Bench } from '../server/testing.ts'
import { runProgram } from './program.ts'

async function run(words: readonly string[], env: Record<string, string> = {}) {
  const said = { out: '', err: '' }
  const code = await runProgram(words, {
    write: (text) => void (said.out += text),
    print: async (text) => void (said.out += text),
    complain: (text) => void (said.err += text),
    ...{ env: { HOME: '/nowhere', ...env }, interactive: false, signals: new EventEmitter() },
  })
  return { code, ...said }
}

/** Answers as it is told; gives its address. */
async function answering(context: TestContext, answer: object, status = 200) {
  const asked: IncomingMessage[] = []
  const server = createServer((request, response) => {
    asked.push(request)
    response.statusCode = status
    response.end(JSON.stringify(answer))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  context.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

describe('ricci token and ricci audit', () => {
  it('make, list and revoke a token of a server, and tell of it', async (t) => {
    const bench = new Bench()
    t.after(() => bench.close())
    const server = bench.server()
    const url = ['--url', `http://${(await server.start()).http}`]
    const made = await run(['token', 'create', 'deploy', '--role', 'admin', '--expires', '90d', ...url], {
      USER: 'ana',
    })
    assert.equal(made.code, 0, made.err)
    assert.match(made.out, /^ricci_[\w-]{43}\n$/)
    assert.match(made.err, /not shown again.*role admin.*until \d{4}-/)
    const token = { RICCI_TOKEN: made.out.trim() }
    const listed = await run(['token', 'list', ...url], token)
    assert.match(listed.out, /NAME +ROLE.*\ndeploy +admin +valid +command +\d{4}-.* local:ana +\d{4}-/)
    const revoked = await run(['token', 'revoke', 'deploy', '--why', 'leaked', ...url], token)
    assert.deepEqual([revoked.code, revoked.err], [0, 'deploy is refused from now on.\n'])
    const refused = await run(['token', 'list', ...url], token)
    assert.equal(refused.code, 1)
    assert.match(refused.err, /was revoked/)
    assert.match((await run(['token', 'list', ...url])).out, /revoked .* by deploy: leaked/)
    const audit = await run(['audit', ...url])
    const lines = audit.out.split('\n')
    assert.match(lines[1], /local:ana +127\.0\.0\.1 +here +POST tokens +\{"name":"deploy","role":"admin".* 200/)
    assert.match(lines[2], /deploy +127\.0\.0\.1 +here +POST tokens\/deploy\/revoke +200 +leaked/)
    const entries = JSON.parse((await run(['audit', '-o', 'json', ...url])).out) as object[]
    assert.equal(entries.length, 2)
  })

  it('makes one for the configuration without a server', async () => {
    const { code, out, err } = await run(['token', 'create', 'grafana', '--role', 'viewer', '--offline'])
    assert.equal(code, 0)
    const { http } = parse(err.slice(err.indexOf('http:'))) as { http: unknown }
    assert.deepEqual(http, { tokens: [{ name: 'grafana', role: 'viewer', sha256: hashOf(out.trim()) }] })
  })

  for (const [words, code, error] of [
    [['token', 'create', 'a b', '--role', 'viewer'], 2, /"a b" is no name/],
    [['token', 'create', 'a'], 2, /--role/],
    [['token', 'create', 'a', '--role', 'root'], 2, /viewer, operator, admin/],
    [['token', 'create', 'a', '--role', 'viewer', '--expires', '5'], 2, /"5" is no time/],
    [['token', 'create', 'a', '--role', 'viewer', '--expires', '1d', '--offline'], 2, /leave --expires away/],
    [['token', 'revoke'], 2, /missing required argument 'name'/],
    [['audit', '-n', '0'], 2, /"0" is no count/],
    [['audit', '--context', 'x'], 2, /no context "x"/],
    [['context', 'use', 'x'], 2, /no context "x"/],
  ] as const) {
    it(`says what is wrong: ricci ${words.join(' ')}`, async () => {
      const ended = await run(words)
      assert.equal(ended.code, code)
      assert.match(ended.err, error)
    })
  }
})

describe('a command that may ask several servers', () => {
  const contextsOf = (context: TestContext, urls: readonly string[], token?: string): Record<string, string> => {
    const bench = new Bench()
    context.after(() => bench.close())
    mkdirSync(join(bench.folder, 'ricci'))
    const contexts = JSON.stringify({ current: 'all', contexts: { all: { urls, token } } })
    writeFileSync(join(bench.folder, 'ricci', 'contexts.yaml'), contexts, { mode: 0o600 })
    return { XDG_CONFIG_HOME: bench.folder }
  }
  // nobody listens at port 10 of this machine; some others are refused by fetch itself
  const dead = 'http://127.0.0.1:10'

  it('asks the next where one does not answer or ends, and shows each its token', async (t) => {
    const ending = await answering(t, { error: 'ends', code: 'NOT_RUNNING' }, 503)
    const alive = await answering(t, { tokens: [] })
    const env = contextsOf(t, [dead, ending.url, alive.url], 'secret')
    const { code, err } = await run(['token', 'list'], { ...env, USER: 'ana' })
    assert.deepEqual([code, err], [0, 'There is no token; ricci token create makes one.\n'])
    assert.deepEqual([ending.asked.length, alive.asked.length], [1, 1])
    const { authorization, 'x-ricci-user': user } = alive.asked[0].headers
    assert.deepEqual([authorization, user], ['Bearer secret', 'ana'])
  })

  it('tells the next only where nothing can have arrived', async (t) => {
    const broken = createServer((request) => request.socket.destroy())
    await new Promise<void>((resolve) => broken.listen(0, '127.0.0.1', resolve))
    t.after(() => broken.close())
    const alive = await answering(t, { unreached: ['b'] })
    const brokenUrl = `http://127.0.0.1:${(broken.address() as AddressInfo).port}`
    const first = await run(['token', 'revoke', 'x'], contextsOf(t, [brokenUrl, alive.url]))
    assert.equal(first.code, 1)
    assert.match(first.err, /no answer from/)
    assert.equal(alive.asked.length, 0)
    const second = await run(['token', 'revoke', 'x'], contextsOf(t, [dead, alive.url]))
    assert.equal(second.code, 0)
    assert.match(second.err, /b could not be told, and learn of it once reached; they accept it until then/)
  })

  it('does so as the program that is shipped', async (t) => {
    const alive = await answering(t, { tokens: [] })
    const env = { ...contextsOf(t, [dead, alive.url]), NODE_OPTIONS: '' }
    const child = spawn(process.execPath, [fileURLToPath(builtFile('ricci')), 'token', 'list'], {
      ...{ stdio: ['ignore', 'ignore', 'pipe'], env },
    })
    const said = await text(child.stderr!)
    assert.equal(said, 'There is no token; ricci token create makes one.\n')
  })

  it('says so where none answers', async (t) => {
    const { code, err } = await run(['status'], contextsOf(t, [dead, 'http://127.0.0.1:12']))
    assert.equal(code, 1)
    assert.match(err, /no answer from http:\/\/127\.0\.0\.1:10, http:\/\/127\.0\.0\.1:12/)
  })
})
