import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { incident, rules } from '@ricci/engine/vocabulary'
import { EngineBench } from '@ricci/testkit'
import { listedText } from '../server/incidents-text.ts'
import { ListTables } from './incident-tables.ts'

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
