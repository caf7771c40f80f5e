import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { electionScene, sceneLeaseMs as leaseMs, watch } from '@ricci/testkit'
import { ElectionError } from './errors.ts'
import type { Json, Member } from './store.ts'

describe('members', () => {
  electionScene('are told of, sorted, when somebody joins, publishes or leaves, and only then', async (scene) => {
    const a = scene.group('a', { data: 1 })
    const told: string[] = []
    const words = (members: readonly Member[]): string => members.map(({ id, data }) => `${id} ${data}`).join()
    a.on('members', (members) => told.push(words(members)))
    a.join()
    await scene.settle()
    const c = scene.group('c')
    c.join()
    await scene.settle()
    scene.group('b').join()
    await scene.settle()
    await scene.finish(a.publish(2))
    await scene.finish(c.close())
    await scene.advance(60_000)
    assert.deepEqual(told, ['a 1', 'a 1,c null', 'a 1,b null,c null', 'a 2,b null,c null', 'a 2,b null'])
    assert.equal(words(a.members), told.at(-1))
  })

  electionScene('show what was published while there was no session', async (scene) => {
    scene.store.on('open', 'late')
    const a = scene.group('a', { data: 1 })
    a.join()
    await scene.settle()
    await a.publish(2)
    scene.store.on('publish', 'refused')
    scene.store.pass('open')
    await scene.settle()
    scene.store.on('open', 'answered')
    scene.store.on('publish', 'answered')
    await scene.until(() => a.members[0]?.data === 2, leaseMs)
    await scene.store.session.end()
    scene.store.on('publish', new ElectionError('SESSION_LOST', 'no such session', true))
    await assert.doesNotReject(a.publish(3), 'the next session begins with it')
    await scene.until(() => a.members[0]?.data === 3)
  })

  electionScene('are not those of an answer that was overtaken', async (scene) => {
    // 'late': the answer shows what was so when the question came
    const a = scene.group('a')
    a.join()
    await scene.settle()
    scene.store.on('read', 'late')
    const before = watch(a.confirm())
    await scene.advance(1)
    scene.store.on('read', 'answered')
    scene.group('b').join()
    await scene.until(() => a.members.length === 2)
    const told: number[] = []
    a.on('members', (members) => told.push(members.length))
    scene.store.pass('read')
    await scene.settle()
    assert.deepEqual([before.settled, told], [true, []])
  })

  electionScene('no longer show a session that the store has lost: another is opened', async (scene) => {
    const leader = await scene.leader('a')
    const { session } = scene.store
    const read = session.read.bind(session)
    session.read = async (signal) => ({ ...(await read(signal)), members: [] })
    await scene.until(() => scene.store.session !== session)
    assert.equal(leader.isLeader, false)
    await scene.until(() => leader.isLeader)
  })

  electionScene('of one id are warned of', async (scene) => {
    const [one, other] = [scene.group('a'), scene.group('a')]
    for (const group of [one, other]) group.candidate('x').stand()
    await scene.advance(10 * leaseMs)
    assert.deepEqual(scene.warnings, ['DUPLICATE_ID', 'DUPLICATE_ID'])
    const leaders = [one, other].filter((group) => group.candidate('x').isLeader)
    assert.equal(leaders.length, 1)
  })
})

describe('publishing', () => {
  electionScene('too much, or what is no JSON, is refused, and the next session begins without it', async (scene) => {
    const a = scene.group('a', { data: 'x'.repeat(16 * 1024 - 2) })
    a.join()
    await scene.until(() => a.members.length === 1)
    await scene.finish(a.publish('small'))
    await assert.rejects(a.publish('x'.repeat(16 * 1024 - 1)), { code: 'OPTION_INVALID', message: /16385 bytes/ })
    await assert.rejects(a.publish(1n as unknown as Json), { code: 'OPTION_INVALID' })
    await scene.store.session.end()
    await scene.until(() => scene.store.sessions.length === 2 && a.members[0]?.session === scene.store.session.id)
    assert.equal(a.members[0].data, 'small')
    assert.throws(() => scene.group('b', { data: 'x'.repeat(16 * 1024) }), { code: 'OPTION_INVALID' })
  })

  electionScene('leaves the store with what was said last, however its answers come', async (scene) => {
    const a = scene.group('a')
    a.join()
    await scene.settle()
    scene.store.on('publish', 'held')
    const calls = [1, 2, 3].map((data) => watch(a.publish(data)))
    await scene.settle()
    calls.push(watch(a.publish(4)), watch(a.publish(5)))
    // Whatever is under way is served in the worst order.
    for (let round = 0; round < 5; round++) {
      for (const held of scene.store.held.splice(0).reverse()) held.pass()
      await scene.settle()
    }
    assert.ok(calls.every(({ settled, error }) => settled && error === undefined))
    assert.equal(a.members[0].data, 5)
    assert.equal(scene.store.count('publish'), 2, 'what was overtaken is not sent')
  })

  electionScene('while the session is opened or after a failure ends with the last, too', async (scene) => {
    scene.store.on('open', 'late')
    const a = scene.group('a', { data: 0 })
    a.join()
    await scene.settle()
    await a.publish(1)
    scene.store.on('publish', 'held')
    scene.store.pass('open')
    await scene.settle()
    const last = watch(a.publish(2))
    await scene.settle()
    assert.equal(scene.store.count('publish'), 1, 'one after another')
    scene.store.on('publish', 'answered')
    for (const held of scene.store.held.splice(0)) held.fail(new ElectionError('STORE_UNAVAILABLE', 'no', true))
    await scene.until(() => last.settled && a.members[0]?.data === 2)
    assert.equal(last.error, undefined)
  })
})

describe('a hand-over', () => {
  electionScene('goes to whom it is for, at once, and its giver stands behind it', async (scene) => {
    const a = await scene.leader('a')
    const [b, c] = [scene.candidate('b'), scene.candidate('c')]
    for (const candidate of [c, b]) candidate.stand()
    await scene.settle()
    const before = scene.clock.monotonicMs()
    await scene.finish(a.handOver('b'))
    await scene.until(() => b.isLeader)
    assert.equal(scene.clock.monotonicMs(), before)
    await scene.finish(Promise.all([scene.groups[1].close(), scene.groups[2].close()]))
    await scene.until(() => a.isLeader)
  })

  electionScene('is refused to whom nobody knows, and without leadership; to oneself it is none', async (scene) => {
    const a = await scene.leader('a')
    const b = scene.candidate('b')
    b.stand()
    await scene.settle()
    await assert.rejects(a.handOver('nobody'), { code: 'OPTION_INVALID', message: /members are a, b$/ })
    await assert.rejects(b.handOver('a'), { code: 'STALE_TERM' })
    await a.handOver('a')
    assert.ok(a.isLeader)
    assert.equal(scene.store.count('release'), 0)
  })

  electionScene('to one that does not take it leaves it to others, after its chance', async (scene) => {
    const a = await scene.leader('a')
    const b = scene.candidate('b')
    b.stand()
    scene.group('bystander').join()
    await scene.settle()
    const before = scene.clock.monotonicMs()
    const handed = a.handOver('bystander')
    await assert.rejects(scene.finish(handed), { code: 'HAND_OVER_FAILED', message: /bystander, .* held by b$/ })
    await scene.until(() => b.isLeader)
    assert.equal(scene.clock.monotonicMs() - before, 2000)
  })

  electionScene('that nobody takes, or that the store does not hear of, fails', async (scene) => {
    const a = await scene.leader('a')
    scene.group('bystander').join()
    await scene.settle()
    // Taken by nobody: even its giver, which is behind, is refused.
    scene.store.acquisition = { kind: 'delayed' }
    const nobody = a.handOver('bystander')
    await assert.rejects(scene.finish(nobody), { code: 'HAND_OVER_FAILED', message: /held by nobody$/ })
    scene.store.acquisition = undefined
    await scene.until(() => a.isLeader)
    scene.store.on('release', 'held')
    const unheard = a.handOver('bystander')
    await assert.rejects(scene.finish(unheard), { code: 'HAND_OVER_FAILED', message: /not given up yet$/ })
    scene.store.on('release', 'answered')
    scene.store.pass('release')
    const closed = assert.rejects(a.handOver('bystander'), { code: 'CLOSED' })
    await scene.finish(scene.groups[0].close())
    await closed
  })

  electionScene('resolves when its receiver has it, not before', async (scene) => {
    const a = await scene.leader('a')
    const b = scene.candidate('b')
    b.stand()
    await scene.settle()
    scene.store.on('acquire', 'held')
    const handed = watch(a.handOver('b'))
    await scene.advance(1)
    assert.deepEqual([a.holds, handed.settled], [false, false])
    scene.store.on('acquire', 'answered')
    scene.store.pass('acquire')
    await scene.until(() => handed.settled, 10)
    assert.deepEqual([b.holds, handed.error], [true, undefined])
  })

  electionScene('waits for work that goes on', async (scene) => {
    const a = await scene.leader('a')
    scene.group('b').candidate('x').stand()
    await scene.settle()
    let end!: () => void
    void a.term!.act('1', () => new Promise<void>((resolve) => (end = resolve)), { gate: 'lease' })
    const handed = watch(a.handOver('b'))
    await scene.advance(leaseMs / 2)
    assert.equal(handed.settled, false)
    end()
    await scene.until(() => scene.groups[1].candidate('x').isLeader, 10)
  })

  electionScene('may be asked for: by who wants it, for another, for anybody', async (scene) => {
    const a = await scene.leader('a')
    const b = scene.candidate('b')
    b.stand()
    await scene.settle()
    assert.equal(await scene.finish(scene.groups[1].requestHandOver('x')), true)
    await scene.until(() => b.isLeader, 10)
    assert.equal(await scene.finish(scene.groups[1].requestHandOver('x', 'a')), true)
    await scene.until(() => a.isLeader, 3000)
    assert.equal(await scene.finish(scene.groups[1].requestHandOver('x', null)), true)
    await scene.until(() => b.isLeader, 10)
    assert.equal(await scene.finish(scene.groups[0].requestHandOver('nothing')), false)
    assert.equal((await scene.finish(scene.groups[0].holderOf('x')))?.id, 'b')
    assert.equal(await scene.finish(scene.groups[0].holderOf('nothing')), undefined)
  })

  electionScene('is declined for the dead, for its holder, and where the holder was told so', async (scene) => {
    const asked: string[] = []
    const acceptHandOver = (name: string, { by, to }: { by: string; to?: string }): boolean => {
      asked.push(`${name} ${by} ${to}`)
      return false
    }
    const a = await scene.leader('a', { acceptHandOver })
    const b = scene.group('b')
    b.join()
    await scene.settle()
    for (const to of ['a', 'dead', 'b']) {
      await scene.finish(b.requestHandOver('x', to))
      await scene.advance(1)
    }
    await scene.advance(10 * leaseMs)
    assert.deepEqual(asked, ['x b b'], 'once, though it lies there')
    await scene.finish(b.requestHandOver('x', 'b'))
    await scene.advance(10 * leaseMs)
    assert.deepEqual(asked, ['x b b', 'x b b'], 'again, as it was made again')
    assert.ok(a.isLeader)
  })

  electionScene('that its holder makes a mistake about is declined, and reading goes on', async (scene) => {
    const errors: unknown[] = []
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => errors.push(error))
    const a = await scene.leader('a', {
      acceptHandOver: () => {
        throw new Error('mistake')
      },
    })
    const b = scene.group('b')
    await scene.finish(b.requestHandOver('x', null))
    await scene.settle()
    b.join()
    await scene.settle()
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
    assert.ok(a.isLeader && errors.length > 0)
    assert.equal(scene.groups[0].members.length, 2, 'told of b at once')
  })
})

describe('warnings', () => {
  electionScene('tell of reads that take too long for the lease, once a minute', async (scene) => {
    const a = await scene.leader('a')
    const read = scene.store.session.read.bind(scene.store.session)
    scene.store.session.read = (signal) =>
      new Promise((resolve) => scene.clock.setTimer(leaseMs / 3, () => resolve(read(signal))))
    await scene.advance(59_000)
    assert.deepEqual(scene.warnings, ['SLOW'])
    assert.ok(a.isLeader)
    assert.equal(scene.groups[0].stats().suspensions, 0)
    assert.equal(Math.round(scene.groups[0].stats().readMedianMs!), Math.round(leaseMs / 3))
    scene.store.session.read = read
    await scene.advance(leaseMs)
  })

  electionScene('tell of a process that stood still', async (scene) => {
    await scene.leader('a')
    const { clock } = scene
    const [now, wall] = [clock.monotonicMs.bind(clock), clock.wallMs.bind(clock)]
    let stoodStillMs = 0
    clock.monotonicMs = () => now() + stoodStillMs
    clock.wallMs = () => wall() + stoodStillMs
    stoodStillMs = leaseMs / 2
    await scene.advance(leaseMs)
    assert.deepEqual(scene.warnings, ['LAG'])
  })

  electionScene(
    'tell of a token that was had before; the name is given back, and tried again each lease',
    async (scene) => {
      const a = scene.candidate('a', { minToken: 2n ** 62n })
      a.stand()
      await scene.advance(10 * leaseMs)
      assert.equal(a.isLeader, false)
      assert.deepEqual(scene.warnings, ['TOKEN_REGRESSED'])
      assert.ok(scene.store.count('acquire') <= 12, `${scene.store.count('acquire')}`)
    },
  )

  electionScene('reach the candidates, and nobody need listen', async (scene) => {
    scene.store.on('open', new ElectionError('STORE_REFUSED', 'no permission', true))
    const group = scene.group('a')
    const told: string[] = []
    group.candidate('x').on('warning', ({ code }) => told.push(code))
    group.candidate('x').stand()
    await scene.advance(leaseMs)
    assert.deepEqual(told, ['STORE_REFUSED'])
    assert.ok(group.stats().failures > 1)
  })
})
