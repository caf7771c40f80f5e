import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Decisions, type LogRecord } from '@ricci/engine'
import { ScriptedTransport, SeededRandom, VirtualClock } from '@ricci/testkit'
import { PagesMirror } from '../pages-mirror.ts'
import type { SendResult } from '../ports.ts'
import { noDeliveries } from './counters.ts'
import { Delivery } from './delivery.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** A keyed receiver behind a gateway, a delivery, and the engine's own decisions behind a log that gives back at once what it is given. */
class Desk {
  readonly clock = new VirtualClock()
  readonly receiver = new ScriptedTransport()
  /** Open at the receiver, by key. */
  readonly open = new Set<string>()
  readonly #decisions = new Decisions({ logId: 'log', partition: 0 })
  readonly #mirror = new PagesMirror()
  readonly #delivery: Delivery
  #offset = 0

  constructor() {
    this.#begin().rulesSwitched(new Set(['cpu']), { pagesPerMinute: 1_000 })
    this.#begin().claim({ kind: 'claim', epoch: 1, instance: 'a', semantics: 1 })
    this.#delivery = new Delivery({
      epoch: 1,
      instance: 'a',
      claimedAtMs: 0,
      mirror: this.#mirror,
      receivers: new Map([['oncall', { transport: this.receiver, class: 'A' }]]),
      clock: this.clock,
      random: new SeededRandom('digest'),
      counters: noDeliveries(),
      append: (records) => records.forEach((record) => this.#write(record)),
      calendarMs: () => this.clock.wallMs(),
    })
  }

  #begin(): Decisions {
    this.#decisions.begin(this.#offset++, 7, this.clock.wallMs(), 0)
    return this.#decisions
  }

  #write(record: LogRecord): void {
    if (record.kind === 'attempt') this.#begin().attempt(record)
    else if (record.kind === 'outcome') this.#begin().outcome(record)
    this.#read(record)
  }

  #read(...records: LogRecord[]): void {
    const pages = this.#decisions.takePageChanges()
    this.#mirror.apply(pages, this.clock.monotonicMs())
    const sightings = records.map((record) => ({ offset: 0, record }) as Parameters<Delivery['progress']>[1][number])
    this.#delivery.progress(pages, sightings)
  }

  /** What the receiver does with requests from now on, whatever it then answers. */
  answers(answer: SendResult, acts: boolean): void {
    this.receiver.answer = ({ dedupKey, action }) => {
      if (acts && action === 'resolve') this.open.delete(dedupKey)
      else if (acts) this.open.add(dedupKey)
      return answer
    }
  }

  event(key: string, bad: boolean): void {
    const description = { severity: 'critical', summary: key, host: 'h', service: key, provenance: () => null }
    this.#begin().incident('cpu', key, bad, { to: ['oncall'] }, () => description)
    this.#read()
  }

  get pending(): number {
    return this.#decisions.pendingPages().length
  }

  close(): void {
    this.#delivery.abandon()
  }
}

const gatewayTimeout: SendResult = { kind: 'unknown', detail: 'HTTP 504' }
const unavailable: SendResult = { kind: 'unknown', detail: 'HTTP 503' }

describe('what waited for over an hour', () => {
  it('leaves nothing open at a receiver whose gateway answered 504 although it had acted', async () => {
    const desk = new Desk()
    desk.answers(gatewayTimeout, true)
    desk.event('taken', true)
    await desk.clock.advance(1_000)
    for (let i = 0; i < 20; i++) desk.event(`k${i}`, true)
    await desk.clock.advance(hourMs + minuteMs)
    desk.answers({ kind: 'delivered' }, true)
    await desk.clock.advance(2 * hourMs)
    assert.ok(
      desk.receiver.sent.some((request) => request.members !== undefined),
      'a digest was sent',
    )
    desk.event('taken', false)
    for (let i = 0; i < 20; i++) desk.event(`k${i}`, false)
    await desk.clock.advance(minuteMs)
    assert.deepEqual([...desk.open], [])
    assert.equal(desk.pending, 0)
    desk.close()
  })

  it('goes as one digest after hours of 503, but for the few that were tried', async () => {
    const desk = new Desk()
    desk.answers(unavailable, false)
    for (let i = 0; i < 200; i++) desk.event(`k${i}`, true)
    await desk.clock.advance(5 * hourMs)
    desk.answers({ kind: 'delivered' }, true)
    await desk.clock.advance(2 * hourMs)
    assert.equal(desk.pending, 0)
    const digests = desk.receiver.sent
      .filter(({ members = [] }) => members.length > 0)
      .map(({ members }) => members!.length)
    const alone = new Set(desk.receiver.sent.filter(({ members }) => members === undefined).map((r) => r.dedupKey))
    assert.equal(new Set(digests).size, 1, 'one digest, tried again and again')
    assert.equal(alone.size + digests[0], 200)
    assert.ok(alone.size <= 10, `${alone.size} were tried by themselves`)
    desk.close()
  })
})
