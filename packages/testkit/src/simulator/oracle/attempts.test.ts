import { encodeMsg } from '@ricci/client'
import { encodeRecord, type LogRecord, type PendingPage } from '@ricci/engine'
import type { ReceiverClass, SendRequest } from '@ricci/replica'
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import type { SentMsg } from '../producer.ts'
import type { Arrival } from '../receivers.ts'
import { judgeAttempts, type AttemptEvidence } from './attempts.ts'
import { Ledger } from './ledger.ts'
import { judgeSkips } from './limits.ts'
import { SelfAlarmJudge } from './self-alarms.ts'
import type { Decision } from './truth.ts'

const idOf = (ordinal: number): string => `log.0.7.${ordinal}.00000000`

/** A log of one owner that claimed at 0 ms, and what came to a receiver, of class A unless told. */
class Scene {
  readonly #records: { readonly bytes: Uint8Array; readonly atMs: number }[] = []
  readonly #arrivals = new Map<string, Arrival[]>()
  clocksWrongMs = Infinity
  suspensions: AttemptEvidence['suspensions'] = []
  receiverClass: ReceiverClass = 'A'
  #n = 0

  constructor() {
    this.#add({ kind: 'claim', epoch: 1, instance: 'i1', semantics: 1, leaseToken: '', life: 'x' }, 0)
  }

  /** An attempt, the request `afterMs` later, its answer 50 ms after that and the outcome that was written of it. */
  send(
    atMs: number,
    answer: 'delivered' | 'failed' | 'unknown',
    told: 'delivered' | 'failed' | 'unknown' = answer,
    page = 0,
    afterMs = 10,
  ): this {
    const n = ++this.#n
    const [id, begunAtMs] = [idOf(page), atMs + afterMs]
    const whose = { epoch: 1, n, receiver: 'pager', pages: [id] }
    this.#add({ kind: 'attempt', ...whose }, atMs)
    this.#add({ kind: 'outcome', ...whose, result: told }, begunAtMs + 60)
    const possibleRepeat = this.receiverClass === 'B' && this.#arrivals.has(id)
    const request = { receiver: 'pager', idempotencyKey: id, action: 'trigger', possibleRepeat } as SendRequest
    const effect = answer === 'delivered' ? 'opened' : 'none'
    const answered = { answeredAtMs: begunAtMs + 50, answer }
    const arrival = {
      atMs: begunAtMs,
      begunAtMs,
      receiver: 'pager',
      from: 'i1#1',
      request,
      effect,
      ...answered,
    } as const
    this.#arrivals.set(id, [...(this.#arrivals.get(id) ?? []), arrival])
    return this
  }

  /** An attempt that had been given up when its record was written. */
  givenUp(atMs: number, n: number): this {
    const whose = { epoch: 1, n, receiver: 'pager', pages: [idOf(0)] }
    this.#add({ kind: 'attempt', ...whose }, atMs)
    this.#add({ kind: 'outcome', ...whose, result: 'failed' }, atMs + 10)
    return this
  }

  found(): string[] {
    const kinds: string[] = []
    const stored = this.#records.map(({ bytes }, offset) => ({ offset, bytes, checksum: 0 }))
    const decisions = [...this.#arrivals.keys()].map((id) => ({
      page: { id, action: 'trigger', receiver: 'pager', rule: 'r', key: '' } as PendingPage,
      offset: 7,
    }))
    const evidence: AttemptEvidence = {
      decisions,
      settled: new Map(),
      ledgers: [new Ledger({ records: stored, writtenMs: this.#records.map(({ atMs }) => atMs) })],
      arrivals: this.#arrivals,
      classOf: () => this.receiverClass,
      clocksWrongMs: this.clocksWrongMs,
      clockSpreadMs: 100,
      suspensions: this.suspensions,
    }
    judgeAttempts(evidence, (kind) => kinds.push(kind))
    return kinds
  }

  #add(record: LogRecord, atMs: number): void {
    this.#records.push({ bytes: encodeRecord(record), atMs })
  }
}

describe('the judgement on attempts', () => {
  it('finds nothing where all is well', () => {
    assert.deepEqual(new Scene().send(100, 'failed').send(1_000, 'failed').send(2_500, 'delivered').found(), [])
  })

  it('finds a request that began too late though wall clocks were wrong, unless its machine was suspended', () => {
    const scene = new Scene().send(100, 'delivered', 'delivered', 0, 2_500)
    scene.clocksWrongMs = 50
    assert.deepEqual(scene.found(), ['sent too late'])
    scene.suspensions = [{ instance: 'i1', fromMs: 500, toMs: 1_500 }]
    assert.deepEqual(scene.found(), [])
  })

  it('finds an outcome that is not what was answered', () => {
    assert.deepEqual(new Scene().send(100, 'delivered', 'failed').found(), ['outcome untrue'])
  })

  it('finds a page that is tried again at once, or whose pauses do not grow', () => {
    assert.deepEqual(new Scene().send(100, 'failed').send(300, 'delivered').found(), ['sent too soon'])
    const scene = new Scene().send(100, 'failed').send(1_000, 'failed').send(2_500, 'failed').send(3_500, 'delivered')
    assert.deepEqual(scene.found(), ['sent too soon'])
  })

  it('finds a look at a receiver for a request that may be under way', () => {
    const scene = (): Scene => Object.assign(new Scene(), { receiverClass: 'B' })
    assert.deepEqual(scene().send(100, 'unknown').send(11_200, 'delivered').found(), [])
    assert.deepEqual(scene().send(100, 'unknown').send(10_000, 'delivered').found(), ['sent too soon'])
    assert.deepEqual(new Scene().send(100, 'unknown').send(2_000, 'delivered').found(), [], 'a keyed one is not asked')
    assert.deepEqual(scene().send(100, 'unknown').givenUp(2_000, 0).found(), [], 'by which nobody looked')
    assert.deepEqual(scene().send(100, 'unknown').givenUp(2_000, 9).found(), ['sent too soon'])
  })

  it('finds more requests under way than one owner may have at a receiver', () => {
    const scene = new Scene()
    for (let page = 0; page < 4; page++) scene.send(100 + page, 'delivered', 'delivered', page)
    assert.deepEqual(scene.found(), [])
    assert.deepEqual(scene.send(110, 'delivered', 'delivered', 4).found(), ['limit exceeded'])
  })
})

describe('the judgement on alarms about the log', () => {
  it('blames nobody who heard, be it in one moment, that nobody holds the lease', () => {
    for (const isFree of [false, true]) {
      let nowMs = 0
      const said: string[] = []
      const judge = new SelfAlarmJudge(
        () => nowMs,
        (kind) => said.push(kind),
      )
      for (; nowMs <= 30_000; nowMs += 1_000) judge.look('i1#1', 0, 'following', true)
      if (isFree) judge.free(0)
      nowMs += 500
      const request = { rule: 'cannot-own', action: 'trigger', provenance: { partition: 0 } } as unknown as SendRequest
      judge.asked('i1#1', request, () => true)
      assert.deepEqual(said, isFree ? [] : ['alarm without cause'])
    }
  })

  /** When a replica that tells nobody is blamed for it, having been given a tick 10 s after it began, of an owner that is gone. */
  const blamedMs = (readFrom: number, isElsewhere: boolean | undefined): number | undefined => {
    let nowMs = 0
    const said: number[] = []
    const judge = new SelfAlarmJudge(
      () => nowMs,
      () => said.push(nowMs),
    )
    const tick = encodeRecord({ kind: 'tick', number: 1, epoch: 0, elapsedMs: 0, wallMs: 0 })
    const record = { offset: 7, bytes: tick, checksum: 0 }
    judge.written(0, record)
    judge.begins('i1#1', 0, readFrom)
    for (; nowMs <= 60_000 && said.length === 0; nowMs += 1_000) {
      if (nowMs === 10_000) judge.given('i1#1', 0, [record])
      judge.look('i1#1', 0, 'following', isElsewhere)
    }
    return said[0]
  }

  it('takes a tick for a sign of an owner from when it was given, unless it was there before', () => {
    assert.equal(blamedMs(7, false), 31_000)
    assert.equal(blamedMs(8, false), 21_000)
  })

  it('blames nobody who may have heard in time that another holds the lease', () => {
    assert.equal(blamedMs(8, undefined), undefined)
  })
})

describe('the judgement on skips', () => {
  it('takes a quarantine for told when its page is a member of a digest', () => {
    const msg = encodeMsg({ events: [{ service: 'grind' }] })
    const skips = [0, 1, 2].map((offset) => ({ kind: 'skip', offset, event: 0, branch: 'where[0]' }) as const)
    const events = skips.map(() => ({ kind: 'events', receivedAtMs: 0, msg }) as const)
    const records = [...events, ...skips].map((record, offset) => ({
      offset,
      bytes: encodeRecord(record),
      checksum: 0,
    }))
    const messages = new Map([[crc32(msg), { events: [{ service: 'grind' }] } as unknown as SentMsg]])
    const digest = { rule: 'overflow', members: ['log.0.5.1.00000000'] } as PendingPage
    const judged = (decisions: readonly Decision[]): string[] =>
      judgeSkips(0, records, messages, decisions).map(({ kind }) => kind)
    assert.deepEqual(judged([]), ['page never decided'])
    assert.deepEqual(judged([{ page: digest, offset: 3 }]), [])
  })
})
