// What a machine's programs were told is kept, judged by a real engine: each event once, whatever became of servers and of the agent.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test, type TestContext } from 'node:test'
import {
  ClientError,
  decodeMsg,
  defaultLimits,
  encodeMsg,
  refusalAsTooLarge,
  withMark,
  type Event,
  type Msg,
} from '@ricci/client'
import { encodeEventsRecord, rules, tap, type EventView } from '@ricci/engine'
import { EngineBench, FaultyDisk, SeededRandom, VirtualClock } from '@ricci/testkit'
import { Distributor } from '../../intake/distributor.ts'
import { passes } from '../../intake/refused.ts'
import { nodeDisk, type Disk } from '../../log/index.ts'
import { silentLogger } from '../../telemetry/logger.ts'
import { Telemetry } from '../../telemetry/telemetry.ts'
import { DiskSpool } from './disk-spool.ts'
import type { Unsent } from './places-file.ts'
import { Relay } from './relay.ts'
import { MemorySpool, type Spool } from './spool.ts'

/** What becomes of a message: taken, taken with the answer lost, or not; or nobody ever says, or only once a promise has resolved that the answer was lost. */
type Fate = 'taken' | 'lost' | 'away' | 'silent' | Promise<void> | Msg

/** A machine whose programs send to an agent, and the engine of a server far away. */
class Machine {
  readonly clock = new VirtualClock()
  readonly engine = new EngineBench(rules(tap('all')))
  readonly said: string[] = []
  fate: () => Fate = () => 'taken'
  /** What a message may have at the server. */
  takesBytes = Infinity
  asked: string[] = []
  relay!: Relay
  #door!: Distributor
  #life = 0
  #places: Unsent | undefined
  #sent = 0

  constructor(
    readonly spool: Spool,
    private readonly keepsPlaces = false,
  ) {
    this.engine.tick(0, this.clock.wallMs())
    this.begin()
  }

  /** An agent begins; that before it, if any, was killed. */
  begin(spool: Spool = this.spool): void {
    const { clock } = this
    this.relay = new Relay({
      spool,
      servers: { sendMsg: (msg) => this.#server(msg) },
      clock,
      producer: `m/relay-${this.#life++}`,
      unsent: this.#places,
      keep: (unsent) => {
        if (this.keepsPlaces) this.#places = unsent
      },
      onProblem: (text) => this.said.push(text),
    })
    const door = new Distributor({
      log: spool,
      progress: () => undefined,
      telemetry: new Telemetry(silentLogger(), () => 0),
      clock,
      markingAs: this.relay.markingAs,
      limits: defaultLimits,
      onSettled: () => undefined,
    })
    this.#door = door
    this.relay.start(() => {
      door.renew()
      return door.settledSoFar()
    })
  }

  /** A program sends an event of a host, and is told that it is kept. */
  send(host = 'm', query?: string): Promise<void> {
    return this.#take(encodeMsg({ query, events: [this.#event({ host })] }))
  }

  /** A program sends some in one message. */
  sendAll(events: readonly Event[]): Promise<void> {
    return this.#take(encodeMsg({ events: events.map((event) => this.#event(event)) }))
  }

  /** A program sends one under a mark of its own, of a sequence without gaps. */
  sendMarked(sequence: number): Promise<void> {
    const mark = { producer: 'program', incarnation: 1, sequence, sentAtMs: this.clock.wallMs() }
    return this.#take(withMark(encodeMsg({ events: [this.#event({})] }), mark))
  }

  #event(event: Event): Event {
    return { host: 'm', ...event, metric: this.#sent++ }
  }

  #take(bytes: Uint8Array): Promise<void> {
    this.#door.inspect(bytes)
    return new Promise((resolve, reject) => {
      const owner = { durable: () => undefined, acknowledge: resolve, refused: reject, groupEnd: () => undefined }
      this.#door.add(bytes, owner)
    })
  }

  /** A second passes, at the server too. */
  async second(count = 1): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.clock.advance(1_000)
      this.engine.tick(1_000, this.clock.wallMs())
    }
  }

  /** Until everything that waits has been sent. */
  async settled(): Promise<void> {
    let done = false
    void this.relay.sentSoFar().then(() => (done = true))
    while (!done) {
      await this.second()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  get sent(): number[] {
    return Array.from({ length: this.#sent }, (_, i) => i)
  }

  /** Metrics in the order in which the engine applied them. */
  get applied(): number[] {
    return (this.engine.tapped('all') as EventView[]).map(({ metric }) => Number(metric))
  }

  async #server(msg: Msg | Uint8Array): Promise<Msg> {
    const fate = this.fate()
    if (typeof fate === 'object' && !(fate instanceof Promise)) return fate
    if (fate === 'away') throw new ClientError('UNREACHABLE', 'nobody is there', true)
    if (fate === 'silent') return new Promise(() => undefined)
    if (!(msg instanceof Uint8Array)) {
      this.asked.push(msg.query!)
      return { ok: true, events: [{ service: 'found' }] }
    }
    if (msg.length > this.takesBytes) return { ok: false, error: refusalAsTooLarge(this.takesBytes) }
    const { query } = decodeMsg(msg)
    if (query !== undefined) this.asked.push(query)
    this.engine.appendBytes(encodeEventsRecord(this.clock.wallMs(), msg))
    if (typeof fate === 'object') await fate
    if (fate === 'lost' || typeof fate === 'object')
      throw new ClientError('CONNECTION_LOST', 'the connection ended', true)
    return { ok: true }
  }
}

/** Only a refusal that passes is no defect: the program may send it again. */
const passing = (error: Error): void => assert.ok(passes(error), error.message)

const ascending = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b)

const inMemory = (maxBytes = 64 << 20): Machine => new Machine(new MemorySpool({ maxBytes, id: 'memory' }))

async function onDisk(
  t: TestContext,
  size = 64 << 20,
  clock = new VirtualClock(),
): Promise<{ machine: Machine; open: typeof open }> {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-spool-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const open = (maxBytes = size, disk?: Disk): Promise<Spool> =>
    DiskSpool.open({ directory: folder, maxBytes, disk, clock, onProblem: assert.fail })
  const machine = new Machine(await open(), true)
  return { machine, open }
}

describe('relay', () => {
  test('an hour without a server: each event once, and no loss told', async () => {
    const machine = inMemory()
    await machine.send()
    await machine.second()
    machine.fate = () => 'away'
    for (let second = 0; second < 3_600; second++) {
      await machine.send(`m${second % 3}`)
      await machine.second()
    }
    assert.equal(machine.applied.length, 1)
    assert.equal(machine.relay.stats.waiting, 3_600)
    machine.fate = () => 'taken'
    await machine.second(9)
    await machine.settled()
    await machine.send()
    // a gap would be told of after a minute
    await machine.second(70)
    assert.deepEqual(ascending(machine.applied), machine.sent)
    assert.deepEqual(machine.engine.alarms, [])
    assert.deepEqual(machine.said, [
      'messages wait here until a server takes them: nobody is there',
      'a server takes events again; 3599 messages that waited follow',
    ])
    machine.relay.stop()
    assert.equal(machine.clock.pendingTimers, 0)
  })

  test('while what waited is sent, what is fresh overtakes it; each part has a sequence of its own', async () => {
    const machine = inMemory()
    machine.fate = () => 'away'
    for (let n = 0; n < 20; n++) {
      await machine.send()
      await machine.second()
    }
    // a server takes one, and then nothing until more has come
    let taken = 0
    machine.fate = () => (taken++ === 0 ? 'taken' : 'away')
    await machine.second(9)
    assert.deepEqual(machine.applied, [0])
    await machine.send()
    await machine.send()
    machine.fate = () => 'taken'
    await machine.settled()
    // 20 and 21 are the fresh ones
    assert.deepEqual(machine.applied.slice(0, 4), [0, 20, 21, 1])
    assert.deepEqual(ascending(machine.applied), machine.sent)
    await machine.second(120)
    assert.deepEqual(machine.engine.alarms, [])
  })

  test('answers that are lost, servers that come and go: each event once', async () => {
    const machine = inMemory()
    const random = new SeededRandom(7)
    let away = false
    machine.fate = () => (away ? 'away' : random.chance(0.2) ? 'lost' : 'taken')
    for (let n = 0; n < 2_000; n++) {
      if (random.chance(0.01)) away = !away
      void machine.send(`m${n % 5}`)
      if (random.chance(0.3)) await machine.second(random.below(20))
    }
    away = false
    await machine.settled()
    await machine.second(120)
    assert.deepEqual(ascending(machine.applied), machine.sent)
    assert.deepEqual(machine.engine.alarms, [])
  })

  test('an agent that is killed: what it acknowledged is on the disk, and counts once', async (t) => {
    const { machine, open } = await onDisk(t)
    const random = new SeededRandom(3)
    let spool = machine.spool
    for (let life = 0; life < 8; life++) {
      machine.fate = () => (random.chance(0.1) ? 'away' : random.chance(0.1) ? 'lost' : 'taken')
      for (let n = 0; n < 60; n++) {
        await machine.send(`m${n % 3}`)
        if (random.chance(0.2)) await machine.second()
      }
      // killed: it keeps no places, and what is on its way may arrive all the same
      machine.fate = () => 'away'
      await spool.close()
      spool = await open()
      machine.begin(spool)
    }
    machine.fate = () => 'taken'
    await machine.settled()
    assert.deepEqual(ascending(machine.applied), machine.sent)
    machine.relay.stop()
    await spool.close()
  })

  test('however often the agent is started anew while servers are away, what is fresh goes first', async () => {
    const machine = new Machine(new MemorySpool({ maxBytes: 64 << 20, id: 'memory' }), true)
    machine.fate = () => 'away'
    for (let life = 0; life < 20; life++) {
      await machine.send()
      machine.relay.stop()
      machine.begin()
    }
    await machine.send()
    await machine.send()
    await machine.second(20)
    let taken = 0
    machine.fate = () => (taken++ === 0 ? 'taken' : 'away')
    await machine.second(9)
    await machine.send()
    machine.fate = () => 'taken'
    await machine.settled()
    assert.deepEqual(machine.applied.slice(0, 3), [20, 22, 0])
    assert.deepEqual(ascending(machine.applied), machine.sent)
    machine.relay.stop()
  })

  test('one whose answer is lost long after others were taken counts once, however many wait', async () => {
    const machine = inMemory()
    let lose = (): void => undefined
    const lost = new Promise<void>((resolve) => (lose = resolve))
    let n = 0
    machine.fate = () => (n++ === 0 ? lost : 'taken')
    await Promise.all(Array.from({ length: 10_000 }, () => machine.send()))
    await machine.second()
    assert.ok(machine.applied.length > 4_000, `${machine.applied.length}`)
    lose()
    await machine.settled()
    assert.deepEqual(ascending(machine.applied), machine.sent)
  })

  test('what does not fit is dropped from the oldest on, and counted; what was sent makes room', async (t) => {
    for (const machine of [inMemory(100_000), (await onDisk(t, 1 << 20)).machine]) {
      machine.fate = () => 'away'
      for (let n = 0; n < 20_000; n++) {
        void machine.send()
        if (n % 100 === 0) await machine.second()
      }
      await machine.send()
      assert.ok(machine.spool.bytes <= 1.1 * (1 << 20))
      machine.fate = () => 'taken'
      await machine.settled()
      const { applied } = machine
      const { dropped, sent, waiting } = machine.relay.stats
      assert.ok(dropped > 1_000, `${dropped}`)
      assert.equal(waiting, 0)
      assert.equal(sent + dropped, 20_001)
      assert.equal(applied.length, sent)
      assert.ok(applied.includes(20_000))
      await machine.second(2)
      // segments go with the next append
      await machine.send()
      await machine.settled()
      assert.ok(machine.spool.bytes < (1 << 20) / 4, `${machine.spool.bytes}`)
      machine.relay.stop()
      await machine.spool.close()
    }
  })

  test('a disk that is full: programs are told so, what is kept there is sent, and room is used again', async () => {
    const disk = new FaultyDisk({ capacityBytes: 60_000 })
    const onProblem = (text: string): void => void machine.said.push(text)
    const spool = await DiskSpool.open({
      ...{ directory: '/data', maxBytes: 64 << 20, clock: new VirtualClock(), onProblem, disk },
    })
    const machine = new Machine(spool)
    machine.fate = () => 'away'
    const acked: number[] = []
    for (let n = 0; n < 2_000; n++) await machine.send().then(() => acked.push(n), passing)
    assert.ok(acked.length > 100 && acked.length < 2_000, `${acked.length}`)
    assert.match(machine.said.join('\n'), /no space left|is full/i)
    machine.fate = () => 'taken'
    await machine.settled()
    // somebody makes room
    disk.capacityBytes = Infinity
    await machine.send()
    await machine.settled()
    assert.deepEqual(ascending(machine.applied), [...acked, 2_000])
    assert.deepEqual(machine.engine.alarms, [])
    machine.relay.stop()
    await spool.close()
  })

  test('a clock that is put an hour on and back: each event once, and none is taken for late', async () => {
    const machine = inMemory()
    const hourMs = 3_600_000
    for (const shiftMs of [0, hourMs, -hourMs]) {
      machine.clock.shiftWall(shiftMs)
      machine.fate = () => 'away'
      for (let n = 0; n < 20; n++) {
        await machine.send()
        await machine.second()
      }
      machine.fate = () => 'taken'
      await machine.settled()
    }
    await machine.second(70)
    assert.deepEqual(ascending(machine.applied), machine.sent)
    assert.deepEqual(machine.engine.alarms, [])
  })

  test('a clock that is put eight days on, and on again: nothing that waits on the disk is taken for too old', async (t) => {
    const clock = new VirtualClock()
    const { machine, open } = await onDisk(t, 2 << 20, clock)
    machine.fate = () => 'away'
    let { spool } = machine
    for (let jump = 0; jump < 3; jump++) {
      await Promise.all(Array.from({ length: 2_000 }, () => machine.send()))
      clock.shiftWall((jump + 1) * 8 * 24 * 3_600_000)
      machine.relay.stop()
      await spool.close()
      spool = await open()
      machine.begin(spool)
    }
    await machine.send()
    machine.fate = () => 'taken'
    await machine.settled()
    assert.deepEqual([machine.applied.length, machine.relay.stats.dropped], [machine.sent.length, 0])
    machine.relay.stop()
    await spool.close()
  })

  test('what a server refuses for good is counted, and keeps nothing up', async () => {
    const machine = inMemory()
    let n = 0
    machine.fate = () => (n++ === 0 ? { ok: false, error: 'no such time' } : 'taken')
    await machine.send()
    await machine.send()
    await machine.settled()
    assert.deepEqual(machine.applied, [1])
    assert.equal(machine.relay.stats.refused, 1)
    assert.deepEqual(machine.said, ['a server refused a message, or some of it: no such time'])
  })

  test('a server that takes less at once has it in parts, each event once whatever answers are lost', async () => {
    const machine = inMemory()
    const random = new SeededRandom(5)
    machine.fate = () => (random.chance(0.2) ? 'lost' : random.chance(0.1) ? 'away' : 'taken')
    for (let n = 0; n < 40; n++) {
      machine.takesBytes = n < 10 ? Infinity : n < 25 ? 2_000 : 900
      const events = Array.from({ length: 1 + random.below(60) }, (_, i) => ({ service: `s${i}`, description: 'long' }))
      void machine.sendAll(events)
      // a server that takes less is another one
      await machine.settled()
    }
    await machine.second(120)
    assert.deepEqual(ascending(machine.applied), machine.sent)
    assert.deepEqual([machine.engine.alarms, machine.relay.stats.refused], [[], 0])
  })

  test('an event that is too large by itself is refused, and counted; what came with it and after it is taken', async () => {
    const machine = inMemory()
    machine.takesBytes = 1_000
    await machine.sendAll([{}, {}, { description: 'x'.repeat(2_000) }, {}, {}])
    await machine.send()
    await machine.settled()
    assert.deepEqual(ascending(machine.applied), [0, 1, 3, 4, 5])
    assert.deepEqual([machine.relay.stats.sent, machine.relay.stats.refused], [1, 1])
    const why = 'too large: at most 1000 bytes are taken in one message; send fewer events at a time'
    assert.deepEqual(machine.said, [`a server refused a message, or some of it: ${why}`])
  })

  test('a program that marks by itself: what is fresh overtakes what waited, and none is told as lost', async () => {
    const machine = inMemory()
    let sequence = 0
    await machine.sendMarked(++sequence)
    machine.fate = () => 'away'
    for (let n = 0; n < 20; n++) {
      await machine.sendMarked(++sequence)
      await machine.second()
    }
    let taken = 0
    machine.fate = () => (taken++ === 0 ? 'taken' : 'away')
    await machine.second(9)
    // a program that had no answer sends again
    for (const again of [5, ++sequence]) await machine.sendMarked(again)
    // what waited goes on waiting for longer than gaps are borne with
    for (let n = 0; n < 90; n++) {
      taken = 0
      await machine.sendMarked(++sequence)
      await machine.second()
    }
    machine.fate = () => 'taken'
    await machine.settled()
    await machine.second(70)
    assert.equal(machine.applied.length, sequence)
    assert.deepEqual(machine.engine.alarms, [])
  })

  test('a question goes to a server once it has all that was sent here before', async () => {
    const machine = inMemory()
    const ask = () => machine.relay.ask('true', machine.clock.monotonicMs(), () => true)
    await machine.send()
    const [page] = await ask()
    assert.deepEqual(decodeMsg(page).events, [{ service: 'found' }])
    assert.deepEqual([machine.applied.length, machine.asked], [1, ['true']])
    machine.fate = () => 'away'
    await assert.rejects(ask(), { code: 'NO_SERVER', message: /no server can be asked now: nobody is there/ })
    await machine.send()
    const late = assert.rejects(ask(), { code: 'NOT_EVALUATED' })
    await machine.second(5)
    await late
    machine.fate = () => ({ ok: false, error: 'parse error' })
    await machine.second(9)
    await machine.settled()
    await assert.rejects(ask(), { code: 'QUERY_REFUSED', message: 'parse error' })
    machine.fate = () => 'silent'
    const unanswered = assert.rejects(ask(), { code: 'NOT_EVALUATED', message: /no server has answered/ })
    await machine.second(5)
    await unanswered
  })

  test('events that came with a query go on without it: whatever it asks, they count', async () => {
    const machine = inMemory()
    await machine.send('m', 'no query at all')
    await machine.settled()
    assert.deepEqual([machine.applied, machine.asked], [[0], []])
  })

  test('a disk that cannot be read when servers are back: what is fresh waits for its turn, and nothing is lost', async () => {
    const spool = new MemorySpool({ maxBytes: 64 << 20, id: 'memory' })
    const machine = new Machine(spool)
    machine.fate = () => 'away'
    for (let n = 0; n < 20; n++) {
      await machine.send()
      await machine.second()
    }
    const reader = spool.reader.bind(spool)
    spool.reader = () => {
      spool.reader = reader
      throw new Error('EIO: i/o error')
    }
    machine.fate = () => 'taken'
    await machine.settled()
    await machine.send()
    await machine.settled()
    assert.deepEqual(machine.applied, machine.sent)
    assert.match(machine.said.at(-1)!, /what is fresh goes after what waited: EIO/)
  })

  test('a reader whose place is on its way out waits until that is known, and goes on behind it', async (t) => {
    const { machine, open } = await onDisk(t, 4 << 20)
    machine.fate = () => 'away'
    while (machine.spool.bytes < 3 << 20) await Promise.all(Array.from({ length: 500 }, () => machine.send()))
    const { end } = machine.spool
    machine.relay.stop()
    await machine.spool.close()
    // less room than before: many segments go at once, and it takes as long as the test likes
    let went = 0
    let go = (): void => undefined
    let wait = new Promise<void>((resolve) => (go = resolve))
    let reached = (): void => undefined
    const third = new Promise<void>((resolve) => (reached = resolve))
    const disk: Disk = {
      ...nodeDisk,
      async unlink(path) {
        await nodeDisk.unlink(path)
        if (++went < 3) return
        reached()
        await wait
      },
    }
    const spool = await open(1 << 20, disk)
    const reader = spool.reader(0)
    const read: number[] = []
    const readAll = (): void => {
      for (let records = reader.next(); records.length > 0; records = reader.next()) {
        read.push(...records.map(({ offset }) => offset))
      }
    }
    read.push(...reader.next().map(({ offset }) => offset))
    const appended = spool.appendAllParts(0, [new Uint8Array(8)], [new Uint8Array(8)])
    await third
    readAll()
    assert.ok(read.at(-1)! < end, 'it waits')
    let told = 0
    spool.onMore = () => told++
    go()
    wait = Promise.resolve()
    await appended
    assert.equal(told, 2)
    readAll()
    assert.equal(read.at(-1), end)
    reader.close()
    await spool.close()
  })
})
