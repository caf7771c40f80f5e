// docs/guides/first-page.md, followed to the letter from its second step on (the first is house/packages.test's), with a phone of our own.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { builtProgram } from '../bench/built.ts'
import { Daemon } from '../faults/daemon.ts'
import { freePorts } from '../servers/ports.ts'
import { removeFolder, serverFolder } from '../servers/process.ts'
import { Guide } from './guide.ts'

const execute = promisify(execFile)

/** What ntfy is sent. */
interface Rung {
  readonly topic: string
  readonly title: string
  readonly message: string
  readonly priority: number
}

/** A phone: what comes is kept in its order. */
class Phone {
  private readonly rung: Rung[] = []
  private readonly waiting: ((rung: Rung) => void)[] = []
  private readonly server = createServer((request, response) => {
    void this.take(request).then(() => response.end('{}'))
  })

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** The next that comes, or came and was not asked for. */
  next(): Promise<Rung> {
    const there = this.rung.shift()
    return there === undefined ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve(there)
  }

  close(): void {
    this.server.close()
    this.server.closeAllConnections()
  }

  private async take(request: IncomingMessage): Promise<void> {
    let text = ''
    for await (const part of request) text += String(part)
    const rung = JSON.parse(text) as Rung
    const tell = this.waiting.shift()
    if (tell === undefined) this.rung.push(rung)
    else tell(rung)
  }
}

test('a page on a phone, by the guide', { timeout: 120_000 }, async (context) => {
  const guide = new Guide('docs/guides/first-page.md')
  const phone = new Phone()
  const ntfy = await phone.listen()
  const folder = serverFolder('first-page')
  const [tcp, http] = await freePorts(2)
  const here = (text: string): string =>
    text.replaceAll('https://ntfy.sh', ntfy).replaceAll('5555', String(tcp)).replaceAll('5556', String(http))
  const watch = join(folder, 'watch')
  let daemon: Daemon | undefined
  context.after(async () => {
    await daemon?.kill()
    phone.close()
    removeFolder(folder)
  })
  mkdirSync(join(folder, 'bin'))
  writeFileSync(
    join(folder, 'bin/ricci'),
    `#!/bin/sh\nexport RICCI_URL=http://127.0.0.1:${http} RICCI_SERVER=127.0.0.1:${tcp}\nexec '${process.execPath}' '${builtProgram('ricci')}' "$@"\n`,
  )
  chmodSync(join(folder, 'bin/ricci'), 0o755)
  const run = async (commands: string, cwd = watch): Promise<string> => {
    const env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env.PATH}`, NODE_OPTIONS: '' }
    const { stdout, stderr } = await execute('bash', ['-euo', 'pipefail', '-c', here(commands)], { cwd, env })
    return stdout + stderr
  }
  /** As its command in the guide starts it. */
  const start = async (words: string): Promise<void> => {
    daemon = new Daemon(builtProgram('ricci'), [...words.split(' ').slice(1), '--log-format', 'json'], { cwd: watch })
    await daemon.serving()
    while (!(await fetch(`http://127.0.0.1:${http}/readyz`)).ok) continue
  }

  guide.block('1. Install', 'sh')
  const [init, enter, serve] = guide.block('2. Start', 'sh', 'init').trim().split('\n')
  assert.equal(enter, 'cd watch')
  await run(init, folder)
  const config = join(watch, 'ricci.yaml')
  writeFileSync(config, here(readFileSync(config, 'utf8')))
  await start(serve)
  assert.match(await run(guide.block('2. Start', 'sh', 'status')), /paging: +yes/)

  appendFileSync(config, here(guide.block('3. The phone', 'yaml')))
  await daemon!.stop()
  await start(serve)
  const tried = await run(guide.block('3. The phone', 'sh'))
  const { title, ...rest } = await phone.next()
  assert.equal(title, 'trigger test')
  // as many as the command says
  for (let more = tried.match(/delivered/g)!.length - 1; more > 0; more--) await phone.next()
  assert.equal(rest.topic, 'ricci-7f3a9c')
  assert.equal(rest.priority, 5)

  const rules = join(watch, 'rules/index.ts')
  const before = readFileSync(rules, 'utf8')
  writeFileSync(rules, before.replace('  index(),\n', `  index(),\n${guide.block('4. A rule', 'ts')}`))
  assert.match(await run(guide.block('4. A rule', 'sh')), /critical/)

  await run(guide.block('5. The page', 'sh', 'critical --ttl'))
  const page = await phone.next()
  assert.equal(page.title, 'trigger critical')
  assert.match(page.message, /shop checkout critical/)
  const why = await run(guide.block('5. The page', 'sh', 'explain'))
  assert.match(why, /shop/)
  assert.match(why, /phone/)
  await run(guide.block('5. The page', 'sh', ' ack '))
  await run(guide.block('5. The page', 'sh', '--state ok'))
  assert.equal((await phone.next()).title, 'resolve critical')
  assert.deepEqual(guide.left, [])
  await daemon!.stop()
})
