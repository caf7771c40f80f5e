import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { electionScene, recorded, sceneLeaseMs as leaseMs, watch, type ElectionScene } from '@ricci/testkit'
import type { Leadership, Term } from './index.ts'

/** A promise that the test resolves. */
function latch(): { readonly done: Promise<void>; open(): void } {
  let open!: () => void
  const done = new Promise<void>((resolve) => (open = resolve))
  return { done, open }
}

/** The store does not answer reads until the lease has run out; then it does again. */
async function suspend(scene: ElectionScene, isSuspended: () => boolean): Promise<void> {
  scene.store.on('read', 'refused')
  await scene.until(isSuspended, 2 * leaseMs)
  scene.store.on('read', 'answered')
}

/** A state that differs from the one before in its reason only is left out. */
const withoutRepeats = (said: readonly string[]): string[] => said.filter((what, at) => what !== said[at - 1])

describe('lead', () => {
  electionScene('gives what its work gives, and gives the name up', async (scene) => {
    const a = scene.candidate('a')
    assert.equal(await scene.finish(a.lead(({ token }) => token > 0n)), true)
    assert.equal(a.isLeader, false)
    assert.equal((await scene.leader('b')).isLeader, true)
    assert.ok(scene.clock.monotonicMs() < leaseMs, 'settled')
  })

  electionScene('fails as its work fails, and can be called again', async (scene) => {
    const a = scene.candidate('a')
    const error = new Error('mistake')
    const fail = (): never => {
      throw error
    }
    await assert.rejects(scene.finish(a.lead(fail)), error)
    await assert.rejects(scene.finish(a.lead(() => Promise.reject(error))), error)
    assert.equal(await scene.finish(a.lead(() => 1)), 1)
  })

  electionScene('runs its work again in a later term, once the first has ended', async (scene) => {
    const a = scene.candidate('a')
    const terms: Term[] = []
    const first = latch()
    const led = watch(
      a.lead(async (term) => {
        terms.push(term)
        if (terms.length === 1) {
          await first.done
          throw new Error('too late')
        }
        return 'second'
      }),
    )
    await scene.until(() => terms.length === 1)
    await suspend(scene, () => terms[0].signal.aborted)
    await scene.until(() => a.isLeader)
    assert.equal(a.term!.token, terms[0].token, 'resumed')
    assert.equal(terms.length, 1, 'its work still goes on')
    assert.equal(terms[0].leads, false)
    first.open()
    await scene.until(() => led.settled)
    assert.equal(led.value, 'second')
    assert.equal(terms[1].token, terms[0].token)
    assert.ok(scene.warnings.includes('STALE_TERM'), 'what it threw after its end')
  })

  electionScene('does not tell of work that ends as its signal says', async (scene) => {
    const a = scene.candidate('a')
    let runs = 0
    const work = (term: Term): Promise<string> =>
      ++runs === 2
        ? Promise.resolve('second')
        : new Promise((_, reject) => term.signal.addEventListener('abort', () => reject(term.signal.reason)))
    const led = watch(a.lead(work))
    await scene.until(() => runs === 1)
    await suspend(scene, () => !a.isLeader)
    await scene.until(() => led.settled)
    assert.equal(led.value, 'second')
    assert.ok(!scene.warnings.includes('STALE_TERM'))
  })

  electionScene('ends with its signal: before, while it waits, while it works', async (scene) => {
    const reason = new Error('enough')
    const a = scene.candidate('a')
    await assert.rejects(
      a.lead(() => 1, { signal: AbortSignal.abort(reason) }),
      reason,
    )
    assert.equal(scene.store.count('open'), 0)

    scene.store.on('acquire', 'late')
    const waiting = new AbortController()
    const waits = watch(a.lead(() => 1, { signal: waiting.signal }))
    await scene.settle()
    waiting.abort(reason)
    scene.store.on('acquire', 'answered')
    await scene.until(() => waits.settled, 2 * leaseMs)
    assert.equal(waits.error, reason)

    const working = new AbortController()
    const stop = latch()
    let term!: Term
    const works = watch(a.lead((its) => ((term = its), stop.done), { signal: working.signal }))
    await scene.until(() => a.isLeader)
    working.abort(reason)
    await scene.settle()
    assert.equal(term.signal.reason.code, 'TERM_RESIGNED')
    assert.equal(works.settled, false, 'its work goes on')
    stop.open()
    await scene.settle()
    assert.equal(works.error, reason)
  })

  electionScene('ends when somebody else resigns, and leaves who stands again standing', async (scene) => {
    const a = scene.candidate('a')
    const led = watch(a.lead(({ signal }) => new Promise<void>((end) => signal.addEventListener('abort', () => end()))))
    await scene.until(() => a.isLeader)
    await scene.finish(a.resign())
    a.stand()
    await scene.until(() => led.settled)
    assert.equal((led.error as { code: string }).code, 'TERM_RESIGNED')
    await scene.until(() => a.isLeader)
    await scene.advance(2 * leaseMs)
    assert.ok(a.isLeader)
  })

  electionScene('is refused while another campaign is under way', async (scene) => {
    const a = scene.candidate('a')
    const led = watch(a.lead(({ signal }) => new Promise<void>((end) => signal.addEventListener('abort', () => end()))))
    await assert.rejects(
      a.lead(() => 1),
      { code: 'ALREADY_CAMPAIGNING' },
    )
    await assert.rejects(a.campaign(), { code: 'ALREADY_CAMPAIGNING' })
    await scene.until(() => a.isLeader)
    assert.equal(led.settled, false, 'the first goes on')
  })

  electionScene('rejects when its group closes, working or waiting, and ever after', async (scene) => {
    const a = await scene.leader('a')
    const b = scene.candidate('b')
    const [led, waits] = [watch(a.lead(() => new Promise<never>(() => undefined))), watch(b.campaign())]
    await scene.settle()
    await scene.finish(scene.groups[1].close())
    assert.equal((waits.error as { code: string }).code, 'CLOSED')
    await scene.finish(scene.groups[0].close())
    assert.equal(led.settled, false, 'its work never ends')
    assert.ok(scene.warnings.includes('OVERRUN'))
    await assert.rejects(
      b.lead(() => 1),
      { code: 'CLOSED' },
    )
    assert.throws(() => b.stand(), { code: 'CLOSED' })
  })

  electionScene('leaves no listener on the signal it was given', async (scene) => {
    const a = scene.candidate('a')
    const { signal } = new AbortController()
    let listeners = 0
    const [add, remove] = [signal.addEventListener, signal.removeEventListener]
    signal.addEventListener = (...words: Parameters<typeof add>) => (listeners++, add.apply(signal, words))
    signal.removeEventListener = (...words: Parameters<typeof remove>) => (listeners--, remove.apply(signal, words))
    for (let i = 0; i < 3; i++) await scene.finish(a.lead(() => i, { signal }))
    const term = await scene.finish(a.campaign({ signal }))
    await scene.finish(term[Symbol.asyncDispose]())
    assert.equal(listeners, 0)
  })
})

describe('campaign', () => {
  electionScene('gives the term, at once where there is one; leaving its scope resigns', async (scene) => {
    const a = scene.candidate('a')
    const led = (async () => {
      await using term = await a.campaign()
      assert.equal(await a.campaign(), term)
      return term
    })()
    const term = await scene.finish(led)
    assert.equal(term.signal.reason.code, 'TERM_RESIGNED')
    assert.equal(a.state.role, 'follower')
    assert.ok((await scene.leader('b')).isLeader)
  })

  electionScene(
    'is over when its scope is left, though its term was suspended and another has begun',
    async (scene) => {
      const a = scene.candidate('a')
      const term = await scene.finish(a.campaign())
      await suspend(scene, () => term.signal.aborted)
      await scene.until(() => a.isLeader)
      assert.notEqual(a.term, term)
      await scene.finish(term[Symbol.asyncDispose]())
      assert.equal(a.isLeader, false)
      await scene.advance(5 * leaseMs)
      assert.equal(a.isLeader, false, 'nobody works under it, so that it must not lead')
    },
  )

  electionScene('leaves to a later campaign what an earlier one has given', async (scene) => {
    const a = scene.candidate('a')
    const first = await scene.finish(a.campaign())
    await scene.finish(a.resign())
    const second = await scene.finish(a.campaign())
    await scene.finish(first[Symbol.asyncDispose]())
    assert.ok(second.leads)
  })
})

describe('resign', () => {
  electionScene('waits for an acquisition under way, and gives back what it got', async (scene) => {
    const candidate = scene.candidate('a')
    scene.store.on('acquire', 'late')
    candidate.stand()
    await scene.settle()
    scene.store.pass('acquire')
    await scene.settle()
    assert.equal(scene.store.held.length, 1, 'the second acquisition, of the name that the first has made')
    const closed = watch(scene.groups[0].close())
    await scene.settle()
    assert.equal(closed.settled, false)
    scene.store.pass('acquire')
    await scene.until(() => closed.settled)
    assert.equal(scene.store.count('release'), 1)
    scene.store.on('acquire', 'answered')
    const next = await scene.leader('b')
    assert.ok(next.isLeader && scene.clock.monotonicMs() < leaseMs, 'settled: nobody waits')
  })

  electionScene('resolves when the store is silent, after the grace and two leases', async (scene) => {
    const a = await scene.leader('a')
    scene.store.away(true)
    const before = scene.clock.monotonicMs()
    await scene.finish(a.resign())
    assert.equal(scene.clock.monotonicMs() - before, 3 * leaseMs)
  })

  electionScene('does not take back what it has just given up, when it stands again at once', async (scene) => {
    const a = await scene.leader('a', { fenced: true })
    const { token } = a.term!
    const tokens: bigint[] = []
    a.on('elected', (term) => tokens.push(term.token)).on('resumed', (term) => tokens.push(term.token))
    scene.store.on('read', 'held')
    await scene.finish(a.resign())
    a.stand()
    await scene.settle()
    assert.equal(a.isLeader, false)
    scene.store.on('read', 'answered')
    scene.store.pass('read')
    await scene.until(() => a.isLeader)
    assert.ok(
      tokens.every((each) => each > token),
      `${tokens}`,
    )
  })

  electionScene('waits for what an act does after it resigned itself', async (scene) => {
    const a = await scene.leader('a')
    const stop = latch()
    const act = watch(
      a.term!.act(
        '1',
        () => {
          void a.resign()
          return stop.done
        },
        { gate: 'lease' },
      ),
    )
    await scene.settle()
    assert.equal(scene.store.count('release'), 0)
    stop.open()
    await scene.settle()
    assert.equal(scene.store.count('release'), 1)
    assert.ok(act.settled)
  })
})

describe('work that does not end', () => {
  electionScene('is told of after the grace; the name goes on to others, who wait', async (scene) => {
    const a = scene.candidate('a')
    void a.lead(() => new Promise<never>(() => undefined)).catch(() => undefined)
    await scene.until(() => a.isLeader)
    const resigned = a.resign()
    await scene.advance(leaseMs - 1)
    assert.deepEqual(scene.warnings, [])
    await scene.advance(1)
    assert.deepEqual(scene.warnings, ['OVERRUN'])
    await scene.finish(resigned)
    const before = scene.clock.monotonicMs()
    await scene.leader('b')
    assert.equal(scene.clock.monotonicMs() - before, leaseMs, 'not settled')
    a.stand()
    await scene.finish(scene.groups[1].close())
    await scene.advance(5 * leaseMs)
    assert.equal(a.isLeader, false, 'it does not lead again beside its own work')
    assert.deepEqual(scene.exits, [])
  })

  electionScene('because it awaits its own end waits out its grace, and is told why', async (scene) => {
    for (const end of ['resign', 'close'] as const) {
      const group = scene.group('a')
      const a = group.candidate('x')
      const told: string[] = []
      a.on('warning', ({ message }) => told.push(message))
      let beganMs: number | undefined
      const led = watch(
        a.lead(() => {
          beganMs = scene.clock.monotonicMs()
          return end === 'close' ? group.close() : a.resign()
        }),
      )
      await scene.until(() => led.settled)
      assert.equal(scene.clock.monotonicMs() - beganMs!, leaseMs)
      assert.match(told.join(), /await no resign\(\), close\(\) or handOver\(\) of its own/)
      await scene.finish(group.close())
    }
  })

  electionScene('ends the process where that was asked for', async (scene) => {
    const a = scene.candidate('a', { onOverrun: 'exit' })
    void a.lead(() => new Promise<never>(() => undefined)).catch(() => undefined)
    await scene.until(() => a.isLeader)
    await suspend(scene, () => !a.isLeader)
    await scene.until(() => scene.exits.length > 0, leaseMs)
    assert.deepEqual(scene.exits, [70])
  })

  electionScene('keeps a name from nobody, also when it has overrun an earlier term', async (scene) => {
    const a = await scene.leader('a')
    void a.term!.act('old', () => new Promise<never>(() => undefined), { gate: 'lease' })
    scene.store.on('read', 'refused')
    await scene.until(() => scene.warnings.includes('OVERRUN'))
    scene.store.on('read', 'answered')
    await scene.until(() => a.isLeader)
    await scene.finish(a.resign())
    assert.equal(a.holds, false)
    assert.equal((await scene.leader('b')).isLeader, true)
  })

  electionScene('is not that of a term which was resumed, and is busy without a pause', async (scene) => {
    const a = await scene.leader('a', { onOverrun: 'exit' })
    const old = latch()
    void a.term!.act('old', () => old.done, { gate: 'lease' })
    await suspend(scene, () => a.state.role === 'suspended')
    await scene.until(() => a.isLeader)
    const next = latch()
    const act = watch(a.term!.act('next', () => next.done, { gate: 'lease' }))
    old.open()
    await scene.advance(5 * leaseMs)
    assert.ok(a.isLeader && !act.settled)
    assert.deepEqual([scene.exits, scene.warnings.includes('OVERRUN')], [[], false])
    next.open()
  })
})

describe('what a candidate tells', () => {
  electionScene('has a token also where the name is lost before that is told', async (scene) => {
    const [a, b] = [await scene.leader('a'), scene.candidate('b')]
    b.stand()
    await scene.settle()
    await scene.store.sessions[0].end()
    await scene.until(() => !a.holds)
    await scene.until(() => a.holds || b.holds)
    const next = a.holds ? a : b
    const said: unknown[] = []
    next.on('elected', ({ token }) => said.push(typeof token))
    next.on('resumed', () => said.push('resumed'))
    next.on('deposed', () => said.push('deposed'))
    await scene.advance(leaseMs / 2)
    assert.equal(next.isLeader, false, 'waits')
    // Whoever stands still until its wait is over may find in the first answer that the name is gone.
    const { monotonicMs } = scene.clock
    scene.clock.monotonicMs = () => monotonicMs.call(scene.clock) + leaseMs / 2
    next.apply((candidacy, now) => candidacy.seen(undefined, now, now))
    scene.clock.monotonicMs = monotonicMs
    assert.deepEqual([said, next.isLeader], [['bigint', 'deposed'], false])
  })

  electionScene('comes in order, and each thing once', async (scene) => {
    const a = scene.candidate('a')
    const said = recorded(a)
    let last = ''
    a.on('state', ({ role, token, leader, reason }) => {
      const state = `${role} ${token} ${leader?.session} ${reason}`
      assert.notEqual(state, last, 'a state is told once')
      last = state
    })
    a.stand()
    await scene.until(() => a.isLeader)
    await scene.advance(3 * leaseMs)
    await suspend(scene, () => a.state.role === 'suspended')
    await scene.until(() => a.isLeader)
    await scene.store.session.take('x', a.term!.token)
    await scene.settle()
    await scene.until(() => a.isLeader)
    await scene.finish(a.resign())
    await scene.settle()
    assert.deepEqual(withoutRepeats(said), [
      'state follower',
      'elected',
      'state leader',
      'leader a',
      'state leader',
      'suspended TERM_SUSPENDED',
      'state suspended',
      'resumed',
      'state leader',
      'deposed TERM_DEPOSED',
      'state follower',
      'leader nobody',
      'state follower',
      // It has the name again, and waits for the lease of who had it: itself.
      'leader a',
      'state follower',
      'elected',
      'state leader',
      'resigned TERM_RESIGNED',
      'state follower',
      'leader nobody',
      'state follower',
    ])
  })

  electionScene('says nothing of leadership to who never led', async (scene) => {
    const b = scene.candidate('b')
    void b.lead(() => new Promise<never>(() => undefined)).catch(() => undefined)
    await scene.until(() => b.isLeader)
    const a = scene.candidate('a')
    const said = recorded(a)
    a.stand()
    void b.resign()
    // It holds the name, waits for its predecessor's lease, hears nothing of the store until its own has run out, and resigns.
    await scene.until(() => a.state.leader?.id === 'a', 2 * leaseMs)
    scene.store.away(true)
    await scene.advance(3 * leaseMs)
    await scene.finish(a.resign())
    scene.store.away(false)
    assert.deepEqual(
      said.filter((what) => /elected|resumed|suspended|deposed|resigned/.test(what)),
      [],
    )
  })

  electionScene('may be answered by calls from within, and by mistakes', async (scene) => {
    const a = scene.candidate('a')
    const said: string[] = []
    const errors: unknown[] = []
    const onError = (error: unknown): void => void errors.push(error)
    const listeners = process.listeners('uncaughtException')
    process.removeAllListeners('uncaughtException').on('uncaughtException', onError)
    a.on('elected', () => {
      throw new Error('mistake')
    })
    a.on('elected', (term) => {
      void a.resign()
      said.push(`leads ${term.leads}`)
    })
    a.on('elected', () => said.push(`role ${a.state.role}`))
    a.on('resigned', () => said.push('resigned'))
    a.on('state', ({ role }) => said.push(`state ${role}`))
    a.stand()
    await scene.settle()
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
    assert.deepEqual(withoutRepeats(said), [
      'state follower',
      'leads false',
      'role follower',
      'state follower',
      'resigned',
      'state follower',
    ])
    assert.equal(errors.length, 1)
  })

  electionScene('is conflated by the iterator, whose last word is the last state', async (scene) => {
    const a = scene.candidate('a')
    const seen: Leadership[] = []
    const slow = latch()
    const ended = watch(
      (async () => {
        for await (const state of a) {
          seen.push(state)
          if (state.role === 'leader') await slow.done
        }
      })(),
    )
    a.stand()
    await scene.until(() => seen.some(({ role }) => role === 'leader'))
    await suspend(scene, () => a.state.role === 'suspended')
    await scene.until(() => a.isLeader)
    await scene.finish(scene.groups[0].close())
    slow.open()
    await scene.settle()
    assert.ok(ended.settled)
    assert.deepEqual(seen.map(({ role }) => role).slice(-2), ['leader', 'follower'])
    assert.equal(seen.at(-1)!.reason, a.state.reason)
  })
})

describe('isLeader', () => {
  electionScene('is computed at the moment of use, on both clocks', async (scene) => {
    const a = await scene.leader('a')
    assert.ok(a.leadsForMs > 0 && a.leadsForMs <= leaseMs * 0.98)
    scene.clock.shiftWall(leaseMs)
    assert.deepEqual([a.isLeader, a.leadsForMs, a.state.role, a.term!.leads], [false, 0, 'suspended', false])
    await scene.until(() => a.isLeader, leaseMs)
    scene.clock.shiftWall(-leaseMs * 10)
    assert.ok(a.isLeader)
    scene.store.on('read', 'held')
    await scene.advance(leaseMs)
    assert.equal(a.isLeader, false, 'the monotonic clock decides')
  })
})

describe('holdBackMs', () => {
  for (const holdBackMs of [-1, NaN, '1s' as unknown as number]) {
    electionScene(`is refused where it is ${holdBackMs}`, async (scene) => {
      const group = scene.group('a')
      assert.throws(() => group.candidate('x', { holdBackMs }), { code: 'OPTION_INVALID' })
      assert.throws(() => group.candidate('y').prefer(holdBackMs), { code: 'OPTION_INVALID' })
    })
  }

  electionScene('of a name that nobody had before is waited for once', async (scene) => {
    const a = scene.group('a').candidate('x', { holdBackMs: 3 * leaseMs })
    a.stand()
    await scene.advance(3 * leaseMs - 1)
    assert.equal(a.isLeader, false)
    await scene.advance(10)
    assert.ok(a.isLeader)
  })

  electionScene('changes while it campaigns, and disturbs no holder', async (scene) => {
    const a = await scene.leader('a')
    const [b, c] = ['b', 'c'].map((id) => scene.group(id).candidate('x', { holdBackMs: 60 * leaseMs }))
    for (const candidate of [b, c]) candidate.stand()
    await scene.advance(leaseMs)
    c.prefer(0)
    await scene.advance(2 * leaseMs)
    assert.ok(a.isLeader)
    await scene.finish(a.resign())
    await scene.until(() => c.isLeader, leaseMs)
    await scene.finish(c.resign())
    await scene.advance(2 * leaseMs)
    assert.equal(b.isLeader, false, 'the name is free, and not its turn')
    b.prefer(leaseMs)
    await scene.settle()
    assert.ok(b.isLeader, 'it has been free for longer than that')
  })

  electionScene('that a listener of `members` changes counts for the very view that showed who left', async (scene) => {
    const [a, group] = [await scene.leader('a'), scene.group('b')]
    const b = group.candidate('x', { holdBackMs: 60 * leaseMs })
    b.stand()
    await scene.until(() => group.members.length === 2)
    group.on('members', (members) => void (members.length === 1 && b.prefer(0)))
    await scene.finish(scene.groups[0].close())
    const beganMs = scene.clock.monotonicMs()
    await scene.until(() => b.isLeader)
    assert.ok(scene.clock.monotonicMs() - beganMs <= leaseMs, 'no longer than its predecessor’s lease')
    assert.equal(a.isLeader, false)
  })
})

describe('a wall clock that jumps, and is set back before a timer has looked', () => {
  electionScene('keeps no campaign waiting', async (scene) => {
    const a = scene.candidate('a')
    const first = latch()
    let runs = 0
    const led = watch(a.lead(async () => (++runs === 1 ? first.done : 'second')))
    await scene.until(() => runs === 1)
    await suspend(scene, () => a.state.role === 'suspended')
    await scene.until(() => a.isLeader)
    const { wallMs } = scene.clock
    scene.clock.wallMs = () => wallMs.call(scene.clock) + 2 * leaseMs
    first.open()
    await scene.settle()
    scene.clock.wallMs = wallMs
    await scene.until(() => led.settled)
    assert.deepEqual([runs, led.value], [2, 'second'])
  })

  electionScene('leaves no iterator with what is no longer so', async (scene) => {
    const a = await scene.leader('a')
    const states = a[Symbol.asyncIterator]()
    const { wallMs } = scene.clock
    scene.clock.wallMs = () => wallMs.call(scene.clock) + 2 * leaseMs
    let last: string | undefined
    void (async () => {
      for await (const { role } of states) last = role
    })()
    await scene.settle()
    assert.equal(last, 'suspended')
    scene.clock.wallMs = wallMs
    await scene.advance(leaseMs)
    assert.deepEqual([a.isLeader, last], [true, 'leader'])
  })
})
