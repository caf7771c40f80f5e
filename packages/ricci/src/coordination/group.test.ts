import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ElectionGroup, memory } from '@ricci/election'
import { coordinationConformance, VirtualClock } from '@ricci/testkit'
import { GroupCoordination } from './group.ts'

coordinationConformance('an election group', async () => {
  const clock = new VirtualClock()
  const store = memory()
  let members = 0
  return {
    join: async () =>
      new GroupCoordination(new ElectionGroup({ name: 'ricci', store, id: `i${++members}`, clock, fenced: true })),
    turn: () => clock.advance(10),
  }
})

test('who holds back least is served first, but no holder is disturbed', async () => {
  const clock = new VirtualClock()
  const store = memory()
  const served: string[] = []
  const open: GroupCoordination[] = []
  const enter = (name: string, holdBackMs: number) => {
    const abort = new AbortController()
    const group = new ElectionGroup({ name: 'ricci', store, id: name, clock, fenced: true })
    const coordination = new GroupCoordination(group, () => holdBackMs)
    open.push(coordination)
    coordination.campaign(0, (lease) => void (lease !== undefined && served.push(name)), abort.signal)
    return abort
  }
  const holder = enter('holder', 500)
  await clock.advance(1000)
  const campaigns = [enter('third', 200), enter('first', 0), enter('second', 100), enter('fourth', 300)]
  await clock.advance(1000)
  assert.deepEqual(served, ['holder'])
  for (const abort of [holder, campaigns[1], campaigns[2], campaigns[0]]) {
    abort.abort()
    await clock.advance(1000)
  }
  assert.deepEqual(served, ['holder', 'first', 'second', 'third', 'fourth'])
  await Promise.all(open.map((coordination) => coordination.close()))
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
  const group = new ElectionGroup({ name: 'ricci', store, id: 'alone', clock, fenced: true })
  const suspended: string[] = []
  group
    .candidate('partition-0')
    .on('suspended', () => suspended.push('suspended'))
    .on('resumed', () => suspended.push('resumed'))
  const coordination = new GroupCoordination(group)
  const told: (string | undefined)[] = []
  coordination.campaign(0, (lease) => told.push(lease?.token), new AbortController().signal)
  await clock.advance(1000)
  away = true
  await clock.advance(10_000)
  away = false
  await clock.advance(10_000)
  assert.deepEqual(suspended, ['suspended', 'resumed'])
  assert.equal(told.length, 1)
  await coordination.close()
})
