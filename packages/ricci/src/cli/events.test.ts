import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Event } from '@ricci/client'
import { EventLines } from './event-columns.ts'
import { eventCsv, eventTable } from './events.ts'
import { painter } from './terminal.ts'

const time = 1_795_262_400.25
const disk: Event = { host: 'b', service: 'disk', state: 'ok', metric: 0.123456789, time }
const cpu: Event = {
  ...{ host: 'a', service: 'cpu', state: 'critical', metric: 1234, time, tags: ['x', 'y'] },
  ...{ description: 'a long text about what is wrong here', attributes: { rack: '7', note: 'say "hi", twice\n' } },
}
const colored = painter('always', { interactive: false, env: {} })

describe('a table of events', () => {
  it('has the columns that its events fill, numbers at the right', () => {
    assert.equal(
      eventTable([disk]),
      'HOST  SERVICE  STATE    METRIC  TIME\nb     disk     ok     0.123457  2026-11-21 12:00:00\n',
    )
    assert.match(
      eventTable([disk, cpu]),
      /^HOST +SERVICE +STATE +METRIC +TIME +TAGS +DESCRIPTION +ATTRIBUTES\na .* 1234 .*x y +a long text about what is wrong here +rack=7 note=say "hi", twice\nb/,
    )
  })

  it('fits the terminal, leaving out what has no room', () => {
    for (const room of [60, 80, 100, 120]) {
      const text = eventTable([disk, cpu], { room })
      for (const line of text.split('\n')) assert.ok(line.length <= room, line)
    }
    assert.doesNotMatch(eventTable([disk, cpu], { room: 60 }), /DESCRIPTION|ATTRIBUTES/)
    assert.match(eventTable([disk, cpu], { room: 90 }), /x y +a long text.*…/)
  })

  it('has the columns and the order that were asked for', () => {
    assert.equal(
      eventTable([disk, cpu], { columns: 'rack,service', sorted: true }),
      'RACK  SERVICE\n      disk\n7     cpu\n',
    )
    assert.throws(
      () => eventTable([disk, cpu], { columns: 'host,rak' }),
      /no event has a column "rak"; .*attributes, rack, note/,
    )
  })

  it('is coloured by states alone', () => {
    const lines = eventTable([disk, cpu], { paint: colored }).split('\n')
    assert.match(lines[1], /\u001b\[31mcritical\u001b\[39m/)
    assert.equal(lines.join('').match(/\u001b\[3[12]m/g)?.length, 2)
    const env = { NO_COLOR: '1' }
    assert.equal(painter('auto', { interactive: true, env })('ok', 'x'), 'x')
    assert.equal(painter('auto', { interactive: false, env: {} })('ok', 'x'), 'x')
    assert.notEqual(painter('auto', { interactive: true, env: {} })('ok', 'x'), 'x')
  })

  it('is for spreadsheets as RFC 4180 has it, with nothing rounded', () => {
    assert.equal(
      eventCsv([disk, cpu], { columns: 'host,metric,time,note' }),
      'host,metric,time,note\r\na,1234,2026-11-21T12:00:00.250Z,"say ""hi"", twice\n"\r\nb,0.123456789,2026-11-21T12:00:00.250Z,\r\n',
    )
  })
})

describe('lines of a watch', () => {
  it('stand under each other, and are whole where nobody reads them on a terminal', () => {
    const piped = new EventLines(undefined, Infinity, (_state, text) => text)
    const long = 'x'.repeat(100)
    const lines = [piped.line(cpu), piped.line(disk), piped.line({ ...disk, service: long })]
    assert.match(lines[0], /^2026-11-21 12:00:00 {2}a {2}cpu {2}critical {2}1234 {2}a long text/)
    assert.match(lines[1], /^2026-11-21 12:00:00 {2}b {2}disk {2}ok {8}0\.123457\n$/)
    assert.ok(lines[2].includes(long))
    const narrow = new EventLines(undefined, 50, (_state, text) => text)
    for (const event of [cpu, disk, { ...disk, service: long, description: long }])
      assert.ok(narrow.line(event).length <= 51, narrow.line(event))
  })
})
