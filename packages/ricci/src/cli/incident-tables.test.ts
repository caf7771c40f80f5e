import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { incident, rules } from '@ricci/engine/vocabulary'
import { EngineBench } from '@ricci/testkit'
import { listedText } from '../server/incidents-text.ts'
import type { Answer } from './incident-list.ts'
import { incidentText, ListTables } from './incident-tables.ts'

const t0 = 1_700_000_000_000

describe('a flood of incidents', () => {
  it('pages a hundred and one, and is told on a screen or two', () => {
    const bench = new EngineBench(rules(incident('bad', { to: 'oncall', key: 'host' })))
    for (let from = 0; from < 10_000; from += 5_000) {
      const events = Array.from({ length: 5_000 }, (_, i) => ({
        host: `h${from + i}`,
        state: 'bad',
        time: t0 / 1_000,
      }))
      bench.events(t0, ...events)
    }
    const pages = bench.engine.pendingPages()
    assert.equal(pages.length, 101, 'one digest stands for those beyond the limit a minute')
    assert.ok(pages.every(({ members = [] }) => members.length <= 1_000))
    assert.equal(
      pages.reduce((sum, { memberCount = 1 }) => sum + memberCount, 0),
      10_000,
    )
    const text = listedText(bench.engine, { kind: 'open', limit: 1_000, filter: { brief: true } })
    assert.ok(text.length < 1 << 19, `an answer of ${text.length} characters`)
    const tables = new ListTables({ closed: false, all: false })
    tables.take({ incidents: { open: bench.engine.incidents().open, closed: [] }, pages: pages.slice() })
    const told = tables.text()
    assert.match(told, /^INCIDENT +OPEN +LOOKED AFTER +OLDEST\nbad +10,000 +0 /)
    assert.match(told, /^and 9,960 more; --all prints them/m)
    assert.ok(told.split('\n').length < 100)
  })
})

describe('one incident for many hosts', () => {
  const bench = new EngineBench(rules(incident('disk', { to: 'oncall', key: 'host', group: 'cluster' })))
  const events = ['a', 'b', 'c'].map((host) => ({ host, state: 'bad', attributes: { cluster: 'web' } }))
  bench.events(t0, ...events, { host: 'b', state: 'ok', attributes: { cluster: 'web' } })
  const listed = (filter: object) => {
    const { items } = JSON.parse(listedText(bench.engine, { kind: 'open', limit: 10, filter })) as {
      items: { value: Answer['incidents']['open'][number] }[]
    }
    return items.map(({ value }) => value)
  }

  it('is a line that counts them, found by each of them', () => {
    const tables = new ListTables({ closed: false, all: false })
    tables.take({ incidents: { open: listed({ brief: true, host: 'c' }), closed: [] }, pages: [] })
    assert.match(tables.text(), / 2 bad in web, first disk: a bad\n$/)
    assert.equal(listed({ words: ['B'] }).length, 1)
    assert.equal(listed({ host: 'd' }).length, 0)
  })

  it('shows who is bad, and who was', () => {
    const told = incidentText(listed({})[0], [])
    assert.match(told, /^bad +a, c$/m)
    assert.match(told, /^well again +b$/m)
  })
})
