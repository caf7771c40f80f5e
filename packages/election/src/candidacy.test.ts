import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Candidacy, type CandidacyOptions, type CandidacyState } from './candidacy.ts'
import type { NameView } from './store.ts'

const leaseMs = 1000

/** How long a confirm is good for: the lease less 2 %. */
const goodMs = 980

/** A candidacy, its clocks, and what it went through. */
class Table {
  readonly self: { id: string; session: string | undefined; leaseMs: number } = { id: 'a', session: 's1', leaseMs }
  readonly passed: CandidacyState[] = []
  readonly candidacy: Candidacy
  ms = 10_000
  wallShiftMs = 0

  constructor(options: Partial<CandidacyOptions> = {}, leastToken = 0n) {
    const events = { changed: (state: CandidacyState) => void this.passed.push(state) }
    this.candidacy = new Candidacy('x', this.self, { holdBackMs: 0, fenced: false, ...options }, events, leastToken)
  }

  get now(): { monotonicMs: number; wallMs: number } {
    return { monotonicMs: this.ms, wallMs: this.ms + this.wallShiftMs }
  }

  get state(): CandidacyState {
    return this.candidacy.state
  }

  get leads(): boolean {
    return this.candidacy.leads(this.now)
  }

  wait(ms: number): this {
    this.ms += ms
    this.candidacy.tick(this.now)
    return this
  }

  stand(): this {
    this.candidacy.stand(this.now)
    return this
  }

  /** A read that was sent `agoMs` before its answer. */
  seen(view: NameView | undefined, agoMs = 0): this {
    const sent = { monotonicMs: this.ms - agoMs, wallMs: this.ms - agoMs + this.wallShiftMs }
    this.candidacy.seen(view, sent, this.now)
    return this
  }

  /** Stands, and asks for the free name. */
  acquiring(view: NameView | undefined = free()): this {
    this.stand().seen(view)
    assert.equal(this.candidacy.wish(this.now)?.kind, 'acquire')
    return this
  }

  granted(token = 5n): this {
    this.candidacy.acquired(token, this.now, this.now)
    return this
  }

  /** Leads, under token 5. */
  leading(): this {
    this.acquiring(free({ settled: true }))
      .granted()
      .wait(0)
    assert.equal(this.state, 'leading')
    return this
  }

  release(): unknown {
    const wish = this.candidacy.wish(this.now)
    return wish?.kind === 'release' ? wish.how : undefined
  }
}

const free = (more: Partial<NameView> = {}): NameView => {
  return { name: 'x', version: '1', token: 1n, settled: false, leaseMs, ...more }
}

const held = (session: string, token = 5n, more: Partial<NameView> = {}): NameView => {
  return { ...free(more), version: '2', token, holder: { session, id: session === 's1' ? 'a' : 'b' } }
}

describe('a candidacy', () => {
  /** Each arrow of the diagram: what is done, and the states it goes through. */
  const arrows: [string, (table: Table) => unknown, CandidacyState[]][] = [
    ['stands', (t) => t.stand(), ['following']],
    ['stands no more', (t) => t.stand().candidacy.withdraw(t.now, ''), ['following', 'apart']],
    ['asks for a free name', (t) => t.acquiring(), ['following', 'acquiring']],
    ['asks for a name that nobody had', (t) => t.acquiring(undefined), ['following', 'acquiring']],
    ['is refused', (t) => t.acquiring().candidacy.refused('changed', t.now), ['following', 'acquiring', 'following']],
    [
      'is refused, standing no more',
      (t) => {
        t.acquiring().candidacy.withdraw(t.now, '')
        t.candidacy.refused('unknown', t.now)
      },
      ['following', 'acquiring', 'apart'],
    ],
    [
      'loses its session while it asks',
      (t) => t.acquiring().candidacy.sessionLost(),
      ['following', 'acquiring', 'following'],
    ],
    ['is granted it, and waits', (t) => t.acquiring().granted(), ['following', 'acquiring', 'waiting']],
    [
      'is granted it, standing no more',
      (t) => {
        t.acquiring().candidacy.withdraw(t.now, '')
        t.granted()
      },
      ['following', 'acquiring', 'releasing'],
    ],
    ['leads at once after a settled one', (t) => t.leading(), ['following', 'acquiring', 'waiting', 'leading']],
    [
      'leads when the wait is over',
      (t) => t.acquiring().granted().wait(500).seen(held('s1')).wait(500),
      ['following', 'acquiring', 'waiting', 'leading'],
    ],
    [
      'is suspended while it waits, and waits on',
      (t) => {
        t.acquiring().wait(goodMs).granted()
        t.self.leaseMs = 10
        t.seen(held('s1')).wait(10)
        t.seen(held('s1'))
      },
      ['following', 'acquiring', 'waiting', 'suspended', 'waiting'],
    ],
    [
      'loses it while it waits',
      (t) => t.acquiring().granted().wait(1).seen(held('s2', 6n)),
      ['following', 'acquiring', 'waiting', 'following'],
    ],
    [
      'gives it up while it waits',
      (t) => t.acquiring().granted().candidacy.withdraw(t.now, ''),
      ['following', 'acquiring', 'waiting', 'releasing'],
    ],
    ['is suspended', (t) => t.leading().wait(goodMs), ['following', 'acquiring', 'waiting', 'leading', 'suspended']],
    [
      'is confirmed again',
      (t) => t.leading().wait(goodMs).seen(held('s1')),
      ['following', 'acquiring', 'waiting', 'leading', 'suspended', 'leading'],
    ],
    [
      'is deposed',
      (t) =>
        t
          .leading()
          .wait(1)
          .seen(free({ version: '3', token: 6n })),
      ['following', 'acquiring', 'waiting', 'leading', 'following'],
    ],
    [
      'resigns, and its work ends',
      (t) => {
        t.leading().candidacy.setWorking(true)
        t.candidacy.withdraw(t.now, '')
        t.candidacy.setWorking(false)
        t.candidacy.wish(t.now)
        t.candidacy.released(true, t.now)
      },
      ['following', 'acquiring', 'waiting', 'leading', 'resigning', 'releasing', 'apart'],
    ],
    [
      'resigns while suspended, and its release is not answered',
      (t) => {
        t.leading().wait(goodMs).candidacy.withdraw(t.now, '')
        t.candidacy.wish(t.now)
        t.candidacy.released(false, t.now)
        assert.equal(t.candidacy.wish(t.now)?.kind, 'release', 'tried again')
      },
      ['following', 'acquiring', 'waiting', 'leading', 'suspended', 'resigning', 'releasing'],
    ],
    [
      'loses it while its work ends',
      (t) => {
        t.leading().candidacy.setWorking(true)
        t.candidacy.withdraw(t.now, '')
        t.wait(1).seen(held('s2', 6n))
      },
      ['following', 'acquiring', 'waiting', 'leading', 'resigning', 'apart'],
    ],
    ['adopts what it finds in its hands', (t) => t.stand().seen(held('s1')), ['following', 'waiting']],
    ['gives back what it finds in its hands, apart', (t) => t.seen(held('s1')), ['releasing']],
    ['adopts what it read before it stood', (t) => t.seen(free()).stand().wait(0), ['following']],
  ]
  for (const [what, act, passed] of arrows) {
    it(what, () => {
      const table = new Table()
      act(table)
      assert.deepEqual(table.passed, passed)
    })
  }

  it('does not ask: apart, without a session, while it works, while somebody holds the name, twice', () => {
    const wishes = (prepare: (table: Table) => unknown): unknown => {
      const table = new Table()
      prepare(table)
      return table.candidacy.wish(table.now)?.kind
    }
    assert.equal(
      wishes((t) => t.seen(free())),
      undefined,
    )
    assert.equal(
      wishes((t) => (t.stand().seen(free()).self.session = undefined)),
      undefined,
    )
    assert.equal(
      wishes((t) => t.stand().seen(free()).candidacy.setWorking(true)),
      undefined,
    )
    assert.equal(
      wishes((t) => t.stand().seen(held('s2'))),
      undefined,
    )
    assert.equal(
      wishes((t) => t.stand()),
      undefined,
    )
    assert.equal(
      wishes((t) => t.acquiring()),
      undefined,
    )
    assert.equal(
      wishes((t) => t.stand().seen(free())),
      'acquire',
    )
  })

  it('counts the wait from when the name was first seen free under its version', () => {
    const table = new Table({ holdBackMs: 300 }).stand().seen(free()).wait(200).seen(free())
    assert.equal(table.candidacy.nextInMs(table.now), 100)
    table.wait(100).candidacy.wish(table.now)
    table.granted()
    assert.equal(table.candidacy.nextInMs(table.now), 700)
    const other = new Table({ holdBackMs: 300 })
      .stand()
      .seen(free())
      .wait(200)
      .seen(free({ version: '9' }))
    assert.equal(other.candidacy.nextInMs(other.now), 300)
  })

  it('has a name that nobody had before made at once, and leaves it to others once', () => {
    const table = new Table({ holdBackMs: 300 }).stand().seen(undefined)
    assert.deepEqual(table.candidacy.wish(table.now), { kind: 'acquire', seen: undefined })
    table.candidacy.refused('changed', table.now)
    table.seen(free({ version: '1', token: 0n }))
    assert.equal(table.candidacy.nextInMs(table.now), 300)
  })

  it('waits for the longer lease, of its predecessor', () => {
    const table = new Table().acquiring(free({ leaseMs: 3000 })).granted()
    assert.equal(Math.max(table.candidacy.nextInMs(table.now)!, 0), goodMs, 'its own lease, first')
    for (let i = 0; i < 29; i++) table.wait(100).seen(held('s1'))
    assert.equal(table.state, 'waiting')
    assert.equal(table.wait(100).state, 'leading')
  })

  it('leaves a name to the member it was handed to, and takes what was handed to itself at once', () => {
    const others = new Table({ holdBackMs: 50 }).stand().seen(free({ successor: 'b' }))
    assert.equal(others.candidacy.nextInMs(others.now), 2050)
    const own = new Table({ holdBackMs: 50 }).stand().seen(free({ successor: 'a' }))
    assert.equal(own.candidacy.nextInMs(own.now), 0)
  })

  it('stays back once it was asked to give the name up, counted from its release', () => {
    const table = new Table().leading()
    table.candidacy.setWorking(true)
    table.candidacy.yield(table.now, '')
    for (let i = 0; i < 30; i++) table.wait(100).seen(held('s1'))
    table.candidacy.setWorking(false)
    table.candidacy.wish(table.now)
    table.candidacy.released(true, table.now)
    table.seen(free({ version: '3', token: 5n, settled: true }))
    assert.equal(table.candidacy.nextInMs(table.now), 2000)
  })

  it('asks again soon where the store delays it, and only after another read where the name has changed', () => {
    const delayed = new Table().acquiring()
    delayed.candidacy.refused('delayed', delayed.now)
    assert.equal(delayed.candidacy.nextInMs(delayed.now), 100)
    const changed = new Table().acquiring()
    changed.candidacy.refused('changed', changed.now)
    assert.equal(changed.candidacy.nextInMs(changed.now), undefined)
  })

  const settled: [string, (table: Table) => void, unknown][] = [
    ['after its own wait', (t) => t.leading(), { settled: true, leaseMs }],
    ['not before it', (t) => t.acquiring().granted(), { settled: false, leaseMs }],
    [
      'not with work that overran',
      (t) => {
        t.leading().candidacy.setWorking(true)
        t.candidacy.withdraw(t.now, '')
        t.candidacy.overrun()
      },
      { settled: false, leaseMs },
    ],
  ]
  for (const [when, prepare, how] of settled) {
    it(`says that all is quiet: ${when}`, () => {
      const table = new Table()
      prepare(table)
      table.candidacy.withdraw(table.now, '')
      assert.deepEqual(table.release(), how)
    })
  }

  it('never says that all is quiet where it did not wait, being fenced', () => {
    const table = new Table({ fenced: true }).acquiring().granted().wait(0)
    assert.ok(table.leads)
    table.candidacy.withdraw(table.now, '', 'b')
    assert.deepEqual(table.release(), { settled: false, leaseMs, successor: 'b' })
  })

  const regressed: [string, Table, bigint, boolean][] = [
    ['lower than one seen', new Table().stand().seen(held('s2', 9n)), 8n, true],
    ["another's, again", new Table().stand().seen(held('s2', 9n)), 9n, true],
    [
      'that of a free name, again',
      new Table()
        .stand()
        .seen(held('s2', 4n))
        .seen(free({ token: 9n })),
      9n,
      true,
    ],
    ['higher', new Table().stand().seen(held('s2', 9n)), 10n, false],
    ['lower than told', new Table({}, 9n).stand(), 8n, true],
    ['as high as told', new Table({}, 9n).stand(), 9n, false],
  ]
  for (const [what, table, token, refused] of regressed) {
    it(`${refused ? 'refuses' : 'accepts'} a token: ${what}`, () => {
      const { candidacy } = table
        .wait(1)
        .seen(free({ version: '7' }))
        .wait(3000)
      assert.equal(candidacy.wish(table.now)?.kind, 'acquire')
      assert.equal(candidacy.acquired(token, table.now, table.now), !refused)
      assert.equal(table.state, refused ? 'releasing' : 'leading')
    })
  }

  it('passes over answers that were overtaken', () => {
    const table = new Table().leading().wait(100).seen(held('s1'), 10)
    table.seen(free({ version: '9' }), 50)
    assert.equal(table.state, 'leading')
    const adopting = new Table().acquiring().wait(50).granted().wait(10)
    adopting.seen(free(), 30)
    assert.equal(adopting.state, 'waiting', 'read before the grant was answered')
  })

  it('counts a confirm from when it was sent', () => {
    const table = new Table().leading().wait(500).seen(held('s1'), 400)
    assert.equal(table.candidacy.leadsForMs(table.now), goodMs - 400)
    const late = new Table().leading().wait(goodMs).seen(held('s1'), goodMs)
    assert.equal(late.state, 'suspended', 'too old to help')
  })

  it('ends with the first clock that says so', () => {
    const forward = new Table().leading()
    forward.wallShiftMs = goodMs
    assert.deepEqual([forward.leads, forward.candidacy.leadsForMs(forward.now)], [false, 0])
    const suspendedMachine = new Table().leading()
    suspendedMachine.wallShiftMs = 60_000
    assert.equal(suspendedMachine.wait(0).state, 'suspended', 'the monotonic clock stood still')
    const back = new Table().leading()
    back.wallShiftMs = -60_000
    assert.equal(back.wait(goodMs - 1).leads, true)
    assert.equal(back.wait(1).leads, false)
  })

  it('does not take what it released for what it holds', () => {
    const table = new Table({ fenced: true }).leading().wait(1).seen(held('s1')).wait(2)
    table.candidacy.withdraw(table.now, '')
    table.candidacy.wish(table.now)
    table.candidacy.released(true, table.now)
    assert.equal(table.stand().state, 'following')
    assert.equal(table.seen(held('s1'), 1).state, 'following', 'sent before the release was answered')
  })

  it('has lost what a read shows under its session and another token, and waits when it takes it for its own', () => {
    const table = new Table().leading().wait(10)
    table.seen(held('s1', 6n))
    assert.equal(table.state, 'following')
    table.wait(10).seen(held('s1', 6n))
    assert.deepEqual([table.state, table.candidacy.token], ['waiting', 6n])
    assert.equal(table.wait(500).seen(held('s1', 6n)).wait(499).leads, false)
    assert.equal(table.wait(1).leads, true)
  })

  it('waits for the lease that is written beside what it takes for its own', () => {
    const table = new Table().stand().seen(held('s1', 6n, { leaseMs: 3000 }))
    for (let ms = 0; ms < 3000; ms += 500) {
      assert.equal(table.leads, false, `after ${ms} ms`)
      table.wait(500).seen(held('s1', 6n, { leaseMs: 3000 }))
    }
    assert.equal(table.leads, true)
  })

  it('asks for nothing by what it read under an earlier session', () => {
    const table = new Table({ holdBackMs: 50 }).stand().seen(free())
    table.candidacy.sessionLost()
    table.self.session = 's2'
    assert.equal(table.wait(100).candidacy.wish(table.now), undefined)
    assert.equal(table.seen(free()).wait(50).candidacy.wish(table.now)?.kind, 'acquire')
  })

  it('begins no term below its own last one, though nothing is left of that at the store', () => {
    const table = new Table().leading().wait(10).seen(undefined)
    assert.equal(table.candidacy.wish(table.now)?.kind, 'acquire')
    assert.equal(table.candidacy.acquired(4n, table.now, table.now), false)
    assert.equal(table.state, 'releasing')
  })

  for (const [what, gone] of [
    ['was removed', undefined],
    ['was removed and made anew', free({ version: '9', token: 0n, leaseMs: 0 })],
  ] as const) {
    it(`waits for the longer lease that it knows of, where the key ${what}`, () => {
      const table = new Table()
        .stand()
        .seen(held('s2', 5n, { leaseMs: 3000 }))
        .wait(10)
        .seen(gone)
      assert.equal(table.candidacy.wish(table.now)?.kind, 'acquire')
      table.granted(6n)
      for (let ms = 0; ms < 3000; ms += 500) {
        assert.equal(table.leads, false, `after ${ms} ms`)
        table.wait(500).seen(held('s1', 6n))
      }
      assert.equal(table.leads, true)
    })
  }

  it('writes down the longer lease of a predecessor whom it did not wait for, and that of one who has stopped no more', () => {
    const waiting = new Table()
      .acquiring(free({ leaseMs: 3000 }))
      .granted()
      .wait(500)
    waiting.candidacy.withdraw(waiting.now, '')
    assert.deepEqual(waiting.release(), { settled: false, leaseMs: 3000 })
    const leading = new Table().acquiring(free({ leaseMs: 3000, settled: true })).granted()
    leading.candidacy.setWorking(true)
    leading.candidacy.withdraw(leading.now, '')
    leading.candidacy.overrun()
    assert.deepEqual(leading.release(), { settled: false, leaseMs })
  })

  it('begins no term that it is about to give up', () => {
    const table = new Table().acquiring().granted().wait(900).seen(held('s1'))
    table.ms += 100
    table.candidacy.withdraw(table.now, '')
    assert.deepEqual([table.state, table.passed.includes('leading')], ['releasing', false])
  })

  it('leaves a name that it hands over to others, also where it loses it before that is done', () => {
    const table = new Table().leading()
    table.candidacy.yield(table.now, '', 'b')
    table.candidacy.sessionLost()
    table.seen(free({ version: '9' }))
    assert.equal(table.wait(1999).candidacy.wish(table.now), undefined)
    assert.equal(table.wait(1).candidacy.wish(table.now)?.kind, 'acquire')
  })

  it('stands at once again after it withdrew, though it was asked to hand over before', () => {
    const table = new Table().leading()
    table.candidacy.yield(table.now, '', 'b')
    table.wait(2000).candidacy.withdraw(table.now, '')
    table.candidacy.wish(table.now)
    table.candidacy.released(true, table.now)
    table.stand().seen(free({ version: '9' }))
    assert.equal(table.candidacy.wish(table.now)?.kind, 'acquire')
  })

  it('calls a transition that is none a mistake', () => {
    const table = new Table().leading()
    assert.doesNotThrow(() => table.candidacy.overrun())
    assert.doesNotThrow(() => table.candidacy.released(true, table.now))
    assert.equal(table.state, 'leading')
  })
})
