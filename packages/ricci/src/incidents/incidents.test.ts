import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'
import type { Event } from '@ricci/client'
import type { OutcomeResult } from '@ricci/engine'
import { incident, type RulesDescription, rules } from '@ricci/engine/vocabulary'
import { EngineBench } from '@ricci/testkit'
import { EnginePartitions, type PartitionEngine } from '../peers/engine-partitions.ts'
import { TestCluster, type FakeEngine } from '../peers/testing.ts'
import { commandsText, listedText } from '../server/incidents-text.ts'
import { nodeClock } from '../server/node-clock.ts'
import type { ListingRequest } from '../server/worker-protocol.ts'
import { Drills } from './drills.ts'
import { IncidentCommands, type CommandLog, type CommandRequest } from './incident-commands.ts'
import { shortId } from './incident-filter.ts'

const t0 = 1_700_000_000_000

/** Partition 0 of a log, and its engine. */
class DeskBench implements CommandLog, Pick<PartitionEngine, 'evaluated' | 'listed' | 'commands'> {
  readonly bench: EngineBench
  /** Records that were appended and are applied when an engine is asked; false: not even then. */
  applies = true
  private waiting: Uint8Array[] = []

  constructor(description: RulesDescription = rules(incident('bad', { to: 'oncall', key: 'host' })), settings = {}) {
    this.bench = new EngineBench(description, settings)
  }

  state(state: string, ...hosts: string[]): void {
    this.bench.events(t0, ...hosts.map((host) => ({ host, service: 's', state, time: t0 / 1_000, ttl: 600 })))
  }

  async append(_partition: number, records: readonly Uint8Array[]): Promise<readonly number[]> {
    this.waiting.push(...records)
    return []
  }

  async evaluated() {
    const { engine } = this.bench
    if (this.applies) for (const bytes of this.waiting.splice(0)) this.bench.appendBytes(bytes)
    return { offset: engine.appliedOffset, calendarMs: engine.calendarMs }
  }

  async listed(request: ListingRequest): Promise<string> {
    return listedText(this.bench.engine, request)
  }

  async commands(ids: readonly string[]): Promise<string> {
    await this.evaluated()
    return commandsText(this.bench.engine, ids)
  }
}

const asker = { who: 'ann', from: '10.0.0.1' }

function alone(desk = new DeskBench()) {
  const local = new EnginePartitions({ instance: 'a', clock: nodeClock, engineOf: () => desk as unknown as FakeEngine })
  const client = { at: () => assert.fail('nobody else is asked') }
  const among = { instance: 'a', partitions: 1, local, members: () => [], client, clock: nodeClock }
  const commands = new IncidentCommands(among, desk)
  const run = (request: Partial<CommandRequest>) =>
    commands.run({ command: 'acknowledge', id: 'c1', incidents: [], why: 'so', ...request }, asker)
  return { desk, commands, run }
}

const open = (desk: DeskBench) => desk.bench.engine.incidents().open

describe('commands to incidents', () => {
  it('reach the incident by any name that people have of it', async () => {
    const { desk, run } = alone()
    desk.state('bad', 'web', 'db')
    const [, db] = open(desk)
    const page = desk.bench.decided[1]
    const names = [db.id, shortId(db.id), db.id.split('.').slice(1).join('.'), db.dedupKey, page.id, shortId(page.id)]
    for (const [i, name] of names.entries()) {
      const { results } = await run({ id: `c${i}`, incidents: [name] })
      assert.deepEqual([results[0].did, results[0].incident?.host], ['acknowledged', 'db'], name)
    }
    assert.deepEqual([open(desk)[0].acknowledged, open(desk)[1].acknowledged?.who], [undefined, 'ann'])
    const many = await run({ id: 'both', command: 'resolve', incidents: open(desk).map(({ id }) => id) })
    assert.deepEqual(
      many.results.map(({ did }) => did),
      ['resolved', 'resolved'],
    )
    assert.match(desk.bench.engine.incidents().closed[0].closed!.reason, /^resolved by ann: so$/)
  })

  it('say what is wrong with a name, and what to do', async () => {
    const { desk, run } = alone()
    desk.state('bad', 'web', 'db')
    const prefix = shortId(open(desk)[0].id).split('.').slice(0, 2).join('.')
    await assert.rejects(run({ incidents: [prefix] }), {
      code: 'INCIDENT_AMBIGUOUS',
      message: /2 open incidents go by 0\.2: 0\.2\.0 \(bad: web s bad\), 0\.2\.2 .*name one/,
    })
    await assert.rejects(run({ incidents: ['nonsense'] }), { code: 'NO_INCIDENT', message: /ricci incidents lists/ })
    const [web] = open(desk)
    desk.state('ok', 'web')
    const over = `is over since ${new Date(t0).toISOString()}: not bad any more`
    await assert.rejects(run({ incidents: [web.id] }), { code: 'INCIDENT_CLOSED', message: new RegExp(over) })
    await assert.rejects(run({ incidents: [open(desk)[0].id], untilMs: 1 }), { code: 'COMMAND_REFUSED' })
    await assert.rejects(run({ id: 'c2', command: 'redrive', incidents: [open(desk)[0].id] }), {
      message: /no page was refused or given up/,
    })
    const { results } = await run({ id: 'c3', incidents: [web.id, open(desk)[0].id, 'x'] })
    assert.deepEqual(
      results.map(({ did, error }) => [did, error === undefined]),
      [
        ['closed', false],
        ['acknowledged', true],
        ['no-incident', false],
      ],
      'of several the good ones are done',
    )
  })

  it('that are asked for twice act once, and are answered alike; so is a resolve whose answer was lost', async () => {
    const { desk, run } = alone()
    desk.state('bad', 'web')
    const [web] = open(desk)
    const resolve = { command: 'resolve', incidents: [web.id] } as const
    const first = await run(resolve)
    desk.state('bad', 'web')
    assert.deepEqual(await run(resolve), first)
    assert.equal(open(desk).length, 1, 'the one that opened since')
    await assert.rejects(run({ ...resolve, id: 'c2' }), { code: 'INCIDENT_CLOSED' })
  })

  it('that an engine has not applied yet are pending', async () => {
    const { desk, run } = alone()
    desk.state('bad', 'web')
    desk.applies = false
    const [web] = open(desk)
    const request = { incidents: [web.id] }
    assert.deepEqual((await run(request)).results[0].did, 'pending')
    desk.applies = true
    assert.deepEqual((await run(request)).results[0].did, 'acknowledged')
  })

  it('are done where somebody answers, whatever is away', async () => {
    const desk = new DeskBench()
    desk.state('bad', 'web', 'db')
    const engineOf = (partition: number) => (partition === 0 ? (desk as unknown as FakeEngine) : undefined)
    const local = new EnginePartitions({ instance: 'a', clock: nodeClock, engineOf })
    const client = { at: () => assert.fail('nobody else is there') }
    const here = { instance: 'a', local, members: () => [], client, clock: nodeClock, takeoverMs: 1 }
    const commands = new IncidentCommands({ ...here, partitions: 2 }, desk)
    const run = (...incidents: string[]) =>
      commands.run({ command: 'acknowledge', id: incidents.join(), incidents, why: '' }, asker)
    const [web, db] = open(desk)
    const { results } = await run(shortId(web.id), '1.7.0', 'a key of people’s own', '0.999.0')
    // what is not known here may be there
    assert.deepEqual(
      results.map(({ did }) => did),
      ['acknowledged', 'away', 'away', 'away'],
    )
    assert.match(
      results[1].error!,
      /^nobody answers for partition 1 right now, and nothing was done about 1\.7\.0; ask/,
    )
    assert.equal(open(desk)[0].acknowledged?.who, 'ann')
    await assert.rejects(run('1.7.0', '1.8.0'), { code: 'ENGINE_AWAY' })
    assert.equal((await run(shortId(db.id))).results[0].did, 'acknowledged')
  })

  it('are taken by an instance that runs no partition, and answered by who does', async (context: TestContext) => {
    const cluster = new TestCluster(1)
    context.after(() => cluster.close())
    const desk = new DeskBench()
    desk.state('bad', 'web')
    const a = await cluster.add('a', {})
    await cluster.add('b', { 0: desk as unknown as FakeEngine })
    const local = new EnginePartitions({ instance: 'a', clock: nodeClock, engineOf: () => undefined })
    const among = { instance: 'a', partitions: 1, local, members: cluster.members, client: a.client, clock: nodeClock }
    const commands = new IncidentCommands(among, desk)
    const { results } = await commands.run(
      { command: 'snooze', id: 'c', incidents: [open(desk)[0].id], why: 'so', forMs: 1_000 },
      asker,
    )
    assert.equal(results[0].did, 'snoozed')
    assert.equal(open(desk)[0].snoozed?.untilMs, t0 + 1_000)
  })
})

/** A partition whose owner sends what is decided, one step each time that it is looked at. */
function owned(result: OutcomeResult) {
  const desk = new DeskBench()
  const { bench } = desk
  const step = (): void => {
    const [page] = bench.engine.pendingPages()
    if (page === undefined) return
    const about = { epoch: 1, n: 1, receiver: page.receiver, pages: [page.id] }
    if (page.attempts.length === 0) bench.append({ kind: 'attempt', ...about })
    else bench.append({ kind: 'outcome', ...about, result, detail: 'HTTP 202' })
  }
  const commands = desk.commands.bind(desk)
  desk.commands = async (ids) => {
    const text = await commands(ids)
    step()
    return text
  }
  const local = new EnginePartitions({ instance: 'a', clock: nodeClock, engineOf: () => desk as unknown as FakeEngine })
  const client = { at: () => assert.fail() }
  const among = { instance: 'a', partitions: 1, local, members: () => [], client, clock: nodeClock }
  const events: Event[] = []
  const alarms: string[] = []
  const drills = new Drills({
    ...{ instance: 'a', partitions: 1, log: desk, clock: nodeClock, receivers: new Map([['oncall', 1]]) },
    commands: new IncidentCommands(among, desk),
    scheduled: { to: 'oncall', everyMs: 86_400_000 },
    owns: () => true,
    take: async (some) => void events.push(...some),
    alarm: (name) => void alarms.push(name),
  })
  return { desk, drills, events, alarms }
}

describe('drills', () => {
  it('go the whole way of a page, and say when each part was reached', async () => {
    const { desk, drills, events, alarms } = owned('delivered')
    const [report, same] = await Promise.all([
      drills.run(undefined, 'd1', 'so', asker),
      drills.run('oncall', 'd2', 'so', asker),
    ])
    assert.equal(same, report, 'who asks meanwhile hears the same')
    assert.deepEqual(
      report.hops.map(({ hop }) => hop),
      ['recorded', 'decided', 'attempt recorded', 'answered'],
    )
    assert.deepEqual([report.result, report.detail, desk.bench.decided.length], ['delivered', 'HTTP 202', 1])
    assert.match(desk.bench.decided[0].summary, /^Drill: so\. Nothing is wrong\./)
    const [{ service, state, ttl }] = events
    assert.deepEqual([service, state, ttl, alarms.length], ['ricci drill oncall', 'ok', 86_400 * 1.5, 0])
    assert.equal((await drills.run('oncall', 'd1', 'so', asker)).result, 'delivered')
    assert.equal(desk.bench.decided.length, 1, 'by the same id nobody is paged again')
  })

  it('that are refused are an alarm and an event that says so', async () => {
    const { drills, events, alarms } = owned('refused')
    assert.equal((await drills.run('oncall', 'd1', 'so', asker)).result, 'refused')
    assert.deepEqual([events[0].state, alarms], ['critical', ['drill-failed']])
    assert.match(events[0].description!, /^a drill to oncall was refused after \d+ ms \(HTTP 202\)$/)
    assert.throws(() => drills.run('nobody', 'd2', 'so', asker), { code: 'NO_RECEIVER', message: /there are: oncall/ })
  })
})
