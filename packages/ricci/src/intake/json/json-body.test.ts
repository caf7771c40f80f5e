import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { eventsOfBody, eventOfText } from './json-body.ts'

const of = (text: string) => eventsOfBody(Buffer.from(text), 1_000)

describe('events of a JSON body', () => {
  it('takes one, a list, or one a line; the time is now where none is named', () => {
    const event = { host: 'a', service: 's', metric: 1.5, time: 1_000 }
    assert.deepEqual(of('{"host":"a","service":"s","metric":1.5}'), [{ event }])
    assert.deepEqual(of('{\n  "host": "a",\n  "service": "s", "metric": 1.5}\n'), [{ event }])
    assert.deepEqual(of('[{"host":"a","service":"s","metric":1.5},{"host":"b"}]'), [
      { event },
      { event: { host: 'b', time: 1_000 } },
    ])
    assert.deepEqual(of('{"host":"a","service":"s","metric":1.5}\r\n\n{"host":"b"}'), [
      { event },
      { event: { host: 'b', time: 1_000 } },
    ])
    assert.deepEqual(of(''), [])
    assert.deepEqual(of('[]'), [])
  })

  it('one that is none does not keep the others out', () => {
    const parsed = of('{"host":"a"}\n{oops\n{"metric":"much"}\n7\n{"host":"b"}')
    assert.deepEqual(
      parsed.map((one) => ('event' in one ? one.event.host : one.error.replace(/:.*/, ''))),
      ['a', 'not JSON', '"metric" is a number, not "much"', 'an event is an object, like {"host"', 'b'],
    )
    assert.throws(() => eventsOfBody(Buffer.from([0x7b, 0xff]), 0), { code: 'EVENT_MALFORMED' })
  })

  it('takes so many at once, and none of more', () => {
    assert.equal(of(`[${'{},'.repeat(9_999)}{}]`).length, 10_000)
    const tooMany = { code: 'EVENT_MALFORMED', message: /10001 events, at most 10000/ }
    assert.throws(() => of(`[${'1,'.repeat(10_000)}1]`), tooMany)
    assert.throws(() => of('{}\n'.repeat(10_001)), tooMany)
  })

  it('reads the forms that Riemann takes, and what it would not', () => {
    const event = (text: string): unknown => {
      const parsed = eventOfText(text, 1_000)
      return 'event' in parsed ? parsed.event : parsed.error
    }
    assert.deepEqual(
      event(
        '{"time":"2014-06-18T17:39:43.281Z","ttl":20.5,"tags":["a","b"],"state":null,"cluster":"web","n":{"a":[1]}}',
      ),
      {
        time: 1403113183.281,
        ttl: 20.5,
        tags: ['a', 'b'],
        attributes: { cluster: 'web', n: '{"a":[1]}' },
      },
    )
    assert.deepEqual(event('{"time":1403113183,"metric":"9223372036854775807"}'), {
      time: 1403113183,
      metric: 9223372036854775807n,
    })
    assert.deepEqual(event('{"metric":"12"}'), { time: 1_000, metric: 12 })
    assert.match(String(event('{"metric":"9223372036854775808"}')), /beyond 64 bits/)
    assert.match(String(event('{"time":"yesterday"}')), /"time" is like "2014/)
    assert.match(String(event('{"tags":"a"}')), /"tags" is a list of texts, not "a"/)
    assert.match(String(event('{"host":{"a":1}}')), /"host" is a text, not an object/)
    const deep = `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`
    assert.match(String(event(deep)), /too deep|not JSON/)
    // a name that objects have by themselves is a name like another
    assert.deepEqual(event('{"__proto__":"x"}'), { time: 1_000, attributes: { ['__proto__']: 'x' } })
  })
})
