import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { RiemannTcpClient } from '@ricci/client'
import { builtFile } from '../server/built-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'ricci-kill-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const rounds = 5
/** Enough for several groups on their way when the process dies. */
const inFlight = 256

mkdirSync(join(folder, 'rules'))
writeFileSync(
  join(folder, 'rules', 'index.ts'),
  `import { index, rules } from 'ricci'\nexport default rules(index())\n`,
)
writeFileSync(join(folder, 'ricci.yaml'), 'data: data\nlisten:\n  tcp: 127.0.0.1:0\n  udp: off\n  http: 127.0.0.1:0\n')

/** Starts the real program; gives its process and where it takes events. */
async function serve(): Promise<{ process: ChildProcess; port: number; url: string }> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(builtFile('ricci')), 'serve', '--config', join(folder, 'ricci.yaml'), '--log-format', 'json'],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, NODE_OPTIONS: '' } },
  )
  for await (const line of createInterface(child.stderr!)) {
    const { tcp, http } = JSON.parse(line) as { tcp?: string; http?: string }
    if (tcp === undefined) continue
    child.stderr!.resume()
    return { process: child, port: Number(tcp.split(':')[1]), url: `http://${http}` }
  }
  throw new Error('the server ended before it listened')
}

describe('kill -9', () => {
  it('loses no acknowledged event', async () => {
    const acknowledged = new Set<string>()
    let next = 0
    for (let round = 0; round <= rounds; round++) {
      const { process: server, port, url } = await serve()
      const exited = once(server, 'exit')
      const client = new RiemannTcpClient({ port, timeoutMs: 30_000 })
      const missing = await lost(url, acknowledged)
      assert.deepEqual(missing, [], `acknowledged before kill ${round} and gone after it`)
      const enough = acknowledged.size + 1_000
      let dead = false
      const send = async (): Promise<void> => {
        while (!dead && round < rounds) {
          const service = `s${next++}`
          try {
            await client.send([{ host: 'h', service, ttl: 86_400 }])
            acknowledged.add(service)
          } catch {
            return
          }
          if (acknowledged.size >= enough && !dead) {
            dead = true
            server.kill('SIGKILL')
          }
        }
      }
      await Promise.all(Array.from({ length: inFlight }, send))
      if (round === rounds) server.kill('SIGKILL')
      await exited
      await client.destroy()
    }
    assert.ok(acknowledged.size >= rounds * 1_000)
  })
})

/** Which of the acknowledged events the index does not hold. */
async function lost(url: string, acknowledged: ReadonlySet<string>): Promise<string[]> {
  for (;;) {
    const answer = await fetch(`${url}/api/v1/query?query=true`)
    const { events } = (await answer.json()) as { events?: { service: string }[] }
    if (answer.status !== 200) continue // not evaluated yet
    const found = new Set(events!.map(({ service }) => service))
    return [...acknowledged].filter((service) => !found.has(service))
  }
}
