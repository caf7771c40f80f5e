import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Attempt, LogRecord, OutcomeRecord, PendingPage, SettledPage } from '@ricci/engine'
import { SeededRandom, ScriptedTransport, VirtualClock } from '@ricci/testkit'
import { doubtMs, giveUpMs, retryAfterLimitMs } from '../limits.ts'
import { PagesMirror } from '../pages-mirror.ts'
import type { SendResult } from '../ports.ts'
import { noDeliveries } from './counters.ts'
import { Delivery } from './delivery.ts'

const never = new Promise<SendResult>(() => undefined)

/** A delivery whose log gives back at once what is written to it, and an engine of attempts and outcomes alone. */
class Desk {
  readonly clock = new VirtualClock()
  readonly written: LogRecord[] = []
  readonly a = new ScriptedTransport()
  readonly b = new ScriptedTransport()
  readonly blind = new ScriptedTransport()
  readonly counters = noDeliveries()
  calendarMs = giveUpMs * 2
  readonly #mirror = new PagesMirror()
  readonly #delivery: Delivery

  constructor() {
    this.#delivery = new Delivery({
      epoch: 1,
      instance: 'a',
      claimedAtMs: 0,
      mirror: this.#mirror,
      receivers: new Map([
        ['a', { transport: this.a, class: 'A' }],
        ['b', { transport: this.b, class: 'A' }],
        ['blind', { transport: this.blind, class: 'C' }],
      ]),
      clock: this.clock,
      random: new SeededRandom('delivery'),
      counters: this.counters,
      append: (records) => records.forEach((record) => this.#write(record)),
      calendarMs: () => this.calendarMs,
    })
  }

  /** Comes into the log right before the next attempt. */
  before: (() => void) | undefined

  #write(record: LogRecord): void {
    this.written.push(record)
    if (record.kind === 'attempt') this.before?.()
    const changed: PendingPage[] = []
    if (record.kind === 'attempt') {
      for (const id of record.pages) {
        const page = this.#mirror.get(id)!
        changed.push({ ...page, attempts: [...page.attempts, { epoch: 1, n: record.n, offset: 0 }] })
      }
    }
    const settled: SettledPage[] = []
    if (record.kind === 'outcome') {
      const { result, retryAtMs = 0 } = record
      for (const id of record.pages) {
        const page = this.#mirror.get(id)!
        if (result !== 'failed') settled.push({ id, result, inDoubt: result === 'unknown' })
        else changed.push({ ...page, retryAtMs, attempts: page.attempts.map((a) => ({ ...a, result })) })
      }
    }
    this.#read({ changed, settled }, record)
  }

  #read(pages: Parameters<PagesMirror['apply']>[0], ...records: LogRecord[]): void {
    this.#mirror.apply(pages, this.clock.monotonicMs())
    const sightings = records.map((record) => ({ offset: 0, record }) as Parameters<Delivery['progress']>[1][number])
    this.#delivery.progress(pages, sightings)
  }

  page(id: string, receiver: string, ageMs: number, attempts: Attempt[] = []): void {
    const text = { rule: 'r', key: id, dedupKey: id, severity: 'critical', summary: id, host: 'h', service: 's' }
    const times = { decidedAtMs: this.calendarMs - ageMs, decidedAtOwnedMs: 0, retryAtMs: 0 }
    const page: PendingPage = { id, action: 'trigger', receiver, ...text, ...times, provenance: null, attempts }
    this.#read({ changed: [page], settled: [] })
  }

  /** What became of the only page sent. */
  async outcome(): Promise<OutcomeRecord> {
    await this.clock.advance(0)
    const [outcome, ...more] = this.written.filter((record): record is OutcomeRecord => record.kind === 'outcome')
    assert.deepEqual(more, [])
    return outcome
  }

  close(): void {
    this.#delivery.abandon()
    assert.equal(this.clock.pendingTimers, 0)
  }
}

describe('delivery', () => {
  it('a failed page is tried again for 24 h, and given up when a try after that fails, too', async () => {
    for (const [ageMs, expected] of [
      [giveUpMs, 'failed'],
      [giveUpMs + 1, 'gave-up'],
    ] as const) {
      const desk = new Desk()
      desk.a.answer = () => ({ kind: 'failed', detail: '500' })
      desk.page('p', 'a', ageMs)
      const { result, retryAtMs } = await desk.outcome()
      assert.equal(result, expected)
      assert.equal(retryAtMs === undefined, expected === 'gave-up')
      assert.deepEqual([desk.counters.failed, desk.counters.gaveUp], expected === 'failed' ? [1, 0] : [0, 1])
      desk.close()
    }
  })

  it('waits as long as the receiver asks, but for no more than an hour', async () => {
    for (const [askedMs, heededMs] of [
      [90_000, 90_000],
      [retryAfterLimitMs * 5, retryAfterLimitMs],
    ]) {
      const desk = new Desk()
      desk.a.answer = () => ({ kind: 'failed', detail: '429', retryAfterMs: askedMs })
      desk.page('p', 'a', 0)
      assert.equal((await desk.outcome()).retryAtMs, desk.clock.wallMs() + heededMs)
      desk.close()
    }
  })

  it('a page is marked as a possible repeat by what was known when its attempt was read back', async () => {
    const older: Attempt = { epoch: 0, n: 1, offset: 0 }
    for (const [result, isMarked] of [
      [undefined, true],
      ['unknown', true],
      ['failed', false],
    ] as const) {
      const desk = new Desk()
      desk.page('p', 'blind', 0, [older])
      desk.before = () => desk.page('p', 'blind', 0, [{ ...older, result }])
      await desk.clock.advance(doubtMs)
      assert.deepEqual(
        desk.blind.sent.map(({ possibleRepeat }) => possibleRepeat),
        [isMarked],
        `${result}`,
      )
      assert.equal(desk.counters.possibleRepeats, isMarked ? 1 : 0)
      desk.close()
    }
  })

  it('a receiver that hangs delays no other', async () => {
    const desk = new Desk()
    desk.a.answer = () => never
    for (let i = 0; i < 20; i++) desk.page(`a${i}`, 'a', 0)
    for (let i = 0; i < 20; i++) desk.page(`b${i}`, 'b', 0)
    await desk.clock.advance(0)
    assert.deepEqual([desk.a.sent.length, desk.b.sent.length], [4, 20])
    desk.close()
  })
})
