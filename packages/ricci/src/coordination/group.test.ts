import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memory } from '@ricci/election'
import { Placement } from '@ricci/replica'
import { coordinationConformance, VirtualClock } from '@ricci/testkit'
import { coordinationInProcess, GroupCoordination } from './group.ts'

coordinationConformance('an election group', async () => {
  const clock = new VirtualClock()
  const store = memory()
  return {
    join: async (instance) => new GroupCoordination({ name: 'ricci', store, id: instance, clock }),
    turn: () => clock.advance(10),
  }
})

test('a lease that is suspended and confirmed again is silence, not a loss', async () => {
  const clock = new VirtualClock()
  const inner = memory()
  let away = false
  const store: typeof inner = {
    description: inner.description,
    look: (...args) => inner.look(...args),
    request: (...args) => inner.request(...args),
    open: async (options) => {
      const session = await inner.open(options)
      const read = session.read.bind(session)
      session.read = (signal) => (away ? new Promise(() => undefined) : read(signal))
      return session
    },
  }
  const said: string[] = []
  const coordination = new GroupCoordination({
    name: 'ricci',
    store,
    id: 'alone',
    clock,
    onTrouble: (what) => said.push(what),
  })
  const told: (string | undefined)[] = []
  coordination.campaign(0, (lease) => told.push(lease?.token), new AbortController().signal)
  await clock.advance(1000)
  away = true
  await clock.advance(10_000)
  assert.equal(coordination.trouble, 'the store does not answer')
  away = false
  await clock.advance(10_000)
  assert.equal(coordination.trouble, undefined)
  assert.deepEqual(
    said.filter((what) => /answers again|does not answer/.test(what)),
    ['the store does not answer', 'the store answers again'],
  )
  assert.equal(told.length, 1)
  await coordination.close()
})

test('an instance alone runs all of its partitions at once, and owns what it runs', async () => {
  const clock = new VirtualClock()
  const coordination = coordinationInProcess('alone', clock)
  const campaigns = new AbortController()
  const leases: number[] = []
  const placement: Placement = new Placement({
    instance: 'alone',
    version: '1',
    partitions: 3,
    coordination,
    clock,
    run: (partition) =>
      coordination.campaign(
        partition,
        () => {
          leases.push(partition)
          placement.observe(partition, 'owning')
        },
        campaigns.signal,
      ),
    end: async () => undefined,
  })
  placement.start()
  await clock.settle()
  assert.deepEqual(
    [placement.runs, leases],
    [
      [0, 1, 2],
      [0, 1, 2],
    ],
  )
  placement.drain(true)
  await clock.advance(60_000)
  assert.deepEqual(placement.runs, [0, 1, 2])
  assert.match(placement.explain(1).why, /nobody else is there/)
  await placement.stop()
  await coordination.close()
  assert.equal(clock.pendingTimers, 0)
})
