import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { electionScene, sceneLeaseMs as leaseMs, watch } from '@ricci/testkit'
import { ElectionError } from './errors.ts'
import { ElectionGroup, type GroupOptions } from './group.ts'
import type { Json, LeaseStore } from './store.ts'

/** More turns of the microtask queue than opening a session in process takes. */
const turns = 40

describe('closing a group', () => {
  electionScene('leaves no session and no timer, however far opening has come', async (scene) => {
    for (let turn = 0; turn < turns; turn++) {
      const group = scene.group(`m${turn}`)
      group.candidate('x').stand()
      for (let i = 0; i < turn; i++) await Promise.resolve()
      await scene.finish(group.close())
      await scene.settle()
      scene.assertNothingOpen()
    }
  })

  electionScene('does not wait for a session that is being opened, and ends it when it comes', async (scene) => {
    scene.store.on('open', 'late')
    const group = scene.group('a')
    group.join()
    await scene.settle()
    await group.close()
    assert.equal(scene.store.session.ended, false)
    scene.store.pass('open')
    await scene.settle()
    scene.assertNothingOpen()
  })

  electionScene('ends requests under way', async (scene) => {
    const leader = await scene.leader('a')
    scene.store.on('read', 'held')
    await scene.advance(leaseMs / 2)
    assert.ok(leader.isLeader)
    await scene.finish(scene.groups[0].close())
    scene.assertNothingOpen()
  })

  electionScene('shares one end, also when it was never begun', async (scene) => {
    const group = scene.group('a')
    assert.equal(group.close(), group.close())
    await group.close()
    await group.close()
    for (const call of [() => group.join(), () => group.candidate('x')]) assert.throws(call, { code: 'CLOSED' })
  })
})

describe('a name that is campaigned for later', () => {
  electionScene('is read at once, not with the next of the periodic reads', async (scene) => {
    const group = scene.group('a')
    group.join()
    await scene.advance(1)
    const candidate = group.candidate('later')
    candidate.stand()
    await scene.settle()
    assert.ok(candidate.isLeader)
  })
})

describe('a group that is told what cannot be', () => {
  const cyclic: Record<string, unknown> = {}
  cyclic.itself = cyclic
  for (const data of [1n, cyclic, () => 1, Symbol('x')] as unknown as Json[]) {
    electionScene(`refuses data that is no JSON: ${typeof data}`, async (scene) => {
      assert.throws(() => scene.group('a', { data }), { code: 'OPTION_INVALID' })
      const candidate = await scene.leader('b')
      await assert.rejects(scene.groups[0].publish(data), { code: 'OPTION_INVALID' })
      await scene.advance(leaseMs)
      assert.ok(candidate.isLeader)
    })
  }

  electionScene('publishes what was said, not what became of it', async (scene) => {
    const data = { zone: 'a' }
    const group = scene.group('a', { data })
    data.zone = 'b'
    group.join()
    await scene.until(() => group.members.length > 0)
    assert.deepEqual(group.members[0].data, { zone: 'a' })
  })

  electionScene('refuses an address for a store, and a word for a switch', async (scene) => {
    for (const store of [undefined, 'consul://127.0.0.1', {}] as unknown as LeaseStore[]) {
      assert.throws(() => scene.group('a', { store }), { code: 'OPTION_INVALID' })
    }
    assert.throws(() => scene.group('a', { fenced: 'false' as unknown as boolean }), { code: 'OPTION_INVALID' })
  })
})

describe('many names under one session', () => {
  electionScene('cost no more reads than one', async (scene) => {
    const reads = async (names: number): Promise<number> => {
      const group = scene.group(`m${names}`)
      const candidates = Array.from({ length: names }, (_, at) => group.candidate(`${names}-${at}`))
      for (const candidate of candidates) candidate.stand()
      await scene.until(() => candidates.every(({ isLeader }) => isLeader))
      const before = group.stats().reads
      await scene.advance(60_000)
      const after = group.stats().reads
      await scene.finish(group.close())
      return after - before
    }
    const one = await reads(1)
    assert.ok(one >= 235 && one <= 245, `${one}: one each quarter of a lease`)
    assert.equal(await reads(200), one)
  })
})

describe('many names that stand and resign at once', () => {
  electionScene('cost work in proportion to their number', async (scene) => {
    const { clock } = scene
    const now = clock.monotonicMs.bind(clock)
    let looks = 0
    clock.monotonicMs = () => (looks++, now())
    const cost = async (
      names: number,
    ): Promise<Record<'standing' | 'acquiring' | 'resigning' | 'releasing', number>> => {
      const group = scene.group(`m${names}`)
      const candidates = Array.from({ length: names }, (_, at) => group.candidate(`${names}-${at}`))
      looks = 0
      for (const candidate of candidates) candidate.stand()
      const standing = looks
      await scene.until(() => candidates.every(({ isLeader }) => isLeader))
      const acquiring = looks
      looks = 0
      for (const candidate of candidates) void candidate.resign()
      const resigning = looks
      await scene.finish(group.close())
      return { standing, acquiring, resigning, releasing: looks }
    }
    const [few, many] = [await cost(20), await cost(1000)]
    for (const what of ['standing', 'acquiring', 'resigning', 'releasing'] as const) {
      const said = `${what}: ${few[what]} looks at the clock for 20 names, ${many[what]} for 1000`
      assert.ok(many[what] <= 50 * few[what], said)
    }
  })
})

describe('a store that is away', () => {
  electionScene('at the start: it is tried again, calmly, and told of once', async (scene) => {
    scene.store.away(true)
    const candidate = scene.candidate('a')
    const told: boolean[] = []
    scene.groups[0].on('store', (answers) => told.push(answers))
    const led = watch(candidate.lead(() => 'done'))
    await scene.advance(60_000)
    const opens = scene.store.count('open')
    assert.ok(opens >= 30 && opens <= 60, `${opens} tries in a minute`)
    assert.deepEqual(told, [false])
    assert.deepEqual(scene.warnings, ['STORE_UNAVAILABLE'])
    scene.store.away(false)
    await scene.until(() => led.settled)
    assert.equal(led.value, 'done')
    assert.deepEqual(told, [false, true])
  })

  electionScene(
    'while it is followed or held: few requests, two warnings in two minutes, and the same token after it',
    async (scene) => {
      const leader = await scene.leader('a')
      const follower = scene.candidate('b')
      follower.stand()
      await scene.settle()
      const { token } = leader.term!
      scene.warnings.length = 0
      scene.store.away(true)
      const before = scene.store.count('read')
      await scene.advance(119_000)
      const reads = (scene.store.count('read') - before) / 2
      assert.ok(reads < 400, `${reads} reads of two members in a minute`)
      assert.ok(scene.store.count('changed') < 150, `${scene.store.count('changed')} watches`)
      assert.equal(leader.state.role, 'suspended')
      assert.deepEqual(scene.warnings, [
        'STORE_UNAVAILABLE',
        'STORE_UNAVAILABLE',
        'STORE_UNAVAILABLE',
        'STORE_UNAVAILABLE',
      ])
      scene.store.away(false)
      await scene.until(() => leader.isLeader, 3000)
      assert.equal(leader.term!.token, token)
      assert.equal(follower.isLeader, false)
    },
  )

  electionScene('that answers nothing at all has few requests under way', async (scene) => {
    await scene.leader('a')
    for (const verb of ['read', 'changed', 'acquire', 'release'] as const) scene.store.on(verb, 'held')
    const before = scene.store.count('read')
    await scene.advance(60_000)
    assert.ok(scene.store.count('read') - before <= 6 * 60, `${scene.store.count('read') - before} reads in a minute`)
  })

  electionScene(
    'that opens sessions and forgets them is not asked for one after another without a pause',
    async (scene) => {
      scene.store.on('read', new ElectionError('SESSION_LOST', 'no such session', true))
      scene.candidate('a').stand()
      await scene.advance(60_000)
      assert.ok(scene.store.count('open') <= 60, `${scene.store.count('open')} sessions in a minute`)
    },
  )

  electionScene('whose word of changes comes without end is read as often as it answers, not more', async (scene) => {
    const leader = await scene.leader('a')
    scene.store.session.changed = async () => undefined
    scene.store.on('read', 'held')
    await scene.groups[0].publish('wakes the watch')
    await scene.settle()
    const before = scene.store.count('read')
    await scene.advance(leaseMs / 5)
    assert.equal(scene.store.count('read'), before)
    // It would spin for ever from here, were its reads answered.
    await scene.finish(leader.resign())
    scene.store.session.changed = () => new Promise(() => undefined)
  })
})

describe('one request that fails', () => {
  electionScene('is no store that has stopped answering; two reads in a row are', async (scene) => {
    await scene.leader('a')
    const [group] = scene.groups
    const told: boolean[] = []
    group.on('store', (answers) => told.push(answers))
    const failOnce = async (): Promise<void> => {
      const { failures } = group.stats()
      scene.store.on('read', 'refused')
      await scene.until(() => group.stats().failures > failures)
      scene.store.on('read', 'answered')
    }
    for (let round = 0; round < 5; round++) {
      await failOnce()
      const { reads } = group.stats()
      await scene.until(() => group.stats().reads > reads)
    }
    scene.store.on('publish', 'refused')
    await assert.rejects(scene.finish(group.publish(1)), { code: 'STORE_UNAVAILABLE' })
    await assert.rejects(scene.finish(group.publish(2)), { code: 'STORE_UNAVAILABLE' })
    assert.deepEqual(told, [])
    for (let round = 0; round < 2; round++) await failOnce()
    assert.deepEqual(told, [false])
    await scene.advance(leaseMs)
    assert.deepEqual(told, [false, true])
    scene.store.on('publish', 'answered')
  })
})

describe('a session that is lost', () => {
  electionScene('is followed by another; its names are deposed at once', async (scene) => {
    const leader = await scene.leader('a')
    const said: string[] = []
    leader.on('deposed', ({ code }) => said.push(code))
    await scene.store.session.end()
    await scene.until(() => said.length > 0, leaseMs / 4)
    assert.deepEqual(said, ['TERM_DEPOSED'])
    await scene.until(() => leader.isLeader)
    assert.equal(scene.groups[0].stats().sessions, 2)
    assert.ok(scene.clock.monotonicMs() >= leaseMs, 'after waiting for itself')
  })

  electionScene('does not make the next one wait for what it had under way', async (scene) => {
    const candidate = await scene.leader('a')
    await scene.advance(1)
    scene.store.on('read', 'held')
    const inner = scene.store.session
    await scene.groups[0].publish('read it')
    await scene.settle()
    assert.ok(scene.store.held.some(({ verb }) => verb === 'read'))
    scene.store.on('read', 'answered')
    await inner.end()
    await scene.until(() => !candidate.isLeader)
    const lostMs = scene.clock.monotonicMs()
    await scene.until(() => scene.groups[0].stats().sessions === 2 && candidate.isLeader)
    const tookMs = scene.clock.monotonicMs() - lostMs
    assert.ok(tookMs < 1.1 * leaseMs, `${tookMs}`)
  })
})

describe('what is wrong with the configuration', () => {
  const wrong: Partial<Record<keyof GroupOptions, unknown>>[] = [
    { name: '' },
    { name: 'a b' },
    { name: '..' },
    { id: '.' },
    { id: 'a/b' },
    { lease: '2 s' },
    { lease: 99 },
    { detect: NaN },
    { profile: 'quick' },
    { profile: 'toString' },
    { grace: '1000h' },
    { gate: 'journl' },
    { onOverrun: 'die' },
  ]
  for (const options of wrong) {
    electionScene(`is refused: ${Object.entries(options).join()}`, async (scene) => {
      const { store, clock } = scene
      const all = { name: 'scene', store, clock, ...options } as GroupOptions
      assert.throws(() => new ElectionGroup(all), { code: 'OPTION_INVALID' })
    })
  }

  electionScene('and the store finds rejects who campaigns, now and later', async (scene) => {
    const error = new ElectionError('OPTION_INVALID', 'no such address', false)
    scene.store.on('open', error)
    const [a, b] = [scene.group('a').candidate('x'), scene.group('b').candidate('y')]
    await assert.rejects(scene.finish(a.lead(() => 1)), error)
    await assert.rejects(scene.finish(b.campaign()), error)
    await assert.rejects(scene.finish(a.campaign()), error)
    assert.equal(scene.store.count('open'), 2)
    assert.deepEqual(scene.warnings, ['OPTION_INVALID', 'OPTION_INVALID'])
  })
})
