import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { createUtcDate } from './utc-date.ts'

const RuleDate = createUtcDate(() => Date.UTC(2026, 10, 21, 12, 30))

before(() => {
  // a zone far from UTC, with half an hour: whoever reads local time is found out
  process.env.TZ = 'Australia/Adelaide'
})

test('now is the clock that was handed in', () => {
  assert.equal(RuleDate.now(), Date.UTC(2026, 10, 21, 12, 30))
  assert.equal(new RuleDate().toISOString(), '2026-11-21T12:30:00.000Z')
})

test('parts are read and set in UTC', () => {
  const date = new RuleDate(2026, 0, 31, 23, 59, 58, 7)
  assert.equal(date.toISOString(), '2026-01-31T23:59:58.007Z')
  assert.deepEqual(
    [date.getFullYear(), date.getMonth(), date.getDate(), date.getDay(), date.getHours(), date.getMinutes()],
    [2026, 0, 31, 6, 23, 59],
  )
  date.setHours(1)
  assert.equal(date.toISOString(), '2026-01-31T01:59:58.007Z')
  assert.equal(date.getTimezoneOffset(), 0)
})

test('text is UTC too', () => {
  const date = new RuleDate(0)
  assert.equal(String(date), 'Thu, 01 Jan 1970 00:00:00 GMT')
  assert.equal(date.toLocaleString(), 'Thu, 01 Jan 1970 00:00:00 GMT')
  assert.equal(date.toDateString(), 'Thu, 01 Jan 1970')
  assert.equal(date.toTimeString(), '00:00:00 GMT')
})

const texts: [text: string, expected: string | undefined][] = [
  ['2026-01-01', '2026-01-01T00:00:00.000Z'],
  ['2026-01-01T00:00:00', '2026-01-01T00:00:00.000Z'],
  ['2026-01-01T00:00', '2026-01-01T00:00:00.000Z'],
  ['2026-01-01T00:00:00.5Z', '2026-01-01T00:00:00.500Z'],
  ['2026-01-01T02:00:00+02:00', '2026-01-01T00:00:00.000Z'],
  ['1 January 2026', undefined],
  ['2026/01/01', undefined],
  ['', undefined],
]
for (const [text, expected] of texts) {
  test(`"${text}" is read as ${expected ?? 'no date'}`, () => {
    const ms = RuleDate.parse(text)
    assert.equal(Number.isNaN(ms) ? undefined : new Date(ms).toISOString(), expected)
    assert.ok(Object.is(new RuleDate(text).getTime(), ms))
  })
}

test('it is a Date to whoever asks', () => {
  assert.ok(new RuleDate(0) instanceof Date)
  assert.equal(new RuleDate(new RuleDate(5)).getTime(), 5)
  assert.equal(RuleDate.UTC(1970, 0, 1), 0)
})
