import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { placedText, Places } from './places.ts'

describe('where a watch stands', () => {
  it('is said after each line, of all partitions that were told of', () => {
    const places = new Places('log')
    const told = (lines: string, partition: number, ...after: number[]) =>
      places.along(Buffer.from(lines), { partition, after }).map(({ line, token }) => [line, token])
    assert.deepEqual(told('', 1, 7, 0), [[undefined, 'log/1:7']])
    assert.deepEqual(told('{"a":1}\n{"a":2}\n', 0, 3, 1, 5, 0), [
      ['{"a":1}', 'log/0:3.1,1:7'],
      ['{"a":2}', 'log/0:5,1:7'],
    ])
    assert.deepEqual(places.along(Buffer.from('{}\n'), undefined), [{ line: '{}' }], 'of no partition')
    assert.deepEqual(places.along(Buffer.from(''), undefined), [])
    assert.deepEqual(told('{"a":"ä"}\n', 2, 8, 0), [[Buffer.from('{"a":"ä"}').toString('latin1'), 'log/0:5,1:7,2:8']])
    assert.deepEqual(told('', 1, 9, 0), [[undefined, 'log/0:5,1:9,2:8']])
    assert.equal(String(places), 'log/0:5,1:9,2:8')
  })

  it('comes back from its token', () => {
    const { from, gap } = new Places('log', 'log/0:5,12:7.3')
    assert.deepEqual(from, [
      { partition: 0, offset: 5, nth: 0 },
      { partition: 12, offset: 7, nth: 3 },
    ])
    assert.equal(gap, undefined)
    assert.equal(String(new Places('log', 'log/12:7.3,0:5')), 'log/0:5,12:7.3')
  })

  for (const token of [
    'other/0:5',
    'log/',
    'log/0:5,',
    'log/0',
    'log/0:-1',
    'log/0:5 ',
    '0:5',
    'x',
    `log/${'0:1,'.repeat(9_000)}0:1`,
  ]) {
    it(`is told to be missing where the token says nothing: ${token.slice(0, 20)}`, () => {
      const { from, gap } = new Places('log', token)
      assert.deepEqual(from, [])
      assert.match(gap!, /is missing/)
    })
  }

  it('has none without a token', () => {
    for (const token of [undefined, '']) {
      const { from, gap } = new Places('log', token)
      assert.deepEqual([from, gap], [[], undefined])
    }
  })

  it('goes with a line as one text', () => {
    const line = '{"host":"a"}'
    assert.deepEqual(
      [{ line, token: 'log/0:1' }, { line }, { token: 'log/0:1' }].map(
        (told) => JSON.parse(placedText(told)) as unknown,
      ),
      [{ at: 'log/0:1', event: { host: 'a' } }, { event: { host: 'a' } }, { at: 'log/0:1' }],
    )
  })
})
