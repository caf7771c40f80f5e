import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { encodeMsg } from '@ricci/client'
import { createEngine, incident, index, rules, type Engine, type RulesRecord } from '@ricci/engine'
import {
  ScriptedCoordination,
  ScriptedLog,
  ScriptedSnapshots,
  ScriptedTransport,
  SeededRandom,
  VirtualClock,
} from '@ricci/testkit'
import { InThreadHost } from './in-thread-host.ts'
import type { ReceiverClass } from './ports.ts'
import { Replica } from './replica.ts'

const description = rules(index(), incident('down', { bad: 'state = "down"', key: 'host', to: 'oncall' }))
const rulesRecord: RulesRecord = {
  kind: 'rules',
  hash: 'rules',
  settings: { graceMs: 0, fallbackReceiver: 'fallback' },
  semantics: 1,
  bundle: new Uint8Array(0),
}

/** One log, one store, and as many replicas as a test wants. */
class House {
  readonly clock = new VirtualClock()
  readonly log = new ScriptedLog()
  readonly coordination = new ScriptedCoordination()
  readonly snapshots = new ScriptedSnapshots()
  readonly oncall = new ScriptedTransport()
  readonly fallback = new ScriptedTransport()
  readonly self = new ScriptedTransport()
  readonly alarms: string[] = []
  readonly replicas: Replica[] = []
  readonly engines = new Map<string, Engine>()

  replica(instance: string, receiverClass: ReceiverClass = 'A', blindPolicy: 'repeat' | 'miss' = 'repeat'): Replica {
    const { clock, log } = this
    const replica = new Replica({
      instance,
      partition: 0,
      log,
      coordination: this.coordination,
      snapshots: this.snapshots,
      hostFactory: (events) =>
        new InThreadHost(events, {
          log,
          partition: 0,
          clock,
          createEngine: (from) => {
            const engine = createEngine({ logId: log.id, partition: 0, loadRules: () => description, ...from })
            this.engines.set(instance, engine)
            return engine
          },
        }),
      transports: new Map([
        ['oncall', { transport: this.oncall, class: receiverClass, blindPolicy }],
        ['fallback', { transport: this.fallback, class: 'A' }],
        ['self', { transport: this.self, class: 'A' }],
      ]),
      clock,
      random: new SeededRandom(instance),
      rules: rulesRecord,
      onAlarm: (name, detail) => this.alarms.push(`${instance} ${name}: ${detail}`),
    })
    this.replicas.push(replica)
    return replica
  }

  event(host: string, state: string): void {
    const events = [{ host, service: 's', state, time: this.clock.wallMs() / 1_000 }]
    this.log.add({ kind: 'events', receivedAtMs: this.clock.wallMs(), msg: encodeMsg({ events }) })
  }

  /** Starts a replica and waits until it is in a state. */
  async started(replica: Replica, state = replica.state): Promise<Replica> {
    void replica.start()
    if (!(await this.clock.advanceUntil(() => replica.state === state, 10_000))) {
      assert.fail(`it is ${replica.state} (${replica.stats().why}), not ${state}\n${this.alarms.join('\n')}`)
    }
    return replica
  }

  async until(what: string, condition: () => boolean, limitMs = 20_000): Promise<void> {
    if (!(await this.clock.advanceUntil(condition, limitMs))) {
      assert.fail(
        `it never happened: ${what}\n${this.alarms.join('\n')}\n${JSON.stringify(this.replicas.map((r) => r.stats()))}`,
      )
    }
  }

  async close(): Promise<void> {
    const stops = Promise.all(this.replicas.map((replica) => replica.stop()))
    let stopped = false
    void stops.then(() => (stopped = true))
    await this.clock.advanceUntil(() => stopped, 60_000)
    assert.ok(stopped, 'every replica stops')
    await this.clock.advance(5_000)
    assert.equal(this.clock.pendingTimers, 0, 'no timer is left behind')
  }
}

describe('a replica alone', () => {
  it('claims, brings its rules, ticks, sends a page and its resolve, and stops without a trace', async () => {
    const house = new House()
    const replica = await house.started(house.replica('a'), 'owning')
    assert.equal(house.log.all('claim').length, 1)
    await house.until('the rules are in force', () => replica.stats().rulesHash === 'rules')
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    house.event('h', 'ok')
    await house.until('the resolve', () => house.oncall.sent.length === 2)
    await house.until('nothing waits', () => replica.stats().pendingPages === 0)
    assert.deepEqual(
      house.oncall.sent.map(({ action, host, dedupKey }) => [action, host, dedupKey === house.oncall.sent[0].dedupKey]),
      [
        ['trigger', 'h', true],
        ['resolve', 'h', true],
      ],
    )
    assert.deepEqual(
      house.log.all('outcome').map((outcome) => outcome.result),
      ['delivered', 'delivered'],
    )
    await house.close()
    assert.equal(house.log.all('rules').length, 1)
    assert.equal(house.snapshots.kept.size, 1, 'a clean stop leaves a snapshot')
    const lastOffset = house.log.records.length - 2
    assert.deepEqual(
      [...house.snapshots.kept.values()].map((s) => s.info.offset),
      [lastOffset],
    )
  })

  it('goes on where it was after a restart, and never brings its rules again', async () => {
    const house = new House()
    await house.started(house.replica('a'), 'owning')
    house.event('h', 'down')
    await house.until('a page', () => house.oncall.sent.length === 1)
    await house.replicas[0].stop().catch(() => undefined)
    const again = await house.started(house.replica('a'), 'owning')
    house.event('h', 'ok')
    await house.until('the resolve', () => house.oncall.sent.length === 2)
    assert.equal(house.log.all('rules').length, 1)
    assert.equal(again.stats().epoch, 2)
    await house.close()
  })
})
