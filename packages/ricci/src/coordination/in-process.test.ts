import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coordinationConformance } from '@ricci/testkit'
import { InProcessCoordination, LeaseTable } from './in-process.ts'

coordinationConformance('in-process coordination', async () => {
  const table = new LeaseTable()
  return { join: async () => new InProcessCoordination(table) }
})

test('the best rank is served first, but no holder is disturbed', async () => {
  const table = new LeaseTable()
  const served: string[] = []
  const enter = (name: string, rank: number) => {
    const abort = new AbortController()
    const onChange = () => void served.push(name)
    new InProcessCoordination(table, rank).campaign(0, onChange, abort.signal)
    return abort
  }
  const holder = enter('holder', 5)
  const campaigns = [enter('third', 2), enter('first', 1), enter('second', 1), enter('fourth', 3)]
  await Promise.resolve()
  assert.deepEqual(served, ['holder'])
  for (const abort of [holder, campaigns[1], campaigns[2], campaigns[0]]) {
    abort.abort()
    await Promise.resolve()
  }
  assert.deepEqual(served, ['holder', 'first', 'second', 'third', 'fourth'])
})
