import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { describe, test } from 'node:test'
import {
  ClientError,
  decodeMsg,
  encodeMsg,
  type Event,
  frame,
  FrameReader,
  type Msg,
  refusalAsTooLarge,
  refusalForNow,
  RiemannTcpClient,
} from '@ricci/client'
import { TestClock } from '../receivers/testing.ts'
import { nodeClock } from '../server/node-clock.ts'
import { type Agent, type AgentClient, type AgentOptions, startAgent } from './agent.ts'
import { type Machine, thisMachine } from './sampler.ts'
import type { EventSource } from './sources.ts'

/** A machine that only has an uptime, which counts samples. */
class SmallMachine implements Machine {
  samples = 0
  async read(file: string): Promise<string> {
    if (file === 'uptime') return `${++this.samples}.0 0`
    if (file === 'mounts') return ''
    throw new Error(`${file} is hidden`)
  }
  fileSystem(): never {
    throw new Error('no mount was named')
  }
  patience() {
    return { over: Promise.resolve(), end: () => undefined }
  }
}

type Answer = (msg: Msg) => Promise<Msg>

/** A client whose answers are a script; a message without one left waits for the next. */
class ScriptedClient implements AgentClient {
  readonly sent: Msg[] = []
  readonly #answers: Answer[]
  #waiting: (() => void)[] = []

  constructor(answers: Answer[]) {
    this.#answers = answers
  }

  async sendMsg(bytes: Uint8Array): Promise<Msg> {
    const msg = decodeMsg(bytes)
    this.sent.push(msg)
    this.#waiting.splice(0).forEach((resolve) => resolve())
    return (this.#answers.shift() ?? ok)(msg)
  }

  /** Resolves once so many messages were sent. */
  async until(count: number): Promise<void> {
    while (this.sent.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    await turns()
  }
}

const ok: Answer = () => Promise.resolve({ ok: true })
const lost: Answer = () => Promise.reject(new ClientError('CONNECTION_LOST', 'the connection ended', true))

/** Lets everything that needs no timer finish. */
async function turns(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

function start(answers: Answer[], options: Partial<AgentOptions> = {}) {
  const clock = new TestClock()
  const client = new ScriptedClient(answers)
  const problems: string[] = []
  const agent = startAgent({
    client,
    host: 'web-7',
    producer: 'agent web-7 1',
    intervalMs: 1_000,
    clock,
    onProblem: (text) => problems.push(text),
    machine: new SmallMachine(),
    platform: 'linux',
    ...options,
  })
  return { clock, client, problems, agent }
}

/** The samples' numbers in the order they were sent. */
const order = (client: ScriptedClient) => client.sent.map(({ events }) => events![0].metric)

describe('agent', () => {
  test('sends each sample with host, time, ttl and the next mark', async () => {
    const { clock, client, agent, problems } = start([])
    await client.until(1)
    clock.advance(1_000)
    await client.until(2)
    await agent.stop()
    assert.deepEqual(client.sent[1].mark, {
      producer: 'agent web-7 1',
      incarnation: Date.UTC(2026, 10, 21, 12),
      sequence: 2,
      sentAtMs: Date.UTC(2026, 10, 21, 12, 0, 1),
    })
    assert.deepEqual(client.sent[1].events![0], {
      host: 'web-7',
      service: 'uptime',
      metric: 2,
      metricType: 'double',
      description: 'up for 0 min',
      time: Date.UTC(2026, 10, 21, 12, 0, 1) / 1000,
      ttl: 10,
      tags: ['agent'],
    })
    assert.deepEqual(
      client.sent[1].events!.map(({ service }) => service),
      ['uptime', 'ricci agent buffered', 'ricci agent dropped'],
    )
    // each hidden file is named once, not with every sample
    assert.equal(problems.length, 5)
    assert.match(problems[0], /^the probe cpu is left out: stat is hidden$/)
  })

  test('a message in doubt is sent again under its mark, after the newest', async () => {
    const { clock, client, problems, agent } = start([ok, lost], { intervalMs: 400 })
    await client.until(1)
    for (let sample = 2; sample <= 4; sample++) {
      clock.advance(400)
      await turns()
    }
    // the second was lost; the third and fourth wait with it for the retry, a second later
    assert.deepEqual(order(client), [1, 2])
    assert.equal(agent.stats.buffered, 9)
    clock.advance(200)
    await client.until(5)
    await agent.stop()
    assert.deepEqual(order(client), [1, 2, 4, 2, 3])
    assert.deepEqual(
      client.sent.map(({ mark }) => mark!.sequence),
      [1, 2, 3, 2, 4],
    )
    assert.ok(client.sent[3].mark!.sentAtMs > client.sent[1].mark!.sentAtMs)
    assert.deepEqual(problems.slice(5), [
      'events wait in memory until the server takes them: the connection ended',
      'the server takes events again; 6 that waited follow',
    ])
    assert.deepEqual(agent.stats, { sent: 12, buffered: 0, dropped: 0, refused: 0 })
  })

  test('while the server is away the buffer is bounded; the newest survives', async () => {
    const { clock, client, agent } = start([lost], { intervalMs: 100, maxBufferedEvents: 9 })
    for (let sample = 1; sample <= 10; sample++) {
      await turns()
      clock.advance(sample === 10 ? 99 : 100)
    }
    await turns()
    assert.deepEqual(agent.stats, { sent: 0, buffered: 9, dropped: 21, refused: 0 })
    clock.advance(1)
    await client.until(5)
    await agent.stop()
    assert.equal(order(client)[1], 10)
    assert.deepEqual(order(client).slice(1).sort(), [10, 11, 8, 9])
    assert.equal(agent.stats.sent, 12)
  })

  test('what the server refuses is not sent again', async () => {
    const { clock, client, problems, agent } = start([() => Promise.resolve({ ok: false, error: 'no room' })])
    await client.until(1)
    clock.advance(1_000)
    await client.until(2)
    await agent.stop()
    assert.deepEqual(order(client), [1, 2])
    assert.deepEqual(agent.stats, { sent: 3, buffered: 0, dropped: 0, refused: 3 })
    assert.ok(problems.includes('the server refused 3 events: no room'))
  })

  test('a server that takes less at once has a sample in parts, under marks without a gap; what is too large alone is refused', async () => {
    let events: readonly Event[] = [{ service: 'long', description: 'x'.repeat(2_000) }]
    let emit: (events: readonly Event[]) => void = () => undefined
    const source = {
      name: 's',
      start: (to: typeof emit) => void (emit = to),
      once: async () => [],
      stop: async () => {},
    }
    const limited: Answer = (msg) => {
      const isTaken = encodeMsg(msg).length <= 1_000
      return Promise.resolve(isTaken ? { ok: true } : { ok: false, error: refusalAsTooLarge(1_000) })
    }
    const { client, agent, problems } = start(Array<Answer>(200).fill(limited), { sources: [source] })
    await client.until(1)
    events = [...events, ...Array.from({ length: 40 }, (_, i) => ({ service: `s${i}`, description: 'd'.repeat(40) }))]
    emit(events)
    while (agent.stats.sent + agent.stats.refused < 3 + events.length) await turns()
    emit(events)
    const first = client.sent.length
    while (agent.stats.sent + agent.stats.refused < 3 + 2 * events.length) await turns()
    await agent.stop()
    assert.deepEqual([agent.stats.sent, agent.stats.refused], [3 + 80, 2])
    const sequences = new Set(client.sent.map(({ mark }) => mark!.sequence))
    assert.deepEqual(Math.max(...sequences), sequences.size)
    assert.match(problems.at(-1)!, /^the server refused 1 events: too large: at most 1000 bytes/)
    // what it said is known by then: but for the event that fits nowhere, nothing is sent that it would refuse
    const again = client.sent.slice(first).filter((msg) => encodeMsg(msg).length > 1_000)
    assert.equal(again.length, 1)
  })

  test('what the server cannot take for now waits, and is sent again less and less often, under its mark', async () => {
    const full: Answer = () => Promise.resolve({ ok: false, error: refusalForNow('the disk is full') })
    const { clock, client, problems, agent } = start([full, full, full, full, full], { intervalMs: 100_000 })
    await client.until(1)
    for (const pauseMs of [1_000, 2_000, 4_000, 8_000, 8_000]) {
      const { length } = client.sent
      clock.advance(pauseMs - 1)
      await turns()
      assert.equal(client.sent.length, length)
      clock.advance(1)
      await client.until(length + 1)
    }
    await turns()
    assert.deepEqual(agent.stats, { sent: 3, buffered: 0, dropped: 0, refused: 0 })
    await agent.stop()
    assert.deepEqual(
      client.sent.map(({ mark }) => mark!.sequence),
      [1, 1, 1, 1, 1, 1],
    )
    assert.deepEqual(problems.slice(5), [
      'events wait in memory until the server takes them: not taken for now: the disk is full',
      'the server takes events again; 0 that waited follow',
    ])
  })

  test('an event that cannot be put into bytes keeps nothing else out', async () => {
    let emit: (events: readonly Event[]) => void = () => undefined
    const source = {
      name: 's',
      start: (to: typeof emit) => void (emit = to),
      once: async () => [],
      stop: async () => {},
    }
    const { client, agent, problems } = start([], { sources: [source] })
    await client.until(1)
    emit([{ service: 'good', ttl: 60 }, { service: 'bad', metric: 'x' as never }, { service: 'better' }])
    await client.until(2)
    await agent.stop()
    assert.deepEqual(
      client.sent[1].events!.map(({ host, service, ttl }) => [host, service, ttl]),
      [
        ['web-7', 'good', 60],
        ['web-7', 'better', 10],
      ],
    )
    assert.equal(agent.stats.refused, 1)
    assert.match(problems.at(-1)!, /^an event of service bad cannot be sent: /)
  })

  test('stop is idempotent, ends every timer, and waits a second at most', async () => {
    const { clock, client, agent } = start([() => new Promise(() => {})])
    await client.until(1)
    let stopped = false
    const stopping = agent.stop().then(() => (stopped = true))
    assert.equal(agent.stop(), agent.stop())
    await turns()
    assert.equal(stopped, false)
    clock.advance(1_000)
    await stopping
    assert.equal(clock.pendingTimers, 0)
  })

  test('a sample that comes late does not move the grid, and missed ones are not made up for', async () => {
    const { clock, client, agent } = start([])
    await client.until(1)
    clock.advance(3_400)
    await client.until(2)
    clock.advance(599)
    await turns()
    assert.equal(client.sent.length, 2)
    clock.advance(1)
    await client.until(3)
    await agent.stop()
  })

  test('events of sources go out as they come, with what they lack; they are stopped with it', async () => {
    let emit = (_events: readonly Event[]): void => undefined
    const calls: string[] = []
    const source: EventSource = {
      name: 'scraping',
      once: async () => [],
      start: (take) => {
        calls.push('start')
        emit = take
      },
      stop: async () => void calls.push('stop'),
    }
    const { clock, client, agent } = start([], { sources: [source] })
    await client.until(1)
    emit([
      { service: 'up', metric: 1, ttl: 45 },
      { service: 'a', metric: 2, time: 7, tags: ['b'] },
    ])
    await client.until(2)
    await agent.stop()
    assert.deepEqual(client.sent[1].events, [
      { time: clock.wallMs() / 1000, ttl: 45, tags: ['agent'], service: 'up', metric: 1, host: 'web-7' },
      { time: 7, ttl: 10, tags: ['b'], service: 'a', metric: 2, host: 'web-7' },
    ])
    assert.equal(client.sent[1].mark!.sequence, 2)
    assert.deepEqual(calls, ['start', 'stop'])
    assert.equal(clock.pendingTimers, 0)
  })

  test('elsewhere than on Linux: a sentence', () => {
    assert.throws(() => start([], { platform: 'darwin' }), {
      code: 'AGENT_UNSUPPORTED',
      message: /reads \/proc, which darwin does not have; run it on Linux/,
    })
  })
})

test('this machine, over TCP: more than twenty events, CPUs among them once they have counted on', async (t) => {
  if (process.platform !== 'linux') return t.skip('needs /proc')
  const services = new Set<string>()
  let agent: Agent
  let client: RiemannTcpClient
  const sockets = new Set<Socket>()
  const enough = new Promise<void>((resolve) => {
    const server = createServer((socket) => {
      sockets.add(socket)
      const frames = new FrameReader()
      socket.on('data', (chunk) => {
        frames.push(chunk)
        for (let bytes = frames.next(); bytes !== undefined; bytes = frames.next()) {
          for (const { service } of decodeMsg(bytes).events ?? []) services.add(service!)
          socket.write(frame(encodeMsg({ ok: true })))
          // the kernel counts CPU time in hundredths of a second, so one sample after another may show none
          if (services.has('cpu.0.user')) resolve()
        }
      })
    })
    t.after(async () => {
      await agent.stop()
      await client.destroy()
      for (const socket of sockets) socket.destroy()
      await new Promise((done) => server.close(done))
    })
    server.listen(0, '127.0.0.1', () => {
      client = new RiemannTcpClient({ port: (server.address() as AddressInfo).port })
      agent = startAgent({
        client,
        host: 'here',
        producer: 'agent here 1',
        intervalMs: 100,
        clock: nodeClock,
        onProblem: (text) => assert.fail(text),
        machine: thisMachine,
      })
    })
  })
  await enough
  assert.ok(services.size >= 20, [...services].join(', '))
  for (const service of ['cpu', 'load', 'memory', 'uptime', 'cpu.0.user']) assert.ok(services.has(service), service)
})
