/** What explanations say, over logs that a test writes; the whole way over a server is in cli/explain.test.ts. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  by,
  encodeRecord,
  incident,
  index,
  notify,
  over,
  type RulesDescription,
  rules,
  stable,
  throttle,
  where,
} from '@ricci/engine'
import { partitionOf } from '@ricci/replica'
import { EngineBench, VirtualClock } from '@ricci/testkit'
import { atOf, lengthOf } from '../cli/moments.ts'
import type { QueryAnswer } from '../http/backend.ts'
import { Explainer, type SilenceRequest } from './explainer.ts'
import { History } from './history.ts'
import { namesOf } from '../incidents/incident-filter.ts'
import { offsetAt, stretch } from './reading.ts'
import { silenceText } from './silence-text.ts'
import type { Silence } from './silence.ts'
import type { LogSource } from '../server/worker-protocol.ts'
import { nightMs, ScriptedLog } from './testing.ts'

const high = incident('high', { bad: 'metric > 5', to: 'x' })
const event = { host: 'a', service: 's', metric: 9, ttl: 900 }

const silences: readonly {
  readonly name: string
  readonly rules?: RulesDescription
  readonly settings?: Readonly<Record<string, unknown>>
  readonly night: (log: ScriptedLog) => void
  readonly ask?: Partial<SilenceRequest>
  readonly says: RegExp
}[] = [
  {
    name: 'there is no such rule, and which is like it',
    night: (log) => log.send(event),
    ask: { rule: 'hihg' },
    says: /There is no rule hihg in the rules in force; did you mean "high"\?\nThey declare high\./,
  },
  {
    name: 'nothing of the host came, and when it was last heard of',
    night: (log) => {
      log.send({ ...event, metric: 1 })
      log.pass(700)
    },
    says: /No event of a came: it was last heard of at 03:00:00 \(s\)\./,
  },
  {
    name: 'nothing of the host is known',
    night: () => undefined,
    says: /No event of a came: the index knows nothing of it\.[^]*0 events of a came/,
  },
  {
    name: 'all that came had come before',
    night: (log) => {
      const mark = { producer: 'p', incarnation: 1, sequence: 1, sentAtMs: nightMs }
      log.bench.marked(log.atMs, mark, { ...event, metric: 1 })
      log.pass(700)
      log.bench.marked(log.atMs, mark, event)
    },
    says: /1 message with events of a came a second time and was dropped/,
  },
  {
    name: 'its incident was open already',
    night: (log) => {
      log.send(event)
      log.pass(700)
      log.send(event)
    },
    says: /Its incident is open already since 03:00:00, and an open one pages once: `ricci explain 0\.\d+\.0`\./,
  },
  {
    name: 'it was told, and where the rest is',
    night: (log) => {
      log.send(event)
      log.attempt('i', { result: 'delivered' })
    },
    says: /It did page: a page to x was decided at 03:00:00, and was delivered\. `ricci explain 0\.\d+\.0` tells the rest/,
  },
  {
    name: 'the page was refused, and what the receiver said',
    night: (log) => {
      log.send(event)
      log.attempt('i', { result: 'refused', detail: '404 no such channel' })
    },
    says: /and was refused by the receiver: 404 no such channel\./,
  },
  {
    name: 'the page was overtaken',
    night: (log) => {
      log.send(event)
      log.send({ ...event, metric: 1 })
    },
    says: /was never sent, for all was well again before its turn came \(overtaken\)/,
  },
  {
    name: 'what came was late and something newer says otherwise',
    night: (log) => {
      log.send({ ...event, metric: 1 })
      log.send({ ...event, time: nightMs / 1000 - 100 })
    },
    says: /What came was late, and a newer event[^]*2 events of a came to the rules \(1 late\)/,
  },
  {
    name: 'nothing that came was bad, and what came last',
    night: (log) => log.send({ ...event, metric: 4.5 }),
    says: /Nothing that came was bad as the rule has it\.\n  last   a, s, metric 4\.5, at 03:00:00/,
  },
  {
    name: 'a value that has held for less than it must',
    rules: rules(by('host', stable(30, 'state', high))),
    night: (log) => {
      log.send({ ...event, state: 'bad' })
      log.pass(12)
      log.send({ ...event, state: 'bad' })
    },
    says: /The first gate that said no: stable 30 state\n {2}the value "bad" had held for 12 s \(from 03:00:00 to 03:00:12\) so far; 30 s are needed/,
  },
  {
    name: 'the gate that a bad event came furthest to, not the one that calm ones pass',
    rules: rules(where('service = "s"', over(8, over(20, high))), where('service = "t"', high)),
    night: (log) => {
      log.send({ ...event, metric: 9 })
      log.send({ ...event, metric: 7 })
    },
    says: /The first gate that said no: over 20\n {2}the metric was 9\.[^]*\n {2}where\[0\] > over\[0\]: over 8\n {6}1 time, 1 bad/,
  },
  {
    name: 'a throttle that had passed its pages',
    rules: rules(where('host = "a"', throttle(1, 60, notify('x', { name: 'high' })))),
    night: (log) => {
      log.pass(1_210)
      log.send(event)
      log.pass(20)
      log.send(event)
    },
    ask: { withinMs: 15_000 },
    says: /The first gate that said no: throttle 1 60\n {2}1 had passed in this window already, which ends at 03:21:00/,
  },
  {
    name: 'a branch that throws, with what it threw',
    rules: rules(
      where((e) => {
        if (e.metric === 9) throw new Error('no nine')
        return true
      }, high),
    ),
    night: (log) => log.send(event),
    says: /it threw: the rest of the branch[^]*What the rules threw\n {2}Error: no nine/,
  },
  {
    name: 'a by without room for the host',
    rules: rules(index(), by('host', high)),
    settings: { forksPerBy: 1 },
    night: (log) => {
      log.send({ ...event, host: 'b', metric: 1 })
      log.send(event)
      log.pass(60)
    },
    says: /The first gate that said no: by host\n {2}it has no room for a new key \(setting forksPerBy\)/,
  },
]

describe('why nobody was paged', () => {
  for (const { name, rules: description = rules(index(), high), settings, night, ask, says } of silences) {
    it(`says: ${name}`, async () => {
      const log = new ScriptedLog(new EngineBench(description, settings))
      night(log)
      assert.match(await log.why(ask), says)
    })
  }
})

describe('where the events of a host lie', () => {
  it('is to be looked into where nothing is known of a host but its name', async () => {
    const log = new ScriptedLog(new EngineBench(rules(high)))
    const asked = { host: 'a', rule: 'high', withinMs: 1_000 }
    for await (const step of log.explainer().silence(asked, new AbortController().signal)) {
      const { answer } = step as { answer: Silence }
      assert.doesNotMatch(silenceText(answer), /--key/)
      assert.match(
        silenceText({ ...answer, byName: true }),
        /No event of a came.*\nIf its events name a cluster, .*--key/,
      )
    }
  })

  const clock = new VirtualClock()
  const explaining = (given: Pick<QueryAnswer, 'missing'> & { readonly pages: readonly string[] }) => {
    const explainer = new Explainer({
      log: {
        partitions: 8,
        range: (partition) => Promise.reject(new Error(`partition ${partition} is taken`)),
        read: () => assert.fail(),
      },
      source: { kind: 'embedded' } as LogSource,
      snapshots: { list: async () => [], fetch: () => assert.fail() },
      incidents: () => assert.fail(),
      query: async () => ({
        ...{ fresh: [], cursor: () => undefined, missing: given.missing },
        pages: (async function* () {
          for (const page of given.pages) yield Buffer.from(page)
        })(),
      }),
      clock,
    })
    return explainer.silence({ host: 'a', rule: 'high', withinMs: 1 }, new AbortController().signal).next()
  }

  for (const [what, pages, key] of [
    ['under the cluster that its events name', ['{"host":"a","attributes":{"cluster":"mail"}}'], 'mail'],
    ['under its name, where they name none', ['{"host":"a"}'], 'a'],
    ['under its name, where none is known', [], 'a'],
  ] as const) {
    it(what, async () => {
      assert.notEqual(partitionOf('a', 8), partitionOf('mail', 8))
      const expected = { message: `partition ${partitionOf(key, 8)} is taken` }
      await assert.rejects(explaining({ pages, missing: [] }), expected)
    })
  }

  it('is not guessed while somebody who may know does not answer', async () => {
    const missing = [2, 3, 7].map((partition) => ({ partition, code: 'NO_OWNER' }))
    await assert.rejects(explaining({ pages: [], missing }), {
      code: 'NOT_EVALUATED',
      message: /where the events of "a" lie is not known: nobody answers for the partitions 2, 3, 7;.*--partition/,
    })
  })
})

describe('what was done about an incident', () => {
  it('is told with the acknowledgement it led to, and is whole once it is closed and all is settled', async () => {
    const log = new ScriptedLog(new EngineBench(rules(high), { acknowledging: ['x'] }))
    log.send(event)
    log.attempt('i', { result: 'delivered' })
    const { rule, key } = log.bench.engine.incidents().open[0]
    log.bench.append({
      ...{ kind: 'command', id: 'c', name: 'acknowledge', who: 'mara', from: 'here', why: 'mine' },
      arguments: { rule, key, forMs: 60_000 },
    })
    log.attempt('i', { result: 'delivered', detail: 'noted' })
    log.send({ ...event, metric: 1 })
    log.attempt('i', { result: 'delivered' })
    log.pass(3)
    const said = await log.done('high')
    assert.match(said, /trigger to x: delivered[^]*acknowledge to x: delivered[^]*noted[^]*resolve to x: delivered/)
    assert.match(said, /acknowledge by mara \(here\): mine/)
    const [closed] = log.bench.engine.incidents().closed
    const history = new History(closed, [])
    const taken = log.bench.log.findIndex((bytes, offset) => {
      if (offset >= closed.openedOffset) history.take(offset, bytes)
      return history.done
    })
    assert.equal(taken, log.bench.log.length - 4, 'what came later was not read')
  })

  it('is told as far as the log reaches', async () => {
    const log = new ScriptedLog(new EngineBench(rules(high)))
    log.send(event)
    log.attempt('i')
    const [opened] = log.bench.engine.incidents().open
    const history = new History(opened, log.pending)
    history.take(log.bench.log.length, encodeRecord({ kind: 'hole' }))
    const told = history.told(0, false)
    assert.deepEqual([told.read.whole, told.pages.length, told.pages[0].attempts], [false, 1, []])
  })

  it('goes by id, short id, the key at receivers, and the ids of its pages', () => {
    const log = new ScriptedLog(new EngineBench(rules(high)))
    log.send(event)
    const [one] = log.bench.engine.incidents().open
    const offset = one.openedOffset
    const names = [one.id, `0.${offset}.0`, `0.${offset}`, one.dedupKey, log.pending[0].id, `0.${offset}.1`]
    const known = namesOf(one)
    for (const name of names) assert.ok(known.includes(name), name)
    for (const name of ['0', '', `0.${offset}.7`, `1.${offset}`]) assert.ok(!known.includes(name), name)
  })
})

describe('reading a stretch of log', () => {
  it('finds where a time begins, by few looks', async () => {
    const log = new ScriptedLog(new EngineBench(rules(high)))
    log.pass(1_000)
    const { log: port, signal } = log.reading()
    let looks = 0
    const counted: typeof port = { ...port, read: (...given) => (looks++, port.read(...given)) }
    const range = { first: 0, end: log.bench.log.length }
    const found = await offsetAt(counted, 0, range, nightMs + 500_000, signal)
    const before = await offsetAt(port, 0, range, nightMs - 1, signal)
    assert.equal(found, range.end - 501)
    assert.ok(looks < 20 && before < 5, `${looks} looks, ${before}`)
    assert.equal(await offsetAt(port, 0, range, nightMs * 2, signal), range.end)
    const offsets: number[] = []
    for await (const records of stretch(port, 0, 95, 203, signal)) offsets.push(...records.map(({ offset }) => offset))
    assert.deepEqual([offsets.length, offsets[0], offsets.at(-1)], [108, 95, 202])
  })
})

describe('times as people type them', () => {
  const nowMs = Date.UTC(2026, 10, 30, 9, 0, 0)
  for (const [text, at] of [
    ['03:05', '2026-11-30T03:05:00Z'],
    ['23:05:07', '2026-11-29T23:05:07Z'],
    ['2026-11-28 03:05', '2026-11-28T03:05:00Z'],
    ['2026-11-28T03:05+02:00', '2026-11-28T01:05:00Z'],
    ['2026-11-28', '2026-11-28T00:00:00Z'],
    ['90m ago', '2026-11-30T07:30:00Z'],
  ]) {
    it(text, () => assert.equal(atOf(text, nowMs), Date.parse(at)))
  }

  it('are refused with what to write', () => {
    for (const text of ['', '25:00', 'soon', '2026-13-01', 'x ago'])
      assert.throws(() => atOf(text, nowMs), /write it like/)
    assert.equal(lengthOf('1.5h'), 5_400_000)
    assert.throws(() => lengthOf('10'), /is no length of time; write it like 90s, 30m or 2h/)
  })
})
