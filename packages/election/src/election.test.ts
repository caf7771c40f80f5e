import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { Election, memory, type ElectionOptions, type LeaseStore, type SessionOptions, type Term } from './index.ts'

const clock = new VirtualClock()
const open = (store: LeaseStore, id: string, more: Partial<ElectionOptions> = {}): Election =>
  new Election({ name: 'pager', store, id, clock, random: () => 0.5, ...more })

describe('an election in process', () => {
  it('has one leader, and the next at once when it resigns', async () => {
    const store = memory()
    const [a, b] = [open(store, 'a'), open(store, 'b')]
    const terms: string[] = []
    for (const [name, election] of Object.entries({ a, b })) {
      election.on('elected', ({ token }) => terms.push(`${name} ${token > 0n}`))
      election.stand()
      await clock.settle()
    }
    assert.deepEqual([a.isLeader, b.isLeader], [true, false])
    assert.equal(b.state.leader?.id, 'a')
    const resigned = a.resign()
    await clock.settle()
    await resigned
    assert.deepEqual([a.isLeader, b.isLeader], [false, true])
    assert.deepEqual(terms, ['a true', 'b true'])
    await Promise.all([a.close(), b.close()])
  })

  it('runs work while it leads, and resigns when it has ended', async () => {
    const store = memory()
    const [a, b] = [open(store, 'a'), open(store, 'b')]
    let finish!: (value: string) => void
    let term!: Term
    const led = a.lead((its) => {
      term = its
      return new Promise<string>((resolve) => (finish = resolve))
    })
    await clock.settle()
    const second = b.lead(() => 'b')
    await clock.settle()
    assert.ok(term.leads)
    assert.equal(term.signal.aborted, false)
    finish('a')
    assert.equal(await led, 'a')
    assert.equal(await second, 'b')
    assert.throws(() => term.assert(), { code: 'STALE_TERM' })
    await Promise.all([a.close(), b.close()])
  })

  it('who stands again right after it has resigned does not take what it gave up for its own', async () => {
    const store = memory()
    let reads = Promise.resolve()
    const slow: LeaseStore = Object.assign(Object.create(store) as LeaseStore, {
      async open(options: SessionOptions) {
        const session = await store.open(options)
        const read = session.read.bind(session)
        return Object.assign(session, { read: (signal: AbortSignal) => reads.then(() => read(signal)) })
      },
    })
    const a = open(slow, 'a', { fenced: true })
    const tokens: bigint[] = []
    for (const event of ['elected', 'resumed'] as const) a.on(event, ({ token }) => tokens.push(token))
    a.stand()
    await clock.settle()
    let answer = (): void => undefined
    reads = new Promise((resolve) => (answer = resolve))
    await a.resign()
    a.stand()
    assert.equal(a.isLeader, false)
    answer()
    await clock.settle()
    assert.equal(a.isLeader, true)
    assert.equal(tokens.length, 2)
    assert.ok(tokens[1] > tokens[0])
    await a.close()
  })
})
