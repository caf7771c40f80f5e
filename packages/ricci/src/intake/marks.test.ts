// What producer marks hold through intakes and partitions, judged by real engines: each event once, and no loss told where none was.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { defaultLimits, encodeMsg, type Event, type Msg } from '@ricci/client'
import { rules, tap, type EventView } from '@ricci/engine'
import { ReplicaError } from '@ricci/replica'
import { EngineBench, SeededRandom, VirtualClock } from '@ricci/testkit'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import type { RecordLog } from './appender.ts'
import { Distributor } from './distributor.ts'
import { oneProducer } from './recorder.ts'

const partitions = 4
const minute = 60_000

/** A log with an engine behind each partition, and intakes of two instances before it. */
class House {
  readonly engines = Array.from({ length: partitions }, () => new EngineBench(rules(tap('all'))))
  readonly clock = new VirtualClock()
  readonly random: SeededRandom
  /** How likely it is that a group is refused; and if so, that it stands in the log all the same. */
  refusals = 0
  refused = 0
  readonly doors: readonly Distributor[]

  constructor(seed: number) {
    this.random = new SeededRandom(seed)
    this.doors = ['one', 'two'].map(
      (producer) =>
        new Distributor({
          log: this.log,
          progress: () => undefined,
          telemetry: new Telemetry(silentLogger(), () => 0),
          clock: this.clock,
          markingAs: oneProducer(producer, 1),
          limits: defaultLimits,
          onSettled: () => undefined,
        }),
    )
    this.pass(0)
  }

  private readonly log: RecordLog = {
    partitions,
    appendAllParts: async (partition, heads, bodies) => {
      const isRefused = this.random.chance(this.refusals)
      if (!isRefused || this.random.chance(0.5)) {
        for (const [i, head] of heads.entries()) {
          this.engines[partition].appendBytes(new Uint8Array(Buffer.concat([head, bodies[i]])))
        }
      }
      if (!isRefused) return undefined
      this.refused++
      throw new ReplicaError('LOG_UNAVAILABLE', 'no broker', true)
    },
  }

  /** Sends a Msg through an intake; whether it was acknowledged. */
  send(door: Distributor, msg: Msg): Promise<boolean> {
    const bytes = encodeMsg(msg)
    door.inspect(bytes)
    return new Promise((resolve) => {
      door.add(bytes, {
        durable: () => undefined,
        acknowledge: () => resolve(true),
        refused: () => resolve(false),
        groupEnd: () => undefined,
      })
    })
  }

  /** Owned time passes in every partition. */
  pass(ms: number): void {
    for (let passed = 0; passed <= ms; passed += 1_000) {
      for (const engine of this.engines) engine.tick(passed === 0 ? 0 : 1_000, this.clock.wallMs() + passed)
    }
  }

  get alarms(): string[][] {
    return this.engines.map(({ alarms }) => alarms)
  }

  /** Metrics of the events that were applied, in ascending order. */
  get applied(): number[] {
    const events = this.engines.flatMap((engine) => engine.tapped('all')) as EventView[]
    return events.map(({ metric }) => Number(metric)).sort((a, b) => a - b)
  }
}

/** A producer with many Msgs under way: what was refused goes again, later, through whichever intake. */
async function sendAll(house: House, msgs: readonly Msg[]): Promise<void> {
  const waiting = [...msgs]
  while (waiting.length > 0) {
    const some = waiting.splice(0, 50)
    const acks = await Promise.all(some.map((msg) => house.send(house.random.pick(house.doors), msg)))
    // at the end of what waits, so that others of its producer overtake it
    waiting.push(...some.filter((_msg, i) => !acks[i]))
  }
}

/** Events of hosts that belong to all partitions, each with a metric of its own, some per Msg. */
function messages(random: SeededRandom, count: number, hosts: number): Event[][] {
  let metric = 0
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + random.below(8) }, () => ({ host: `host-${random.below(hosts)}`, metric: metric++ })),
  )
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i)

describe('Producer marks over several partitions', () => {
  it('one sequence for events of any host: each event once, whoever takes it again, and no false alarm', async () => {
    const house = new House(1)
    house.refusals = 0.3
    const msgs = messages(house.random, 2_000, 40).map((events, i): Msg => ({
      events,
      mark: { producer: 'gateway', incarnation: 1, sequence: i + 1, sentAtMs: 0 },
    }))
    await sendAll(house, msgs)
    house.pass(3 * minute)
    assert.deepEqual(house.applied, upTo(msgs.flatMap(({ events }) => events!).length))
    assert.deepEqual(
      house.alarms,
      upTo(partitions).map(() => []),
    )
    const repeats = house.engines.reduce((sum, { engine }) => sum + engine.stats().repeats, 0)
    assert.ok(house.refused > 100 && repeats > 1_000, `${house.refused} groups refused, ${repeats} repeats dropped`)
  })

  it('a sequence of its own for each key: a loss is still told, in its partition', async () => {
    const house = new House(2)
    const host = (i: number): string => `host-${i % 40}`
    const msgs = upTo(2_000).map((i): Msg => ({
      events: [{ host: host(i), metric: i }],
      mark: { producer: `gateway ${host(i)}`, incarnation: 1, sequence: 1 + Math.floor(i / 40), sentAtMs: 0 },
    }))
    await sendAll(
      house,
      msgs.filter((_msg, i) => i !== 1_007),
    )
    house.pass(3 * minute)
    assert.deepEqual(house.alarms.flat(), ['messages-lost'])
    assert.equal(house.applied.length, 1_999)
  })

  it("Msgs without a mark have intake's own, in each partition without a hole", async () => {
    const house = new House(3)
    house.refusals = 0.2
    const msgs = messages(house.random, 1_000, 40).map((events): Msg => ({ events }))
    await sendAll(house, msgs)
    house.pass(3 * minute)
    assert.deepEqual(house.alarms.flat(), [])
    const all = upTo(msgs.flatMap(({ events }) => events!).length)
    assert.deepEqual([...new Set(house.applied)], all)
    assert.ok(house.applied.length > all.length, 'what was refused and sent again may be there twice: nothing tells it')
  })
})
