import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EngineBench } from '@ricci/testkit'
import { incident, type Listed, rules } from '../index.ts'

const t0 = 1_700_000_000_000

function started() {
  const bench = new EngineBench(rules(incident('bad', { to: ['oncall', 'chat'] })))
  const event = (state: string, ...hosts: string[]) =>
    bench.events(t0, ...hosts.map((host) => ({ host, service: 's', state, time: t0 / 1_000, ttl: 600 })))
  event('bad', 'a', 'b', 'c', 'd')
  event('ok', 'b', 'c')
  event('bad', 'e', 'b')
  /** What a reader is given that takes so many at a time. */
  const take = (count: number, cursor?: string): Listed[] => {
    const taken: Listed[] = []
    for (const listed of bench.engine.listed(cursor)) if (taken.push(listed) === count) break
    return taken
  }
  return { bench, event, take }
}

const shown = (listed: readonly Listed[]) =>
  listed.map((each) => (each.kind === 'page' ? `page ${each.page.key}` : `${each.kind} ${each.incident.host}`))

describe('incidents and pages', () => {
  const all = ['open a', 'open d', 'open e', 'open b', 'closed b', 'closed c']

  it('are listed in parts of any length, across a restore, each once', () => {
    for (const count of [1, 2, 3, 7, 100]) {
      const { bench, take } = started()
      const whole = shown(take(1_000))
      assert.deepEqual(whole.slice(0, 6), all)
      assert.equal(whole.length, 6 + bench.engine.pendingPages().length)
      const parts: string[] = []
      for (let part = take(count); part.length > 0; part = take(count, part.at(-1)!.cursor)) {
        parts.push(...shown(part))
        bench.cut()
      }
      assert.deepEqual(parts, whole)
    }
  })

  it('that end or begin between two parts are not missed', () => {
    const { event, take } = started()
    const first = take(2)
    event('ok', 'd', 'e')
    event('bad', 'f')
    const rest = shown(take(100, first.at(-1)!.cursor))
    assert.deepEqual(rest.slice(0, 6), ['open b', 'open f', 'closed b', 'closed c', 'closed d', 'closed e'])
    event('ok', 'a', 'b', 'f')
    assert.deepEqual(shown(take(2, 'closed.999.0')), ['closed b', 'closed c'], 'a forgotten one: from the oldest on')
  })

  it('are listed from a kind on', () => {
    const { take } = started()
    assert.deepEqual(shown(take(2, 'closed')), ['closed b', 'closed c'])
    assert.deepEqual(shown(take(100, 'page')), shown(take(100)).slice(6))
    assert.deepEqual(shown(take(100, 'open')), shown(take(100)))
  })

  it('need a cursor of ours', () => {
    const { take } = started()
    for (const cursor of ['', 'shut', 'open.1', 'open.1.2.3', 'shut.1.2', `open.${'1'.repeat(20)}.0`]) {
      assert.throws(() => take(1, cursor), { code: 'CURSOR_INVALID' })
    }
  })
})
