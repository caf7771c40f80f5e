import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { electionScene, sceneLeaseMs as leaseMs, watch, type ElectionScene } from '@ricci/testkit'
import { ElectionError, type Candidate, type Gate, type Term } from './index.ts'

const gates: readonly Gate[] = ['lease', 'confirm', 'journal']

/** A leader's term, and what ran under it. */
async function term(
  scene: ElectionScene,
): Promise<{ a: Candidate; term: Term; ran: bigint[]; run: (token: bigint) => string }> {
  const a = await scene.leader('a')
  const ran: bigint[] = []
  const run = (token: bigint): string => `done ${ran.push(token)}`
  return { a, term: a.term!, ran, run }
}

const unavailable = new ElectionError('STORE_UNAVAILABLE', 'it does not answer', true)

for (const gate of gates) {
  describe(`the gate ${gate}`, () => {
    electionScene('lets the present holder act, with its token', async (scene) => {
      const { term: its, ran, run } = await term(scene)
      assert.equal(await scene.finish(its.act('1', run, { gate })), 'done 1')
      assert.deepEqual(ran, [its.token])
      assert.ok(its.leads && its.token > 0n)
    })

    electionScene('is shut after the term, before anything is asked', async (scene) => {
      const { a, term: its, ran, run } = await term(scene)
      await scene.finish(a.resign())
      const before = [scene.store.count('read'), scene.store.count('begin')]
      await assert.rejects(its.act('1', run, { gate }), {
        name: 'StaleTermError',
        code: 'STALE_TERM',
        token: its.token,
      })
      assert.deepEqual([ran, scene.store.count('read'), scene.store.count('begin')], [[], ...before])
    })

    electionScene('gives what run throws, and the name is not given up before it ended', async (scene) => {
      const { a, term: its } = await term(scene)
      const error = new Error('mistake')
      let fail!: (error: Error) => void
      const act = watch(its.act('1', () => new Promise((_, reject) => (fail = reject)), { gate }))
      await scene.settle()
      const resigned = watch(a.resign())
      await scene.settle()
      assert.deepEqual([act.settled, resigned.settled, scene.store.count('release')], [false, false, 0])
      fail(error)
      await scene.settle()
      assert.deepEqual([act.error, resigned.settled, scene.store.count('release')], [error, true, 1])
    })
  })
}

describe('the id of an action', () => {
  const wrong: [what: string, id: unknown][] = [
    ['none', undefined],
    ['a number', 7],
    ['an object', {}],
    ['empty', ''],
    ['longer than a store keeps', 'å'.repeat(1025)],
    ['with a zero', 'a\0b'],
    ['with half a surrogate pair', 'a\ud800b'],
  ]
  for (const [what, id] of wrong) {
    electionScene(`is refused behind any gate: ${what}`, async (scene) => {
      const { term: its, ran, run } = await term(scene)
      for (const gate of gates) {
        await assert.rejects(scene.finish(its.act(id as string, run, { gate })), { code: 'OPTION_INVALID' })
      }
      assert.deepEqual([ran, scene.store.count('begin')], [[], 0])
    })
  }

  electionScene('may be as long as it says', async (scene) => {
    const { term: its, run } = await term(scene)
    assert.equal(await scene.finish(its.act('å'.repeat(1024), run)), 'done 1')
  })
})

describe('the gate confirm', () => {
  electionScene('is shut to who lost the name and was not told', async (scene) => {
    const { term: its, ran, run } = await term(scene)
    scene.store.on('changed', 'held')
    await scene.store.session.take('x', its.token)
    assert.ok(its.leads)
    await assert.rejects(scene.finish(its.act('1', run, { gate: 'confirm' })), { code: 'STALE_TERM' })
    assert.deepEqual(ran, [])
  })

  electionScene('is shut to who lost its session, and fails where the store is away', async (scene) => {
    const { term: its, ran, run } = await term(scene)
    scene.store.on('read', unavailable)
    await assert.rejects(its.act('1', run, { gate: 'confirm' }), unavailable)
    scene.store.on('read', new ElectionError('SESSION_LOST', 'no such session', true))
    await assert.rejects(its.act('1', run, { gate: 'confirm' }), { code: 'STALE_TERM' })
    scene.store.on('read', 'answered')
    assert.deepEqual(ran, [])
  })
})

describe('the gate journal', () => {
  electionScene('lets an action through once, whoever leads', async (scene) => {
    const { a, term: its, ran, run } = await term(scene)
    await scene.finish(its.act('1', run))
    await assert.rejects(scene.finish(its.act('1', run)), { code: 'ACT_DONE' })
    await scene.finish(a.resign())
    const b = await scene.leader('b')
    await assert.rejects(scene.finish(b.term!.act('1', run)), { code: 'ACT_DONE' })
    assert.deepEqual(ran, [its.token])
  })

  electionScene('leaves in doubt what never ended, until it is repeated', async (scene) => {
    const { term: its, ran, run } = await term(scene)
    const fail = (): never => {
      throw new Error('nobody knows how far it came')
    }
    await assert.rejects(scene.finish(its.act('1', fail)))
    await assert.rejects(scene.finish(its.act('1', run)), { code: 'ACT_IN_DOUBT' })
    assert.deepEqual(ran, [])
    assert.equal(await scene.finish(its.act('1', run, { inDoubt: 'repeat' })), 'done 1')
    await assert.rejects(scene.finish(its.act('1', run, { inDoubt: 'repeat' })), { code: 'ACT_DONE' })
  })

  electionScene('gives what was done, though that cannot be noted', async (scene) => {
    const { term: its, run } = await term(scene)
    for (const error of [unavailable, new ElectionError('STORE_REFUSED', 'read only', true), new TypeError('oops')]) {
      scene.store.on('finish', error)
      assert.match(await scene.finish(its.act(error.message, run)), /done/)
    }
    assert.deepEqual(scene.warnings, ['ACT_IN_DOUBT'])
    await assert.rejects(scene.finish(its.act(unavailable.message, run)), { code: 'ACT_IN_DOUBT' })
  })

  electionScene('takes back an intent whose answer was lost, so that another try may follow', async (scene) => {
    const { term: its, ran, run } = await term(scene)
    scene.store.on('begin', 'late')
    const act = watch(its.act('1', run))
    await scene.until(() => act.settled)
    assert.equal((act.error as ElectionError).code, 'STORE_UNAVAILABLE')
    scene.store.on('begin', 'answered')
    assert.equal(await scene.finish(its.act('1', run)), 'done 1')
    assert.deepEqual(ran, [its.token])
  })

  electionScene('takes back an intent where the term ended before its answer came', async (scene) => {
    const { a, term: its, ran, run } = await term(scene)
    scene.store.on('begin', 'late')
    const act = watch(its.act('1', run))
    await scene.settle()
    scene.store.on('read', 'refused')
    await scene.advance(leaseMs - 1)
    scene.store.pass('begin')
    await scene.settle()
    assert.equal((act.error as ElectionError).code, 'STALE_TERM')
    assert.deepEqual(ran, [])
    scene.store.on('read', 'answered')
    scene.store.on('begin', 'answered')
    await scene.until(() => a.isLeader)
    assert.equal(await scene.finish(a.term!.act('1', run)), 'done 1')
  })

  electionScene('is shut to who lost the name and was not told', async (scene) => {
    const { term: its, ran, run } = await term(scene)
    scene.store.on('changed', 'held')
    await scene.store.session.take('x', its.token)
    await assert.rejects(scene.finish(its.act('1', run)), { code: 'STALE_TERM' })
    assert.deepEqual(ran, [])
  })

  electionScene('forgets old actions now and then', async (scene) => {
    const { term: its, run } = await term(scene)
    for (let i = 0; i < 101; i++) await its.act(`${i}`, run)
    assert.equal(scene.store.count('prune'), 3)
  })
})

describe('an act', () => {
  electionScene(
    'has no journal where the store has none, and confirms by default',
    async (scene) => {
      const { term: its, run } = await term(scene)
      const before = scene.store.count('read')
      assert.equal(await its.act('1', run), 'done 1')
      assert.equal(scene.store.count('read'), before + 1)
      await assert.rejects(its.act('1', run, { gate: 'journal' }), { code: 'NO_JOURNAL' })
    },
    { journal: false },
  )

  electionScene('is refused by a gate, or a doubt, that nobody knows', async (scene) => {
    const { term: its, ran, run } = await term(scene)
    await assert.rejects(its.act('1', run, { gate: 'jurnal' as Gate }), { code: 'OPTION_INVALID' })
    assert.deepEqual(ran, [])
    scene.store.on('finish', unavailable)
    await its.act('2', run)
    await assert.rejects(its.act('2', run, { inDoubt: 'retry' as 'repeat' }), { code: 'ACT_IN_DOUBT' })
  })
})

describe('disposing of a term', () => {
  electionScene('that is suspended gives the name up, also one that an event told of', async (scene) => {
    const { a, term: its } = await term(scene)
    scene.store.on('read', 'refused')
    await scene.until(() => its.signal.aborted)
    assert.deepEqual([a.holds, scene.store.count('release')], [true, 0])
    await scene.finish(its[Symbol.asyncDispose]())
    assert.deepEqual([a.holds, scene.store.count('release')], [false, 1])
  })
})

describe('work that learns before its candidate that its term has ended', () => {
  electionScene('from the clock, as after a freeze: it runs again, and is no failure', async (scene) => {
    const a = scene.candidate('a')
    const terms: Term[] = []
    let wake!: () => void
    const led = watch(
      a.lead(async (its) => {
        if (terms.push(its) === 2) return 'second'
        await new Promise<void>((resolve) => (wake = resolve))
        its.assert()
        return 'first'
      }),
    )
    await scene.until(() => terms.length === 1)
    scene.clock.shiftWall(leaseMs)
    wake()
    await scene.until(() => led.settled)
    assert.deepEqual([led.value, terms[0].signal.aborted, terms[1].token], ['second', true, terms[0].token])
  })

  electionScene('from the store, which has given the name to another: it runs again in a later term', async (scene) => {
    const a = scene.candidate('a')
    const terms: Term[] = []
    let go!: () => void
    const led = watch(
      a.lead(async (its) => {
        if (terms.push(its) === 2) return 'second'
        await new Promise<void>((resolve) => (go = resolve))
        return its.act('1', () => 'first')
      }),
    )
    await scene.until(() => terms.length === 1)
    scene.store.on('read', 'held')
    await scene.store.session.take('x', terms[0].token)
    go()
    await scene.settle()
    assert.ok(terms[0].leads)
    scene.store.on('read', 'answered')
    scene.store.pass('read')
    await scene.until(() => led.settled)
    assert.equal(led.value, 'second')
    assert.ok(terms[1].token > terms[0].token)
  })

  electionScene('from a clock that was set back since: it runs again under the same term', async (scene) => {
    const a = scene.candidate('a')
    const terms: Term[] = []
    let wake!: () => void
    const led = watch(
      a.lead(async (its) => {
        if (terms.push(its) === 2) return 'second'
        await new Promise<void>((resolve) => (wake = resolve))
        scene.clock.shiftWall(leaseMs)
        try {
          its.assert()
        } finally {
          scene.clock.shiftWall(-leaseMs)
        }
        return 'first'
      }),
    )
    await scene.until(() => terms.length === 1)
    wake()
    await scene.until(() => led.settled)
    assert.equal(led.value, 'second')
  })
})
