import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { electionScene, sceneLeaseMs as leaseMs } from '@ricci/testkit'

/** As in process: whoever holds nothing reads but for changes. */
const rereadMs = 60_000

describe('reads', () => {
  electionScene('are a few at once, however often there is reason to read', async (scene) => {
    const group = scene.group('a', { lease: '100ms' })
    group.candidate('x').stand()
    await scene.until(() => group.candidate('x').isLeader)
    scene.store.on('read', 'held')
    const before = scene.store.count('read')
    for (let i = 0; i < 30; i++) {
      group.candidate(`x${i}`).stand()
      await scene.advance(25)
    }
    const reads = scene.store.count('read') - before
    assert.ok(reads >= 4 && reads <= 7, `${reads} under way`)
  })

  electionScene('that fail are tried again soon, though nothing is held', async (scene) => {
    scene.store.on('read', 'refused')
    const a = scene.group('a')
    a.join()
    await scene.advance(1)
    scene.store.on('read', 'answered')
    await scene.until(() => a.members.length === 1, leaseMs)
  })

  electionScene('come when the store says that a name becomes free', async (scene) => {
    const a = scene.group('a')
    a.join()
    await scene.settle()
    const { session } = scene.store
    const read = session.read.bind(session)
    session.read = async (signal) => ({ ...(await read(signal)), changesInMs: 300 })
    await a.confirm()
    const before = scene.store.count('read')
    await scene.advance(299)
    assert.equal(scene.store.count('read'), before)
    await scene.advance(2)
    assert.equal(scene.store.count('read'), before + 1)
  })

  electionScene('make up for a watch that fails', async (scene) => {
    const a = scene.group('a')
    a.join()
    await scene.settle()
    scene.store.on('changed', 'refused')
    const { session } = scene.store
    scene.group('b').join()
    await scene.until(() => a.members.length === 2, rereadMs / 10)
    await scene.store.session.end()
    await scene.until(() => a.members.length === 1, rereadMs / 10)
    assert.equal(session.ended, false)
  })

  electionScene('go on while requests wait for one another', async (scene) => {
    const a = scene.group('a')
    scene.store.on('acquire', 'held')
    for (let i = 0; i < 100; i++) a.candidate(`x${i}`).stand()
    await scene.settle()
    scene.group('b').join()
    await scene.until(() => a.members.length === 2, leaseMs / 2)
  })
})
