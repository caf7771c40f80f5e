import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { VirtualClock } from '@ricci/testkit'
import { endAfterMs, handOnMs, moveMs, restoringPatienceMs, settledMs, staggerMs } from './limits.ts'
import { Placement } from './placement.ts'
import type { CoordinationPort, Member, MemberData, Standing } from './ports.ts'
import { ranking } from './ranking.ts'

const restoringAtOnce = 2

/** One instance, `a`, and what the others say of themselves. */
class Scene {
  readonly clock = new VirtualClock()
  readonly ran: number[] = []
  readonly ended: number[] = []
  readonly asked: number[] = []
  readonly preferred = new Map<number, number>()
  published: MemberData | undefined
  changes = 0
  /** Asked for each request; the default asks somebody, who does not heed it. */
  answer: () => Promise<boolean> = () => Promise.resolve(true)
  #others: Member[] = []
  #listener: (members: readonly Member[]) => void = () => undefined
  readonly placement: Placement

  constructor(partitions: number) {
    const coordination: CoordinationPort = {
      join: () => undefined,
      publish: (data) => (this.published = data),
      members: () => this.members,
      onMembers: (listener) => {
        this.#listener = listener
        return () => (this.#listener = () => undefined)
      },
      campaign: () => undefined,
      prefer: (partition, holdBackMs) => this.preferred.set(partition, holdBackMs),
      isHeld: () => Promise.resolve(true),
      requestHandOver: (partition) => {
        this.asked.push(partition)
        return this.answer()
      },
      handOver: () => undefined,
      close: () => Promise.resolve(),
    }
    this.placement = new Placement({
      instance: 'a',
      version: '1',
      partitions,
      restoringAtOnce,
      coordination,
      clock: this.clock,
      run: (partition) => this.ran.push(partition),
      end: (partition) => {
        this.ended.push(partition)
        return Promise.resolve()
      },
      onChange: () => this.changes++,
    })
  }

  get members(): readonly Member[] {
    return this.#others.length === 0 ? [] : [{ instance: 'a', data: this.published! }, ...this.#others]
  }

  /** What the store shows now. */
  shows(...others: Member[]): void {
    this.#others = others
    this.#listener(this.members)
  }

  /** Ends it where nobody takes over. */
  async stop(): Promise<void> {
    const stopped = this.placement.stop()
    await this.clock.advance(handOnMs)
    await stopped
  }

  /** All that it runs stands like this. */
  stands(standing: Standing): void {
    for (const partition of this.placement.runs) this.placement.observe(partition, standing)
  }
}

const member = (instance: string, partitions: Record<string, Standing> = {}, draining = false): Member => ({
  instance,
  data: { draining, version: '1', partitions },
})

/** The first partition, of many, for which these are ranked like this. */
function partitionOf(...instances: string[]): number {
  for (let partition = 0; ; partition++) {
    const ranked = ranking(
      partition,
      [...instances].sort().map((instance) => ({ instance })),
    )
    if (ranked.every(({ instance }, at) => instance === instances[at])) return partition
  }
}

/** A scene of as many partitions as it takes to have that one, shown that. */
function sceneOf(partition: number, ...others: Member[]): Scene {
  const scene = new Scene(partition + 1)
  scene.placement.start()
  scene.shows(...others)
  return scene
}

describe('an instance and its partitions', () => {
  it('runs nothing before it has been shown who is alive, and forgets nobody when it is shown nobody', async () => {
    const scene = new Scene(4)
    scene.placement.start()
    await scene.clock.advance(60_000)
    assert.deepEqual(scene.ran, [])
    assert.match(scene.placement.explain(0).why, /not said yet/)
    scene.shows(member('b'))
    assert.deepEqual(scene.ran, [0, 1].slice(0, restoringAtOnce))
    scene.stands('following')
    scene.stands('following')
    assert.equal(scene.ran.length, 4)
    scene.shows()
    await scene.clock.advance(600_000)
    assert.deepEqual([scene.ended, scene.ran.length], [[], 4])
    await scene.stop()
    assert.equal(scene.clock.pendingTimers, 0)
  })

  it('restores some at a time; one that takes too long holds up no other', async () => {
    const scene = new Scene(5)
    scene.placement.start()
    scene.shows(member('b'))
    assert.equal(scene.ran.length, restoringAtOnce)
    scene.placement.observe(scene.ran[0], 'following')
    assert.equal(scene.ran.length, restoringAtOnce + 1)
    await scene.clock.advance(restoringPatienceMs)
    assert.equal(scene.ran.length, 5)
    await scene.stop()
  })

  it('begins with what nobody has, then with what it is to own', () => {
    const [own, second] = [partitionOf('a', 'b', 'c'), partitionOf('b', 'a', 'c')]
    const all = Math.max(own, second) + 1
    const scene = new Scene(all)
    const has = Object.fromEntries(Array.from({ length: all }, (_, partition) => [partition, 'owning' as const]))
    scene.placement.start()
    scene.shows(
      member('b', Object.fromEntries(Object.entries(has).filter(([at]) => at !== String(second)))),
      member('c'),
    )
    assert.deepEqual(scene.ran.slice(0, 2), [second, own])
  })

  it('ends what is not wanted any more after a while, and only once the first two have caught up', async () => {
    const partition = partitionOf('b', 'c', 'a')
    const scene = sceneOf(partition, member('b'))
    scene.stands('following')
    scene.stands('following')
    const mine = () => scene.placement.runs.includes(partition)
    for (let i = 0; i < partition + 1; i++) scene.stands('following')
    assert.ok(mine())
    scene.shows(member('b', { [partition]: 'owning' }), member('c', { [partition]: 'restoring' }))
    await scene.clock.advance(10 * endAfterMs)
    assert.ok(mine(), 'c has not caught up')
    assert.match(scene.placement.explain(partition).why, /until c caught up/)
    scene.shows(member('b', { [partition]: 'owning' }), member('c', { [partition]: 'following' }))
    await scene.clock.advance(endAfterMs - 1)
    assert.ok(mine())
    scene.shows(member('b', { [partition]: 'owning' }))
    await scene.clock.advance(endAfterMs - 1)
    scene.shows(member('b', { [partition]: 'owning' }), member('c', { [partition]: 'following' }))
    await scene.clock.advance(endAfterMs - 1)
    assert.ok(mine(), 'counted anew')
    await scene.clock.advance(1)
    assert.equal(mine(), false)
    assert.match(scene.placement.explain(partition).why, /the first two are b and c/)
    await scene.stop()
  })

  it('keeps what it owns, whoever is ranked before it, and what it is about to', async () => {
    for (const standing of ['owning', 'claiming', 'stepping-down'] as const) {
      const partition = partitionOf('b', 'c', 'a')
      const scene = sceneOf(partition, member('b'))
      for (let i = 0; i < partition + 1; i++) scene.stands('following')
      scene.placement.observe(partition, standing)
      scene.shows(member('b', { [partition]: 'following' }), member('c', { [partition]: 'following' }))
      await scene.clock.advance(10 * endAfterMs)
      assert.ok(!scene.ended.includes(partition), standing)
      await scene.stop()
    }
  })
})

describe('a free lease', () => {
  it('is left to those who have caught up and come before, from the very moment at which the list of members says so', () => {
    const partition = partitionOf('b', 'a', 'c')
    const scene = sceneOf(partition, member('b', { [partition]: 'owning' }), member('c'))
    for (let i = 0; i < partition + 1; i++) scene.stands('following')
    assert.equal(scene.preferred.get(partition), staggerMs)
    scene.shows(member('c'))
    assert.equal(scene.preferred.get(partition), 0, 'the owner is gone')
    scene.shows(member('b', { [partition]: 'restoring' }), member('c'))
    assert.equal(scene.preferred.get(partition), 0, 'the first has not caught up')
    scene.placement.observe(partition, 'restoring')
    scene.shows(member('b', { [partition]: 'restoring' }), member('c', { [partition]: 'following' }))
    assert.equal(scene.preferred.get(partition), 2 * staggerMs, 'nor has it')
    scene.placement.observe(partition, 'owning')
    assert.equal(scene.preferred.get(partition), 0, 'an owner whose lease was taken')
  })
})

describe('a planned hand-over', () => {
  it('is asked for a minute after the first of the ranking has caught up, again after a pause, and no more once it owns', async () => {
    const partition = partitionOf('a', 'b', 'c')
    const scene = sceneOf(partition, member('b', { [partition]: 'owning' }), member('c'))
    for (let i = 0; i < partition + 1; i++) scene.stands('following')
    await scene.clock.advance(settledMs - 1)
    assert.deepEqual(scene.asked, [])
    assert.match(scene.placement.explain(partition).why, /b owns it and is asked/)
    await scene.clock.advance(1)
    assert.deepEqual(scene.asked, [partition])
    await scene.clock.advance(9_999)
    assert.deepEqual(scene.asked, [partition])
    await scene.clock.advance(1)
    assert.deepEqual(scene.asked, [partition, partition])
    scene.placement.observe(partition, 'owning')
    scene.shows(member('b', { [partition]: 'following' }), member('c'))
    await scene.clock.advance(settledMs)
    assert.equal(scene.asked.length, 2)
    await scene.stop()
  })

  it('is asked for anew a minute after it was first again: who comes and goes does not ask', async () => {
    const partition = partitionOf('a', 'b', 'c')
    const scene = sceneOf(partition, member('b', { [partition]: 'owning' }), member('c'))
    for (let i = 0; i < partition + 1; i++) scene.stands('following')
    await scene.clock.advance(settledMs - 1)
    scene.placement.observe(partition, 'restoring')
    scene.placement.observe(partition, 'following')
    await scene.clock.advance(settledMs - 1)
    assert.deepEqual(scene.asked, [])
    await scene.stop()
  })

  it('is asked for one partition at a time', async () => {
    const scene = new Scene(64)
    const owning = (but: readonly number[]) =>
      member('b', Object.fromEntries(scene.placement.runs.map((p) => [p, but.includes(p) ? 'following' : 'owning'])))
    scene.placement.start()
    scene.shows(member('b'), member('c'))
    for (let i = 0; i < 64; i++) scene.stands('following')
    scene.shows(owning([]), member('c'))
    await scene.clock.advance(settledMs)
    assert.equal(scene.asked.length, 1)
    for (let i = 1; i < 5; i++) {
      scene.placement.observe(scene.asked[i - 1], 'owning')
      scene.shows(owning(scene.asked.slice(0, i)), member('c'))
      assert.equal(scene.asked.length, i + 1)
    }
    assert.equal(new Set(scene.asked).size, 5)
    await scene.stop()
  })

  it('is asked for at once of one that drains, by the first that has caught up; one that drains itself asks for nothing', async () => {
    const partition = partitionOf('b', 'a', 'c')
    const drains = member('c', { [partition]: 'owning' }, true)
    const standby = member('b', { [partition]: 'following' })
    const scene = sceneOf(partition, standby, member('c', { [partition]: 'owning' }))
    for (let i = 0; i < partition + 1; i++) scene.stands('following')
    scene.shows(standby, drains)
    assert.ok(!scene.asked.includes(partition), 'b is before it')
    scene.shows(member('b', { [partition]: 'restoring' }), drains)
    await scene.clock.advance(60_000)
    assert.ok(scene.asked.includes(partition))
    scene.placement.drain(true)
    const before = scene.asked.length
    await scene.clock.advance(60_000)
    assert.equal(scene.asked.length, before)
    await scene.stop()
  })

  it('that nobody could be asked for, or while the store is away, is no reason to wait', async () => {
    for (const answer of [() => Promise.resolve(false), () => Promise.reject(new Error('away'))]) {
      const scene = new Scene(64)
      scene.answer = answer
      scene.placement.start()
      scene.shows(member('b'), member('c'))
      for (let i = 0; i < 64; i++) scene.stands('following')
      scene.shows(member('b', Object.fromEntries(scene.placement.runs.map((p) => [p, 'owning']))), member('c'))
      await scene.clock.advance(settledMs)
      assert.ok(scene.asked.length > 10)
      assert.equal(new Set(scene.asked).size, scene.asked.length, 'each once, then a pause')
      await scene.stop()
      await scene.clock.advance(60_000)
      assert.equal(scene.clock.pendingTimers, 0)
    }
  })
})

describe('an instance that drains', () => {
  it('is relieved of what it owns before others begin second replicas; not where that does not come about', async () => {
    for (const isTaken of [true, false]) {
      const scene = new Scene(8)
      const all = Array.from({ length: 8 }, (_, partition) => partition)
      const each = (standing: Standing): Record<string, Standing> =>
        Object.fromEntries(all.map((partition) => [partition, standing]))
      const drains = member('d', { 0: 'owning' }, true)
      scene.placement.start()
      // with three others it is not among the first two of some
      scene.shows(member('b', each('following')), member('c', each('following')), member('d', { 0: 'owning' }))
      for (let i = 0; i < 8; i++) scene.stands('following')
      const before = scene.ran.length
      assert.ok(before < 8)
      scene.shows(member('b', { ...each('following'), 1: 'owning' }), drains)
      assert.equal(scene.ran.length, before, 'partition 0 moves first')
      if (isTaken) scene.shows(member('b', { ...each('following'), 0: 'owning' }), member('d', {}, true))
      else await scene.clock.advance(moveMs)
      for (let i = 0; i < 8; i++) scene.stands('following')
      assert.equal(scene.ran.length, 8)
      await scene.stop()
    }
  })

  it('is relieved first of what nobody else has', async () => {
    const scene = new Scene(2)
    scene.placement.start()
    scene.shows(member('b', { 0: 'following' }), member('d', { 0: 'owning', 1: 'owning' }, true))
    assert.deepEqual(scene.ran, [1])
    await scene.stop()
  })

  it('ends at once what others have, keeps what they have not caught up with, and is drained when it runs nothing', async () => {
    const scene = new Scene(2)
    scene.placement.start()
    scene.shows(member('b'))
    scene.stands('following')
    scene.placement.observe(0, 'owning')
    scene.placement.drain(true)
    assert.equal(scene.published!.draining, true)
    assert.match(scene.placement.explain(0).why, /owns it until b is there/)
    assert.match(scene.placement.explain(1).why, /until b caught up/)
    scene.shows(member('b', { 0: 'following', 1: 'owning' }))
    await scene.clock.settle()
    assert.deepEqual([scene.ended, scene.placement.drained], [[1], false])
    scene.placement.observe(0, 'following')
    scene.shows(member('b', { 0: 'owning', 1: 'owning' }))
    await scene.clock.settle()
    assert.deepEqual([scene.ended, scene.placement.drained], [[1, 0], true])
    assert.ok(scene.changes > 0)
    scene.placement.drain(false)
    assert.deepEqual([scene.placement.drained, scene.placement.runs], [false, [0, 1]])
    await scene.stop()
  })

  it('keeps what it has where nobody else is there, and says so', async () => {
    const scene = new Scene(1)
    scene.placement.start()
    scene.shows(member('b', {}, true))
    scene.shows(member('b'))
    scene.placement.observe(0, 'owning')
    scene.placement.drain(true)
    scene.shows(member('b', {}, true))
    await scene.clock.advance(600_000)
    assert.deepEqual(scene.ended, [])
    assert.match(scene.placement.explain(0).why, /drains, but keeps it: nobody else is there/)
    await scene.stop()
  })

  it('when it stops tells the others first, and ends once others have caught up with what it keeps', async () => {
    const scene = new Scene(3)
    scene.placement.start()
    scene.shows(member('b'))
    scene.stands('following')
    scene.placement.observe(1, 'owning')
    const stopped = Promise.all([scene.placement.stop(), scene.placement.stop()])
    await scene.clock.settle()
    assert.deepEqual([scene.published!.draining, scene.ended], [true, []])
    scene.shows(member('b', { 0: 'following', 1: 'following', 2: 'restoring' }))
    await scene.clock.settle()
    assert.deepEqual(scene.ended, [0], 'b has caught up with it, and owns or has not caught up with the others')
    scene.placement.observe(1, 'following')
    scene.shows(member('b', { 0: 'owning', 1: 'owning', 2: 'following' }))
    await stopped
    assert.deepEqual([...scene.ended].sort(), [...scene.ran].sort())
    assert.equal(scene.clock.pendingTimers, 0)
  })

  it('when it stops does not wait for long, nor where all others stop, too', async () => {
    for (const other of [member('b', {}, true), member('b')]) {
      const scene = new Scene(3)
      scene.placement.start()
      scene.shows(member('b'))
      scene.stands('owning')
      scene.shows(other)
      const stopped = scene.placement.stop()
      if (!other.data.draining) {
        await scene.clock.advance(handOnMs - 1)
        assert.deepEqual(scene.ended, [])
        await scene.clock.advance(1)
      }
      await stopped
      assert.deepEqual(scene.ended.length, 3)
      assert.equal(scene.clock.pendingTimers, 0)
    }
  })
})
