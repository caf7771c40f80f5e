import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { afterEach, describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import { decodeMsg, encodeMsg } from '@ricci/client'
import {
  createEngine,
  encodeRecord,
  engineSemantics,
  index,
  rules,
  smap,
  type Engine,
  type EventView,
} from '@ricci/engine'
import { nodeClock } from '../server/node-clock.ts'
import { silentLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import type { RecordLog } from './appender.ts'
import { Intake } from './intake.ts'
import { RawClient } from './testing.ts'
import { oneProducer } from './recorder.ts'

/* Recorded requests and replies of Riemann's TCP server; the format is described in packages/testkit/vectors/README.md. */
interface Exchange {
  readonly id: string
  readonly about: string
  readonly kind: string
  readonly streamThrowsOnHost?: string
  readonly steps: readonly { readonly send: string; readonly reply: string }[]
}
const cases: Exchange[] = JSON.parse(readFileSync('packages/testkit/vectors/codec.json', 'utf8'))
const exchanges = cases.filter(({ kind }) => kind === 'exchange')

/** Where the recorded events' own times are: by the real clock they would have expired long ago. */
const recordedAtMs = 100_000

const open: { close(): unknown }[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close()
})

async function serve(throwsOnHost: string | undefined): Promise<RawClient> {
  const engine = createEngine({ logId: 'exchange', partition: 0, loadRules: () => description })
  const failing = smap((event: EventView) => {
    if (event.host === throwsOnHost) throw new Error(throwsOnHost)
    return undefined
  })
  const description = rules(failing, index())
  const log = new AppliedLog(engine)
  const bundle = new Uint8Array(0)
  log.append(encodeRecord({ kind: 'rules', hash: 'exchange', settings: {}, semantics: engineSemantics, bundle }))
  const intake = new Intake({
    log,
    progress: () => ({ appliedOffset: () => engine.appliedOffset, ownerTicking: () => true }),
    queries: { ask: async (query) => [encodeMsg({ events: engine.query(query).events })] },
    telemetry: new Telemetry(silentLogger(), () => 0),
    clock: { ...nodeClock, wallMs: () => recordedAtMs },
    markingAs: oneProducer('exchange', 1),
    tcp: { host: '127.0.0.1', port: 0 },
    maxConnections: 10,
    maxFrameBytes: 1 << 20,
    maxQueuedBytes: 1 << 20,
    idleConnectionMs: 3_600_000,
  })
  const { tcp } = await intake.listen()
  open.push(intake)
  const client = await RawClient.open(tcp!)
  open.push({ close: () => client.socket.destroy() })
  return client
}

/** A log whose records are applied as they are appended. */
class AppliedLog implements RecordLog {
  readonly partitions = 1
  private end = 0

  constructor(private readonly engine: Engine) {}

  append(record: Uint8Array): number {
    this.engine.apply(this.end, record, crc32(record))
    return this.end++
  }

  async appendAllParts(
    _partition: number,
    heads: readonly Uint8Array[],
    bodies: readonly Uint8Array[],
  ): Promise<number[]> {
    return heads.map((head, i) => this.append(Buffer.concat([head, bodies[i]])))
  }
}

describe('recorded exchanges with Riemann', () => {
  for (const { id, about, streamThrowsOnHost, steps } of exchanges) {
    it(`${id}: ${about}`, async () => {
      const client = await serve(streamThrowsOnHost)
      for (const [i, { send, reply }] of steps.entries()) {
        client.socket.write(Buffer.from(send, 'hex'))
        const actual = (await client.received(i + 1))[i]
        // A rule that throws fails neither ack nor query, and the events beside it are not lost (DESIGN 11.13).
        if (streamThrowsOnHost !== undefined) assert.equal(actual.ok, true)
        else assert.deepEqual(actual, decodeMsg(Buffer.from(reply, 'hex').subarray(4)))
      }
      if (streamThrowsOnHost === undefined || steps.length < 2) return
      assert.deepEqual(
        client.replies[1].events?.map(({ host }) => host),
        ['b'],
      )
      assert.deepEqual(
        client.replies[2].events?.map(({ host }) => host),
        ['a'],
      )
    })
  }
})
