import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { canBeMember, type Attempt, type PageAction, type PendingPage } from '@ricci/engine'
import { SeededRandom, VirtualClock } from '@ricci/testkit'
import { digestAgeMs, sendsAtOnce } from '../limits.ts'
import type { Receiver } from '../options.ts'
import { ReceiverQueue, type QueueOwner } from './receiver-queue.ts'

const inDoubt: Attempt = { epoch: 1, n: 1, offset: 1 }

/** A queue of epoch 2 that claimed at 0; what it begins stays under way until the test ends it. */
class Desk implements QueueOwner {
  readonly epoch = 2
  readonly claimedAtMs = 0
  readonly digestAgeMs = digestAgeMs
  readonly clock = new VirtualClock()
  readonly pages = new Map<string, PendingPage>()
  /** Ids of each attempt, in the order of their beginning. */
  readonly begun: string[][] = []
  readonly disowned: string[] = []
  /** How often a page was looked at: what a queue does with the many is counted by this. */
  looks = 0
  calendar = 0
  receiver: Receiver
  readonly queue: ReceiverQueue

  constructor(receiverClass: 'A' | 'C') {
    this.receiver = { class: receiverClass, transport: { send: () => assert.fail('nobody sends here') } }
    this.queue = new ReceiverQueue('r', () => this.receiver, this, this.clock, new SeededRandom('queue'))
  }

  page(id: string): PendingPage | undefined {
    this.looks++
    return this.pages.get(id)
  }
  quietAtMs(): number {
    return 0
  }
  canBeMember(page: Readonly<PendingPage>): boolean {
    return canBeMember(page)
  }
  calendarMs(): number {
    return this.calendar
  }
  begin(_queue: ReceiverQueue, pages: readonly Readonly<PendingPage>[]): void {
    this.begun.push(pages.map(({ id }) => id))
  }
  settle(_queue: ReceiverQueue, page: Readonly<PendingPage>): void {
    this.disowned.push(page.id)
  }

  add(id: string, attempts: readonly Attempt[] = [], action: PageAction = 'trigger', trigger?: string): void {
    const text = { receiver: 'r', rule: 'rule', key: id, dedupKey: id, severity: 'critical', summary: id }
    const page = { ...text, id, action, trigger, host: 'h', service: 's', provenance: null, decidedAtOwnedMs: 0 }
    this.pages.set(id, { ...page, decidedAtMs: this.calendar, attempts: [...attempts], retryAtMs: 0 })
    this.queue.add(id)
  }

  /** A page's request has ended well, and its outcome was read. */
  settled(id: string, place: boolean): void {
    this.pages.delete(id)
    this.queue.settled(id)
    this.queue.release([id], place)
    this.queue.pump()
  }

  get order(): string[] {
    return this.begun.flat()
  }
}

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `p${i}`)

describe('a receiver’s queue', () => {
  it('looks at what changed, not at all that waits: 10,000 in doubt at a blind receiver, settled one by one', () => {
    const desk = new Desk('C')
    const all = ids(10_000)
    for (const id of all) desk.add(id, [inDoubt])
    desk.queue.pump()
    assert.equal(desk.looks, all.length, 'each is judged once')
    for (const id of all) desk.settled(id, false)
    assert.equal(desk.looks, all.length, 'nothing changed for those that still wait')
    assert.deepEqual(desk.begun, [])
    desk.queue.stop()
  })

  it('sends 10,000 in the order of their decisions, with a few looks at each', async () => {
    const desk = new Desk('C')
    const all = ids(10_000)
    for (const id of all) desk.add(id, [inDoubt])
    desk.queue.pump()
    await desk.clock.advance(11_000)
    assert.deepEqual(desk.order, all.slice(0, sendsAtOnce))
    for (let i = 0; i < all.length; i++) desk.settled(desk.order[i], true)
    assert.deepEqual(desk.order, all)
    assert.ok(desk.looks <= 3 * all.length, `${desk.looks} looks`)
    assert.equal(desk.clock.pendingTimers, 0)
  })

  it('10,000 resolves that wait for their triggers are looked at when those are settled', () => {
    const desk = new Desk('A')
    const all = ids(10_000)
    for (const id of all) desk.pages.set(id, { id } as PendingPage)
    for (const id of all) desk.add(`of ${id}`, [], 'resolve', id)
    desk.queue.pump()
    desk.looks = 0
    for (const id of all) {
      // Settled at another receiver: this queue never held it.
      desk.pages.delete(id)
      desk.queue.settled(id)
      desk.queue.pump()
      const begun = desk.begun.at(-1)![0]
      assert.equal(begun, `of ${id}`)
      desk.settled(begun, true)
    }
    assert.equal(desk.begun.length, all.length)
    assert.ok(desk.looks <= 4 * all.length, `${desk.looks} looks`)
    desk.queue.stop()
  })

  it('a page whose time comes goes before younger ones that were ready all along', async () => {
    const desk = new Desk('C')
    desk.add('old', [inDoubt])
    for (const id of ids(6)) desk.add(id)
    desk.queue.pump()
    assert.deepEqual(desk.order, ['p0', 'p1', 'p2', 'p3'])
    await desk.clock.advance(11_000)
    desk.settled('p0', true)
    desk.settled('p1', true)
    assert.deepEqual(desk.order.slice(4), ['old', 'p4'])
    desk.queue.stop()
  })

  it('a receiver that is configured as keyed makes a trigger in doubt wait no longer', () => {
    const desk = new Desk('C')
    desk.add('p', [inDoubt])
    desk.queue.pump()
    assert.deepEqual(desk.begun, [])
    desk.receiver = { ...desk.receiver, class: 'A' }
    desk.queue.pump()
    assert.deepEqual(desk.begun, [['p']])
    desk.queue.stop()
  })

  it('a page that changes while it waits is judged anew; one under way is not', () => {
    const desk = new Desk('C')
    desk.add('p', [inDoubt])
    desk.queue.pump()
    desk.add('p', [{ ...inDoubt, result: 'failed' }])
    desk.queue.pump()
    desk.add('p', [
      { ...inDoubt, result: 'failed' },
      { epoch: 2, n: 1, offset: 2 },
    ])
    desk.queue.pump()
    assert.deepEqual([desk.begun, desk.disowned], [[['p']], []])
    desk.queue.release(['p'], true)
    desk.queue.pump()
    assert.deepEqual(desk.disowned, ['p'], 'its attempt came after nobody waited for it any more')
    desk.queue.stop()
  })

  it('what waited for over an hour goes together, whatever part of it was in doubt or waits for a retry', () => {
    const desk = new Desk('A')
    desk.add('a')
    desk.add('failed', [{ ...inDoubt, result: 'failed' }])
    desk.pages.get('failed')!.retryAtMs = desk.clock.wallMs() + 60_000
    desk.add('doubtful', [{ ...inDoubt, result: 'unknown' }])
    desk.add('other action', [], 'notify')
    desk.calendar = digestAgeMs + 1
    desk.add('young')
    desk.queue.pump()
    assert.deepEqual(desk.begun, [['a', 'failed'], ['doubtful'], ['other action'], ['young']])
    desk.queue.stop()
  })
})
