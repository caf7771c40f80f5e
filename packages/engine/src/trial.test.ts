// What people do to rules by day: which state and which pages outlive it, and that it is told beforehand as it then comes.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EngineBench } from '@ricci/testkit'
import {
  by,
  compareRules,
  incident,
  index,
  named,
  rules,
  stable,
  tap,
  throttle,
  where,
  type RulesDescription,
  type RulesDifference,
  type Stream,
} from './index.ts'

const t0 = 1_700_000_000_000

/** Two seconds bad open the incident of a host; two seconds of anything else resolve it. */
const hot = (limit = 0.9, name = 'hot', seconds = 2): Stream =>
  by(
    'host',
    stable(seconds, (e) => e.metric > 0.5, incident(name, { bad: `metric > ${limit}`, to: 'desk' })),
  )
const news = throttle(1, 60, tap('news'))

interface Told extends Partial<Omit<RulesDifference, 'incidents'>> {
  readonly incidents?: Partial<RulesDifference['incidents']>
}

interface Case {
  readonly what: string
  readonly before: RulesDescription
  readonly after: RulesDescription
  /** What is told of the difference, beside `kept`. */
  readonly told: Told
  /** Whether a wait under way goes on: a second more is enough to page, or to resolve. */
  readonly goesOn: boolean
}

const stableTwo = 'stable[0] > incident[0]'
const cases: readonly Case[] = [
  {
    what: 'nothing',
    before: rules(hot()),
    after: rules(hot()),
    told: {},
    goesOn: true,
  },
  {
    what: 'a sibling is put before',
    before: rules(hot()),
    after: rules(index(), news, hot()),
    told: {
      fresh: ['throttle[1]'],
      moved: [
        { from: 'by[0]', to: 'by[2]' },
        { from: 'by[0] > stable[0]', to: 'by[2] > stable[0]' },
      ],
    },
    goesOn: true,
  },
  {
    what: 'siblings change places',
    before: rules(hot(), news),
    after: rules(news, hot()),
    told: {
      moved: [
        { from: 'throttle[1]', to: 'throttle[0]' },
        { from: 'by[0]', to: 'by[1]' },
        { from: 'by[0] > stable[0]', to: 'by[1] > stable[0]' },
      ],
    },
    goesOn: true,
  },
  {
    what: 'a limit changes',
    before: rules(hot(0.9)),
    after: rules(hot(0.8)),
    told: { changed: [{ path: `by[0] > ${stableTwo}`, option: 'bad', from: '"metric > 0.9"', to: '"metric > 0.8"' }] },
    goesOn: true,
  },
  {
    what: 'a wait gets longer, and begins anew',
    before: rules(hot(0.9, 'hot', 2)),
    after: rules(hot(0.9, 'hot', 3)),
    told: { changed: [{ path: 'by[0] > stable[0]', option: '', from: '2', to: '3' }] },
    goesOn: false,
  },
  {
    what: 'it is wrapped: the wait begins anew, the incident stays',
    before: rules(hot()),
    after: rules(where('true', hot())),
    told: {
      fresh: ['where[0] > by[0]', 'where[0] > by[0] > stable[0]'],
      dropped: ['by[0]', 'by[0] > stable[0]'],
    },
    goesOn: false,
  },
  {
    what: 'it gets a label',
    before: rules(hot()),
    after: rules(index(), named('heat', hot())),
    told: {
      moved: [
        { from: 'by[0]', to: 'heat[1]' },
        { from: 'by[0] > stable[0]', to: 'heat[1] > stable[0]' },
      ],
    },
    goesOn: true,
  },
  {
    what: 'the incident is renamed: the old one resolves at the switch, the new one opens if it is bad still',
    before: rules(hot(0.9, 'hot')),
    after: rules(hot(0.9, 'heat')),
    told: {
      changed: [{ path: `by[0] > ${stableTwo}`, option: '', from: '"hot"', to: '"heat"' }],
      incidents: { kept: [], fresh: ['heat'], dropped: ['hot'] },
    },
    goesOn: true,
  },
]

/** An incident of `ill` is open; `well` has been bad for a second when the rules are switched. */
function switched({ before, after }: Case): { pages: () => string[]; bench: EngineBench; second: () => void } {
  const bench = new EngineBench(before)
  let second = 0
  const pass = (): void => {
    second++
    bench.tick(1_000, t0 + second * 1_000)
  }
  const send = (host: string, metric: number): void =>
    bench.events(t0 + second * 1_000, { host, service: 's', metric, time: (t0 + second * 1_000) / 1_000 })
  bench.tick(0, t0)
  send('ill', 1)
  pass()
  pass()
  send('well', 1)
  pass()
  assert.deepEqual(
    bench.decided.map(({ action, host }) => `${action} ${host}`),
    ['trigger ill'],
  )
  // what the receiver was told is no longer pending
  for (const { id, receiver } of bench.engine.pendingPages()) {
    const about = { epoch: 1, n: 1, receiver, pages: [id] }
    bench.append({ kind: 'attempt', ...about })
    bench.append({ kind: 'outcome', ...about, result: 'delivered' })
  }
  const told = bench.decided.length
  bench.rules(after)
  bench.cut()
  return {
    bench,
    second: pass,
    pages: () => bench.decided.slice(told).map(({ action, rule, host }) => `${action} ${rule} ${host}`),
  }
}

describe('rules are switched', () => {
  for (const each of cases) {
    describe(each.what, () => {
      it('is told beforehand', () => {
        const { kept, ...difference } = compareRules(each.before, each.after)
        const { incidents, ...told } = each.told
        const same = { fresh: [], dropped: [], moved: [], changed: [] }
        assert.deepEqual(difference, {
          ...same,
          ...told,
          incidents: { kept: ['hot'], fresh: [], dropped: [], ...incidents },
        })
        assert.equal(kept.length > 0, each.told.dropped === undefined)
      })

      it('a wait under way goes on, or begins anew', () => {
        const { pages, second } = switched(each)
        second()
        assert.equal(
          pages().some((page) => /^trigger \w+ well$/.test(page)),
          each.goesOn,
        )
      })

      it('what is open stays so, is not told again, and resolves once', () => {
        const { pages, bench, second } = switched(each)
        for (let i = 3; i < 9; i++) {
          bench.events(t0 + i * 1_000, { host: 'ill', service: 's', metric: 0.1, time: t0 / 1_000 + i })
          second()
        }
        assert.deepEqual(
          pages().filter((page) => page.endsWith('ill')),
          ['resolve hot ill'],
        )
      })
    })
  }
})
