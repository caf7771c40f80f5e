/** The log on a disk that dies, tears, fails and fills up, at every step. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { ReplicaError, StoredRecord } from '@ricci/replica'
import { FaultyDisk, SeededRandom, type DiskFate, type DiskStep } from '@ricci/testkit'
import { EmbeddedLog } from './embedded-log.ts'
import type { LogEvent } from './events.ts'
import { LogFollower } from './follower.ts'

/** Small, so that a short run rolls segments and splits groups. */
const limits = { segmentBytes: 3_000, groupBytes: 600, maxBytes: 10_000_000 }
const dataDirectory = '/data'

/** What was asked, told and seen over all generations of one log. */
class History {
  readonly appended = new Set<string>()
  readonly acknowledged = new Map<number, string>()
  readonly seen = new Map<number, string>()
  readonly events: LogEvent[] = []
  refused = 0
  private count = 0

  constructor(private readonly random: SeededRandom) {}

  /** A record nobody else has, some of them longer than a group or a segment. */
  record(): Uint8Array {
    const length = this.random.pick([0, 1, 40, 200, 700, 5_000])
    const text = `${this.count++}:`.padEnd(length, String.fromCharCode(97 + (this.count % 26)))
    this.appended.add(text)
    return Buffer.from(text)
  }

  see({ offset, bytes }: StoredRecord): void {
    const text = Buffer.from(bytes).toString()
    assert.ok(this.appended.has(text), `offset ${offset} holds a record that was never appended`)
    assert.equal(this.seen.get(offset) ?? text, text, `offset ${offset} was given twice with other content`)
    this.seen.set(offset, text)
  }

  async append(log: EmbeddedLog): Promise<void> {
    const records = Array.from({ length: 1 + this.random.below(3) }, () => this.record())
    try {
      const offsets = await log.append(0, records)
      offsets.forEach((offset, index) => {
        assert.equal(this.acknowledged.has(offset), false, `offset ${offset} was acknowledged twice`)
        this.acknowledged.set(offset, Buffer.from(records[index]).toString())
      })
    } catch (error) {
      const { code, retriable } = error as ReplicaError
      assert.ok((code === 'LOG_FAILED' || code === 'LOG_FULL') && retriable, String(error))
      this.refused++
    }
  }

  /** Reads the whole log and holds it against everything that was ever promised. */
  async judge(log: EmbeddedLog, disk: FaultyDisk): Promise<void> {
    const { first, end } = await log.range(0)
    assert.equal(first, 0)
    const follower = new LogFollower({ dataDirectory, disk, progress: log.progress, from: 0, bufferBytes: 512 })
    let next = 0
    for (let batch = follower.next(); batch !== undefined; batch = follower.next()) {
      for (const record of batch.records()) {
        assert.equal(record.offset, next++)
        this.see(record)
      }
    }
    follower.close()
    assert.equal(next, end)
    for (const [offset, text] of this.acknowledged) {
      assert.equal(this.seen.get(offset), text, `the acknowledged record at ${offset} is lost`)
      assert.ok(offset < end, `the acknowledged record at ${offset} is lost`)
    }
    for (const offset of this.seen.keys()) assert.ok(offset < end, `the record at ${offset} was read and is lost`)
  }
}

/** One process's life: appends and reads until it is done, or its disk dies. Gives the disk that is left. */
async function live(disk: FaultyDisk, history: History, random: SeededRandom, onStep: (step: DiskStep) => DiskFate) {
  let died = () => {}
  const death = new Promise<void>((resolve) => (died = resolve))
  disk.onStep = (step) => {
    const fate = onStep(step)
    if (fate === 'power' || fate === 'kill') died()
    return fate
  }
  const life = async () => {
    let log: EmbeddedLog | undefined
    // A disk that fails while the log is being opened refuses that; the next try may do.
    for (let attempt = 0; log === undefined; attempt++) {
      log = await openLog(disk, random, history).catch((error: ReplicaError) => {
        assert.ok((error.code === 'LOG_FAILED' || error.code === 'LOG_FULL') && attempt < 1_000, String(error))
        return undefined
      })
    }
    const follower = new LogFollower({ dataDirectory, disk, progress: log.progress, from: 0, bufferBytes: 512 })
    for (let round = 0; round < 12; round++) {
      const appends = Array.from({ length: 1 + random.below(4) }, () => history.append(log))
      await (random.chance(0.7) ? Promise.all(appends) : appends[0])
      for (let batch = follower.next(); batch !== undefined; batch = follower.next()) {
        for (const record of batch.records()) history.see(record)
      }
      await Promise.all(appends)
    }
    follower.close()
    await log.close()
  }
  await Promise.race([life(), death])
  return disk.left ?? disk.restart('kill')
}

function openLog(disk: FaultyDisk, random: SeededRandom, history: History): Promise<EmbeddedLog> {
  return EmbeddedLog.open({
    dataDirectory,
    disk,
    limits,
    clock: { wallMs: () => 0 },
    randomBytes: (count) => Uint8Array.from({ length: count }, () => random.below(256)),
    report: (event) => history.events.push(event),
  })
}

/** Opens what is left without faults, judges it, and sees that it can be written and read. */
async function judge(disk: FaultyDisk, history: History, random: SeededRandom): Promise<FaultyDisk> {
  disk.onStep = () => 'done'
  const log = await openLog(disk, random, history)
  await history.judge(log, disk)
  await history.append(log)
  await history.judge(log, disk)
  await log.close()
  return disk.restart('power')
}

for (const how of ['power', 'kill'] as const) {
  test(`${how}: a death at every step loses no acknowledged record and invents none`, async () => {
    let repaired = 0
    let acknowledged = 0
    let steps = Infinity
    for (let deadly = 1; deadly <= steps; deadly++) {
      const random = new SeededRandom(`${how} ${deadly % 7}`)
      const history = new History(random.fork('history'))
      let total = 0
      const left = await live(new FaultyDisk({ seed: deadly }), history, random, ({ number }) => {
        total = number
        return number === deadly ? how : 'done'
      })
      if (total < deadly) steps = total
      const last = await judge(left, history, random)
      await judge(last, history, random)
      repaired += history.events.filter(({ kind }) => kind === 'tail-repaired').length
      acknowledged += history.acknowledged.size
    }
    assert.ok(steps > 60 && repaired > 10 && acknowledged > 1_000, `${steps} steps, ${repaired} repaired tails`)
  })
}

test('deaths and failures in any order over five processes', async () => {
  let refused = 0
  await fc.assert(
    fc.asyncProperty(fc.integer(), async (seed) => {
      const random = new SeededRandom(seed)
      const history = new History(random.fork('history'))
      let disk = new FaultyDisk({ seed })
      for (let generation = 0; generation < 5; generation++) {
        const faults = random.fork(`faults ${generation}`)
        const failing = faults.pick([0, 0.02, 0.2])
        const deadly = faults.below(250)
        disk = await live(disk, history, random, ({ number, what }): DiskFate => {
          if (number === deadly) return faults.pick(['power', 'kill'])
          if (!faults.chance(failing)) return 'done'
          return { error: what === 'datasync' ? 'EIO' : faults.pick(['EIO', 'ENOSPC']) }
        })
      }
      await judge(await judge(disk, history, random), history, random)
      refused += history.refused
    }),
    { numRuns: 60 },
  )
  assert.ok(refused > 50, `only ${refused} appends were refused`)
})

test('a full disk refuses appends, says so once, and works again when there is room', async () => {
  const random = new SeededRandom(1)
  const history = new History(random)
  const disk = new FaultyDisk({ seed: 1 })
  const log = await openLog(disk, random, history)
  for (let index = 0; index < 40; index++) await history.append(log)
  disk.capacityBytes = disk.usedBytes + 1_000
  const before = history.acknowledged.size
  for (let index = 0; index < 40; index++) await history.append(log)
  assert.ok(history.refused > 20)
  assert.ok(history.acknowledged.size > before, 'what still fits is taken')
  assert.ok(disk.list('/data/log').length < 30, 'a full disk gathers no empty segments')
  await history.judge(log, disk)
  disk.capacityBytes = Infinity
  const after = history.refused
  for (let index = 0; index < 10; index++) await history.append(log)
  assert.equal(history.refused, after)
  assert.equal(history.events.at(-1)!.kind, 'recovered')
  await history.judge(log, disk)
  await log.close()
  await judge(disk.restart('power'), history, random)
})

test('after a failed fdatasync the segment is never written again', async () => {
  const random = new SeededRandom(2)
  const history = new History(random)
  const disk = new FaultyDisk({ seed: 2 })
  const log = await openLog(disk, random, history)
  await history.append(log)
  let failed: string | undefined
  const touched: string[] = []
  disk.onStep = ({ what, path }) => {
    if (failed !== undefined && (what === 'write' || what === 'datasync')) touched.push(path)
    if (what !== 'datasync' || failed !== undefined) return 'done'
    failed = path
    return { error: 'EIO' }
  }
  const refused = log.append(0, [Buffer.from('refused')])
  history.appended.add('refused')
  await assert.rejects(refused, { code: 'LOG_FAILED', retriable: true })
  await history.append(log)
  assert.ok(touched.length > 0 && !touched.includes(failed!))
  assert.deepEqual(
    history.events.map(({ kind }) => kind),
    ['write-failed', 'recovered'],
  )
  await history.judge(log, disk)
  assert.equal([...history.seen.values()].includes('refused'), false)
})

test('damage where the log was durable is an error that changes nothing', async () => {
  const random = new SeededRandom(3)
  const history = new History(random)
  const disk = new FaultyDisk({ seed: 3 })
  const log = await openLog(disk, random, history)
  for (let index = 0; index < 5; index++) await log.append(0, [Buffer.alloc(100, index)])
  await log.close()
  const path = `/data/log/${disk.list('/data/log')[0]}`
  const size = disk.usedBytes
  // In every group, the last one too: the log was closed in good order, so it was durable.
  for (const position of [70, 64 + 4 * 140 + 35, 64 + 4 * 140 + 100]) {
    disk.damage(path, position)
    const steps = disk.steps
    await assert.rejects(openLog(disk, random, history), {
      code: 'LOG_CORRUPT',
      message: /restore this file from a backup/,
    })
    assert.equal(disk.usedBytes, size)
    assert.equal(disk.steps - steps, 3, 'nothing but making and syncing directories')
    disk.damage(path, position)
  }
  const again = await openLog(disk, random, history)
  assert.deepEqual(await again.range(0), { first: 0, end: 5 })
  await again.close()
})

test('a segment that is missing or cut is found when the log is opened', async () => {
  const random = new SeededRandom(4)
  const history = new History(random)
  const disk = new FaultyDisk({ seed: 4 })
  const log = await openLog(disk, random, history)
  for (let index = 0; index < 20; index++) await log.append(0, [Buffer.alloc(900, index)])
  await log.close()
  const names = disk.list('/data/log').sort()
  assert.ok(names.length > 4)
  await disk.rename(`/data/log/${names[1]}`, '/data/log/aside')
  await assert.rejects(openLog(disk, random, history), { code: 'LOG_CORRUPT', message: /segment 2.*is missing/ })
  await disk.rename('/data/log/aside', `/data/log/${names[1]}`)
  const file = await disk.openForWriting(`/data/log/${names[1]}`)
  await file.truncate(1_000)
  await assert.rejects(openLog(disk, random, history), {
    code: 'LOG_CORRUPT',
    message: /1000 bytes, 2884 were durable/,
  })
})
