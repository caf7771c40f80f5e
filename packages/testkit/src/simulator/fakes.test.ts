import { ReplicaError, type StoredRecord } from '@ricci/replica'
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SimCoordination } from './coordination.ts'
import { SimLog } from './log.ts'
import { SimNetwork, storeName } from './network.ts'
import { MachineClock, Process } from './process.ts'
import { SimReceiver, SimTransport } from './receivers.ts'
import { SimSnapshots } from './snapshots.ts'
import { World } from './world.ts'

function aWorld(): { world: World; start: (name: string) => Process } {
  const world = new World(1, { keepTrace: false })
  return { world, start: (name) => new Process(world, name, new MachineClock(world, 1, 0)) }
}

/** What a reader of partition 0 is given, for as long as the test runs. */
function collect(
  log: SimLog,
  process: Process,
  from = 0,
): { records: StoredRecord[]; errors: unknown[]; stop: () => void } {
  const abort = new AbortController()
  const collected = { records: [] as StoredRecord[], errors: [] as unknown[], stop: () => abort.abort() }
  void (async () => {
    try {
      for await (const batch of log.connect(process).read(0, from, abort.signal)) collected.records.push(...batch)
    } catch (error) {
      collected.errors.push(error)
    }
  })()
  return collected
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const texts = (records: readonly StoredRecord[]): string[] =>
  records.map((record) => new TextDecoder().decode(record.bytes))

describe('a simulated process', () => {
  it('runs nothing while it is stopped and catches up when it goes on; dead it never runs', async () => {
    const { world, start } = aWorld()
    const [stopped, dead] = [start('stopped'), start('dead')]
    const seen: string[] = []
    stopped.clock.setTimer(10, () => seen.push(`stopped at ${world.nowMs}`))
    dead.clock.setTimer(10, () => seen.push('dead'))
    stopped.stop()
    dead.kill()
    await world.clock.advance(100)
    assert.deepEqual(seen, [])
    stopped.goOn()
    dead.goOn()
    await world.clock.advance(1)
    assert.deepEqual(seen, ['stopped at 100'])
  })

  it('has clocks that drift and jump, and a monotonic one that stands still while suspended', async () => {
    const world = new World(1, { keepTrace: false })
    const machine = new MachineClock(world, 1.01, 0)
    const process = new Process(world, 'a', machine)
    const wall = process.clock.wallMs()
    await world.clock.advance(10_000)
    assert.equal(process.clock.monotonicMs(), 10_100)
    assert.equal(process.clock.wallMs() - wall, 10_100)
    const fired: number[] = []
    process.clock.setTimer(1_010, () => fired.push(world.nowMs))
    process.stop()
    machine.suspend()
    await world.clock.advance(5_000)
    machine.wake()
    process.goOn()
    assert.equal(process.clock.monotonicMs(), 10_100)
    await world.clock.advance(2_000)
    assert.deepEqual(fired.map(Math.round), [16_000])
    machine.jumpWall(-7_000)
    assert.equal(process.clock.wallMs() - wall, Math.round(17_000 * 1.01) - 7_000)
  })
})

describe('the simulated log', () => {
  it('keeps order, gives every reader the same records, and goes on as they come', async () => {
    const { world, start } = aWorld()
    const log = new SimLog(world, 1)
    const [a, b] = [start('a'), start('b')]
    const [first, second] = [collect(log, a), collect(log, b)]
    const connection = log.connect(a)
    const offsets = [connection.append(0, [bytes('1'), bytes('2')]), connection.append(0, [bytes('3')])]
    await world.clock.advance(100)
    assert.deepEqual(await Promise.all(offsets), [[0, 1], [2]])
    assert.deepEqual(texts(first.records), ['1', '2', '3'])
    assert.deepEqual(second.records, first.records)
    assert.deepEqual(await settled(world, connection.range(0)), { first: 0, end: 3 })
    first.stop()
    second.stop()
  })

  it('can refuse, lose a confirm, write twice and write late', async () => {
    const { world, start } = aWorld()
    const log = new SimLog(world, 1)
    const { weather } = log.partition(0)
    const connection = log.connect(start('a'))
    const outcomes: string[] = []
    for (const kind of ['error', 'lostConfirm', 'straggler', 'duplicated'] as const) {
      weather[kind] = 1
      connection.append(0, [bytes(kind)]).then(
        () => outcomes.push(`${kind} confirmed`),
        (error: ReplicaError) => outcomes.push(`${kind} ${error.code}`),
      )
      weather[kind] = 0
      await world.clock.advance(20_000)
    }
    assert.deepEqual(outcomes, [
      'error LOG_UNAVAILABLE',
      'lostConfirm LOG_UNAVAILABLE',
      'straggler LOG_UNAVAILABLE',
      'duplicated confirmed',
    ])
    assert.deepEqual(texts(log.records(0)), ['lostConfirm', 'straggler', 'duplicated', 'duplicated'])
  })

  it('confirms after a freeze what it does not hold, for some connection of many', async () => {
    const { world, start } = aWorld()
    const log = new SimLog(world, 1)
    const partition = log.partition(0)
    partition.frozen = true
    let confirmed = 0
    for (let i = 0; i < 20; i++) {
      void log
        .connect(start(`i${i}`))
        .append(0, [bytes(`${i}`)])
        .then(() => confirmed++)
    }
    await world.clock.advance(5_000)
    assert.equal(confirmed, 0)
    partition.thaw()
    await world.clock.advance(5_000)
    assert.equal(confirmed, 20)
    assert.ok(partition.end > 0 && partition.end < 20, `the log holds ${partition.end} of 20`)
  })

  it('silences a reader without a word, and ends one with an error', async () => {
    const { world, start } = aWorld()
    const log = new SimLog(world, 1)
    const partition = log.partition(0)
    const collected = collect(log, start('a'))
    await world.clock.advance(10)
    for (const reader of partition.readers) reader.silent = true
    partition.write(bytes('1'))
    await world.clock.advance(60_000)
    assert.deepEqual([collected.records.length, collected.errors.length], [0, 0])
    const anew = collect(log, start('b'))
    await world.clock.advance(10)
    assert.deepEqual(texts(anew.records), ['1'])
    for (const reader of partition.readers) reader.breakOff()
    await world.clock.advance(10)
    assert.equal((anew.errors[0] as ReplicaError).code, 'LOG_UNAVAILABLE')
    collected.stop()
  })
})

describe('simulated coordination', () => {
  it('gives one lease, moves it on after a death, and can let two believe', async () => {
    const { world, start } = aWorld()
    const store = new SimCoordination(world, 1)
    const processes = [start('a'), start('b')]
    const held = new Map<string, boolean>()
    const abort = new AbortController()
    for (const process of processes) {
      store.connect(process).campaign(0, (lease) => held.set(process.name, lease !== undefined), abort.signal)
    }
    const holders = (): string[] => [...held].filter(([, holds]) => holds).map(([name]) => name)
    await world.clock.advance(2_000)
    assert.equal(holders().length, 1)
    const [first] = holders()
    store.giveToAnother(0, 3_000)
    await world.clock.advance(1_000)
    assert.equal(holders().length, 2)
    await world.clock.advance(5_000)
    assert.equal(holders().length, 1)
    assert.notEqual(holders()[0], first)
    processes.find((process) => process.name === holders()[0])!.kill()
    await world.clock.advance(10_000)
    assert.equal(held.get(first), true)
    abort.abort()
  })

  it('says of a lease what a process would hear within the two seconds that it waits', async () => {
    for (const [wayMs, isHeard] of [
      [950, true],
      [995, undefined],
      [1_050, false],
    ] as const) {
      const { world, start } = aWorld()
      const links = new SimNetwork(world)
      const store = new SimCoordination(world, 1, links)
      const abort = new AbortController()
      store.connect(start('a')).campaign(0, () => undefined, abort.signal)
      await world.clock.advance(2_000)
      links.slow('b', storeName, wayMs)
      links.slow(storeName, 'b', wayMs)
      assert.equal(store.isElsewhere(0, 'b'), isHeard)
      const askedMs = world.nowMs
      assert.equal(await settled(world, store.connect(start('b')).isHeld(0)), true)
      const heardMs = world.nowMs - askedMs
      assert.equal(Math.abs(heardMs - 2_000) < 50 ? undefined : heardMs < 2_000, isHeard)
      abort.abort()
    }
  })
})

describe('a simulated receiver', () => {
  const request = (action: 'trigger' | 'resolve', id: string) => ({
    receiver: 'pager',
    idempotencyKey: id,
    dedupKey: 'k',
    action,
    severity: 'critical',
    summary: '',
    host: 'h',
    service: 's',
    rule: 'r',
    decidedAtMs: 0,
    provenance: null,
    possibleRepeat: false,
  })

  it('of class A keeps one incident per key and knows a request again', async () => {
    const { world, start } = aWorld()
    const pager = new SimReceiver(world, 'pager', 'A', true)
    const transport = new SimTransport(start('a'), new Map([['pager', pager]]), { requestLost: 0, slowConnect: 0 })
    for (const [action, id] of [
      ['trigger', '1'],
      ['trigger', '1'],
      ['trigger', '2'],
      ['resolve', '3'],
      ['trigger', '1'],
    ] as const) {
      const answer = transport.send(request(action, id), () => true, new AbortController().signal)
      assert.equal((await settled(world, answer)).kind, 'delivered')
    }
    assert.deepEqual(
      pager.arrivals.map((arrival) => arrival.effect),
      ['opened', 'repeat', 'repeat', 'closed', 'repeat'],
    )
    assert.equal(pager.open.size, 0)
  })

  it('hangs until it is ended, or acts and drops the answer; what may not start is not sent', async () => {
    const { world, start } = aWorld()
    const pager = new SimReceiver(world, 'pager', 'A', true)
    const transport = new SimTransport(start('a'), new Map([['pager', pager]]), { requestLost: 0, slowConnect: 0 })
    pager.mood = 'dropping'
    const end = new AbortController()
    world.after(8_000, () => end.abort())
    assert.equal(
      (
        await settled(
          world,
          transport.send(request('trigger', '1'), () => true, end.signal),
        )
      ).kind,
      'unknown',
    )
    assert.deepEqual(
      pager.arrivals.map((arrival) => arrival.effect),
      ['opened'],
    )
    pager.mood = 'well'
    const late = transport.send(request('trigger', '2'), () => false, new AbortController().signal)
    assert.equal((await settled(world, late)).kind, 'failed')
    assert.equal(pager.arrivals.length, 1)
  })
})

describe('the simulated store of snapshots', () => {
  it('gives back what it took; in bad weather it loses, tears and changes it, and says so when it is fetched', async () => {
    const { world, start } = aWorld()
    const store = new SimSnapshots(world)
    const port = store.connect(start('a'))
    const whole = bytes('a snapshot of some length')
    const info = await settled(world, port.store(0, 7, [whole.subarray(0, 5), whole.subarray(5)]))
    assert.deepEqual(await settled(world, port.list(0)), [info])
    assert.deepEqual(await settled(world, port.fetch(info)), whole)
    store.weather.torn = 1
    const torn = await settled(world, port.store(0, 8, [whole]))
    await assert.rejects(settled(world, port.fetch(torn)), { code: 'SNAPSHOT_UNREADABLE' })
    store.weather.torn = 0
    store.weather.flipped = 1
    const flipped = await settled(world, port.store(0, 9, [whole]))
    await assert.rejects(settled(world, port.fetch(flipped)), { code: 'SNAPSHOT_UNREADABLE' })
    store.weather.flipped = 0
    store.weather.lost = 1
    await settled(world, port.store(0, 10, [whole]))
    assert.equal((await settled(world, port.list(0))).length, 3)
    store.away = true
    await assert.rejects(settled(world, port.list(0)))
  })
})

/** Waits for a promise by moving time. */
async function settled<T>(world: World, promise: Promise<T>): Promise<T> {
  let done = false
  promise.then(
    () => (done = true),
    () => (done = true),
  )
  await world.clock.advanceUntil(() => done, 60_000)
  return promise
}
