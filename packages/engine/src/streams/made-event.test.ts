import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EventCursor, SymbolTable } from '@ricci/client'
import { CursorView } from '../event/view.ts'
import { takeEvent } from './made-event.ts'

describe('what a function gives for an event', () => {
  const mistakes: [given: unknown, message: RegExp][] = [
    [5, /gave 5 where an event, or null for none, is wanted/],
    [[], /gave a list where/],
    [Promise.resolve(), /a promise .* take async and await out/],
    [{ host: 5 }, /whose host is 5: a text is wanted/],
    [{ metric: '5' }, /whose metric is "5": a number or a bigint is wanted/],
    [{ time: new Date(0) }, /whose time is an object: a number is wanted/],
    [{ ttl: '5' }, /whose ttl is "5"/],
    [{ tags: 'a' }, /whose tags is "a": a list of texts is wanted/],
    [{ tags: [5] }, /whose tags is a list: a list of texts/],
    [{ attributes: { rack: 7 } }, /whose attributes is an object: an object of texts is wanted/],
    [{ cluster: 'x' }, /a field cluster: .* belongs into attributes/],
    [{ ...new CursorView(new EventCursor(), new SymbolTable()), state: 'ok' }, /write \{ \.\.\.e\.copy\(\), … \}/],
  ]
  for (const [given, message] of mistakes) {
    it(`is refused: ${message.source}`, () => {
      assert.throws(() => takeEvent(given, new SymbolTable(), new EventCursor()), { message })
    })
  }

  it('is taken with nulls for what is absent', () => {
    const cursor = new EventCursor()
    const table = new SymbolTable()
    takeEvent({ host: 'a', service: null, metric: 2n ** 60n, tags: ['x'], attributes: {} }, table, cursor)
    assert.equal(table.text(cursor.host), 'a')
    assert.equal(cursor.service, 0)
    assert.equal(cursor.metricBig, 2n ** 60n)
  })
})
