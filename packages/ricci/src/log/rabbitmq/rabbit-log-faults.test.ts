/** What the log holds when brokers are killed or frozen under load: everything that was acknowledged, in its order. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SteadyReader, type StoredRecord } from '@ricci/replica'
import { RabbitCluster, without } from '@ricci/testkit'
import { nodeClock } from '../../server/node-clock.ts'
import { RabbitLog } from './rabbit-log.ts'
import { streamOf } from './topology.ts'

const partitions = 3
const vhost = 'faults'
/** Records of a producer that wait for their acknowledgement. */
const outstanding = 16

/** Hands records in one after another, so many at a time, and keeps what was acknowledged. */
class Producer {
  readonly acknowledged: string[] = []
  private count = 0
  private stopped = false
  private readonly loops: Promise<void>[]
  private waiting: { readonly least: number; readonly tell: () => void }[] = []

  constructor(
    private readonly name: string,
    private readonly send: (partition: number, record: Uint8Array) => Promise<unknown>,
  ) {
    this.loops = Array.from({ length: outstanding }, () => this.loop())
  }

  /** Resolves once so many more than now were acknowledged. */
  async more(count: number): Promise<void> {
    const least = this.acknowledged.length + count
    await new Promise<void>((tell) => this.waiting.push({ least, tell }))
  }

  async stop(): Promise<void> {
    this.stopped = true
    await Promise.all(this.loops)
  }

  private async loop(): Promise<void> {
    while (!this.stopped) {
      const number = this.count++
      const partition = number % partitions
      const text = `${this.name} ${partition} ${number}`
      await this.send(partition, new TextEncoder().encode(text))
      this.acknowledged.push(text)
      for (const { least, tell } of this.waiting) if (this.acknowledged.length >= least) tell()
    }
  }
}

describe('RabbitLog under faults', { skip: without('rabbitmq', 'erlang') }, () => {
  for (const fault of ['SIGKILL', 'SIGSTOP', 'SIGSTOP of all but one'] as const) {
    it(`${fault} under load: nothing acknowledged is missing, and readers go on`, async () => {
      const rabbit = await RabbitCluster.start({ tickSeconds: 4 })
      const logs: RabbitLog[] = []
      const readers: SteadyReader[] = []
      try {
        await rabbit.vhost(vhost)
        const open = async (name: string): Promise<RabbitLog> => {
          const log = await RabbitLog.open({
            urls: rabbit.urls(vhost),
            name,
            clock: nodeClock,
            topology: { partitions },
          })
          logs.push(log)
          return log
        }
        const [confirms, reads] = [await open('confirms'), await open('reads')]
        const seen = Array.from({ length: partitions }, () => new Map<string, number>())
        /** By partition, the offset after the last one read. */
        const readTo = Array.from({ length: partitions }, () => 0)
        let readOn = (): void => undefined
        for (let partition = 0; partition < partitions; partition++) {
          const onRecords = (records: readonly StoredRecord[]): void => {
            for (const { offset, bytes } of records) {
              const text = new TextDecoder().decode(bytes)
              if (!seen[partition].has(text)) seen[partition].set(text, offset)
              readTo[partition] = offset + 1
            }
            readOn()
          }
          const onFailure = (error: unknown): void => assert.fail(error as Error)
          readers.push(new SteadyReader({ log: confirms, partition, clock: nodeClock, from: 0, onRecords, onFailure }))
        }
        const producers = [
          new Producer('confirms', (partition, record) => confirms.publish(partition, [record])),
          new Producer('reads', (partition, record) => reads.append(partition, [record])),
        ]
        const more = (count: number): Promise<unknown> => Promise.all(producers.map((producer) => producer.more(count)))
        await more(100)
        const victim = await rabbit.leaderOf(vhost, streamOf(0))
        if (fault === 'SIGSTOP of all but one') {
          // publishers on the minority's side: it takes records that nobody may be told of, until it stops by itself
          const left = (victim + 1) % 3
          const frozen = [victim, (victim + 2) % 3]
          await Promise.all(frozen.map((broker) => rabbit.signal(broker, 'SIGSTOP')))
          await until(async () => !(await answers(rabbit, left)))
          await Promise.all(frozen.map((broker) => rabbit.signal(broker, 'SIGCONT')))
          await until(() => answers(rabbit, left))
          // brokers often stay split then; that they are restarted is what people are told to do
          await Promise.all([0, 1, 2].map((broker) => rabbit.restart(broker)))
          await rabbit.healed()
        } else if (fault === 'SIGKILL') {
          await rabbit.signal(victim, fault)
          await more(300)
          await rabbit.restart(victim)
        } else {
          await rabbit.signal(victim, fault)
          await rabbit.givenUp(victim)
          await rabbit.signal(victim, 'SIGCONT')
        }
        await more(300)
        await Promise.all(producers.map((producer) => producer.stop()))
        const ends = await Promise.all(seen.map((_records, partition) => reads.range(partition)))
        for (const [partition, { end }] of ends.entries()) {
          while (readTo[partition] < end) await new Promise<void>((resolve) => (readOn = resolve))
        }
        for (const { acknowledged } of producers) {
          assert.ok(acknowledged.length > 400)
          const missing = acknowledged.filter((text) => !seen[Number(text.split(' ')[1])].has(text))
          assert.deepEqual(missing, [], `of ${acknowledged.length} acknowledged`)
        }
        // the first time each record of a producer stands in a partition is in the order of its being handed in
        for (const records of seen) {
          for (const name of ['confirms', 'reads']) {
            const numbers = [...records.keys()]
              .filter((text) => text.startsWith(name))
              .map((text) => Number(text.split(' ')[2]))
            assert.deepEqual(
              numbers,
              numbers.toSorted((a, b) => a - b),
            )
          }
        }
      } finally {
        await Promise.all(readers.map((reader) => reader.stop()))
        await Promise.all(logs.map((log) => log.close()))
        await rabbit.stop()
      }
    })
  }
})

/** Whether a broker's management API answers: not while it has stopped itself for being on the smaller side. */
async function answers(rabbit: RabbitCluster, broker: number): Promise<boolean> {
  try {
    return (await rabbit.api(broker, '/whoami', { timeoutMs: 2_000 })).status === 200
  } catch {
    return false
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve))
}
