import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import { encodeMsg, maxFrameBytes, maxMarkBytes, RiemannTcpClient, RiemannUdpClient, takenBytes } from '@ricci/client'
import { nodeClock } from '../server/node-clock.ts'
import { Bench } from '../server/testing.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { LocalAgent, type LocalAgentOptions, type LocalOptions } from './local-agent.ts'
import { parseServer } from './servers/places.ts'

const any = { host: '127.0.0.1', port: 0, yields: false }

/** Lets an agent be made in a test; it stops with it. */
function agents(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-agent-'))
  const logged: string[] = []
  let lot = 0
  const made: LocalAgent[] = []
  t.after(async () => {
    for (const agent of made) await agent.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const make = (server: string, local?: Partial<LocalOptions>, more: Partial<LocalAgentOptions> = {}): LocalAgent => {
    const log = createLogger({ format: 'people', write: (line) => logged.push(line) })
    const agent = new LocalAgent({
      host: 'm',
      version: '0.0.0',
      to: { servers: server.split(',').map((name) => parseServer(name)!) },
      intervalMs: 60_000,
      telemetry: new Telemetry(log, () => nodeClock.monotonicMs()),
      clock: nodeClock,
      random: { next: () => (lot = (lot + 0.37) % 1) },
      ...(local !== undefined && {
        local: { riemann: any, http: any, keep: { maxBytes: 16 << 20, folder }, ...local },
      }),
      ...more,
    })
    made.push(agent)
    return agent
  }
  return { make, logged }
}

function client(t: TestContext, port: number): RiemannTcpClient {
  const made = new RiemannTcpClient({ port, timeoutMs: 20_000 })
  t.after(() => made.destroy())
  return made
}

const now = (): number => Date.now() / 1000

const skip = process.platform === 'linux' ? false : 'needs /proc'

describe('an agent for the programs of its machine', { skip }, () => {
  test('takes events over TCP, UDP and HTTP, and answers from the server what it sent itself', async (t) => {
    const bench = new Bench()
    t.after(() => bench.close())
    const { tcp } = await bench.server().start()
    const agent = agents(t).make(tcp!, {})
    await agent.start()
    const { riemann, http } = agent.listens
    const program = client(t, riemann!)
    const udp = new RiemannUdpClient({ port: riemann! })
    t.after(() => udp.close())
    await program.send({ host: 'a', service: 'over tcp', metric: 1, time: now(), ttl: 60 })
    await udp.send({ host: 'a', service: 'over udp', metric: 1, time: now(), ttl: 60 })
    const body = JSON.stringify({ host: 'a', service: 'over http', metric: 1 })
    const posted = await fetch(`http://127.0.0.1:${http}/api/v1/events`, { method: 'POST', body })
    assert.deepEqual([posted.status, await posted.json()], [200, { taken: 1 }])
    let found: (string | undefined)[] = []
    while (found.length < 3) found = (await program.query('host = "a"')).map(({ service }) => service)
    assert.deepEqual(found.sort(), ['over http', 'over tcp', 'over udp'])
    await assert.rejects(program.query('host ='), { code: 'REFUSED' })
    const ready = await fetch(`http://127.0.0.1:${http}/readyz`)
    assert.deepEqual([ready.status, await ready.json()], [200, { ready: true, server: tcp }])
    const metrics = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text()
    assert.match(metrics, /^ricci_agent_connected 1\nricci_agent_relayed_sent 3$/m)
  })

  for (const keep of ['disk', 'memory']) {
    test(`a program notices nothing of a server that is away: kept ${keep === 'disk' ? 'on the disk' : 'in memory'}`, async (t) => {
      const bench = new Bench()
      t.after(() => bench.close())
      const first = bench.server()
      const { tcp } = await first.start()
      await first.stop()
      const { make, logged } = agents(t)
      let agent = make(tcp!, keep === 'disk' ? {} : { keep: { maxBytes: 1 << 20 } })
      await agent.start()
      const program = client(t, agent.listens.riemann!)
      await program.send({ host: 'a', service: 'one', metric: 1, time: now(), ttl: 600 })
      const { http } = agent.listens
      const ready = await fetch(`http://127.0.0.1:${http}/readyz`)
      assert.equal(ready.status, 503)
      if (keep === 'disk') {
        // an agent that ends leaves it on the disk; the next one brings it
        await agent.stop()
        agent = make(tcp!, {})
        await agent.start()
      }
      const port = Number(tcp!.split(':')[1])
      const listen = { tcp: { host: '127.0.0.1', port }, http: any }
      const second = bench.server({ config: bench.config({ listen }) })
      const { http: api } = await second.start()
      assert.deepEqual(await bench.services(api, 'one'), ['one'])
      assert.ok(logged.some((line) => /messages wait here until a server takes them/.test(line)))
    })
  }

  test('listens nowhere where somebody listens already, if it may yield; else that is an error', async (t) => {
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    t.after(() => taken.close())
    const { port } = taken.address() as { port: number }
    const at = { host: '127.0.0.1', port, yields: false }
    const { make, logged } = agents(t)
    const yielding = make('127.0.0.1:1', { riemann: { ...at, yields: true } })
    await yielding.start()
    assert.equal(yielding.listens.riemann, undefined)
    assert.ok(logged.some((line) => /listens nowhere there/.test(line)))
    await yielding.stop()
    await assert.rejects(make('127.0.0.1:1', { riemann: at }).start(), { code: 'LISTEN' })
  })

  test('of one port it takes TCP and UDP, or neither', async (t) => {
    const taken = createSocket('udp4')
    await new Promise<void>((resolve) => taken.bind(0, '127.0.0.1', resolve))
    t.after(() => taken.close())
    const { port } = taken.address() as AddressInfo
    const agent = agents(t).make('127.0.0.1:1', { riemann: { host: '127.0.0.1', port, yields: true } })
    await agent.start()
    assert.deepEqual(Object.keys(agent.listens), ['riemann', 'http'])
    assert.equal(agent.listens.riemann, undefined)
    const other = createServer()
    await new Promise<void>((resolve, reject) => other.on('error', reject).listen(port, '127.0.0.1', resolve))
    await new Promise((resolve) => other.close(resolve))
  })

  test('acknowledges no message that no server would take', async (t) => {
    const bench = new Bench()
    t.after(() => bench.close())
    const { tcp, http } = await bench.server().start()
    const agent = agents(t).make(tcp!, {})
    await agent.start()
    const program = client(t, agent.listens.riemann!)
    const mark = { producer: 'p'.repeat(501), incarnation: 1, sequence: 1, sentAtMs: now() }
    const marked = await program.sendMsg({ events: [{ host: 'a' }], mark })
    assert.match(marked.error ?? '', /^the producer of a mark has 501 bytes, and agents take 500/)
    const { ok, error } = await client(t, agent.listens.riemann!).sendMsg(sized(maxFrameBytes - 10))
    assert.deepEqual([ok, takenBytes(error)], [false, maxFrameBytes - maxMarkBytes])
    await program.sendMsg(sized(maxFrameBytes - maxMarkBytes))
    await program.send({ host: 'a', service: 'next', metric: 1, time: now(), ttl: 600 })
    assert.deepEqual(await bench.services(http, 'next'), ['next'])
  })
})

/** A message of so many bytes. */
function sized(bytes: number): Uint8Array {
  const descriptions = Array.from({ length: 500 }, () => 'x'.repeat(30_000))
  const encoded = (): Uint8Array =>
    encodeMsg({ events: descriptions.map((description) => ({ host: 'a', service: 'large', description, time: 1 })) })
  for (let i = 0, missing = bytes - encoded().length; missing > 0; missing -= 30_000, i++) {
    descriptions[i] += 'x'.repeat(Math.min(30_000, missing))
  }
  assert.equal(encoded().length, bytes)
  return encoded()
}
