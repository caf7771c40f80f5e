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

describe('requests', () => {
  electionScene('are a few at once, however many names there are', async (scene) => {
    scene.store.on('acquire', 'held')
    const group = scene.group('a')
    for (let i = 0; i < 100; i++) group.candidate(`x${i}`).stand()
    await scene.advance(1)
    assert.equal(scene.store.count('acquire'), 16)
    assert.equal(scene.store.pass('acquire'), 16)
    await scene.settle()
    assert.equal(scene.store.count('acquire'), 32)
  })

  electionScene('of which nobody knows what became are read about, though nothing tells of a change', async (scene) => {
    const a = scene.candidate('a')
    scene.store.on('acquire', 'late')
    scene.store.on('changed', 'held')
    a.stand()
    await scene.until(() => scene.store.count('acquire') > 0)
    scene.store.on('acquire', 'answered')
    // given up after a second, and then the lease
    await scene.until(() => a.isLeader, 3 * leaseMs)
  })

  electionScene('come when they are due, though another name was looked at meanwhile', async (scene) => {
    const b = scene.group('b').candidate('y')
    b.stand()
    await scene.until(() => b.isLeader)
    const group = scene.group('a')
    const [x, y] = [group.candidate('x', { holdBackMs: 300 }), group.candidate('y')]
    for (const candidate of [x, y]) candidate.stand()
    await scene.advance(100)
    const before = scene.store.count('acquire')
    void y.resign()
    await scene.until(() => scene.store.count('acquire') > before, 250)
  })
})

describe('signs of life', () => {
  electionScene(
    'are a few at once, where the store takes them and says nothing',
    async (scene) => {
      scene.store.on('keepAlive', 'held')
      scene.group('a').join()
      await scene.advance(leaseMs * 0.9)
      assert.equal(scene.store.count('keepAlive'), 6)
    },
    { keepAliveMs: 25 },
  )
})
