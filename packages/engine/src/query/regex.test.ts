import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { QueryError } from './errors.ts'
import { compileRegex, patternLengthLimit, stepLimit } from './regex.ts'

describe('Java’s meaning', () => {
  const cases: [pattern: string, text: string, matches: boolean][] = [
    ['b$', 'a\nb\n', true],
    ['b$', 'a\nb\r\n', true],
    ['a$', 'a\nb', false],
    ['a\\Z', 'a\n', true],
    ['a\\z', 'a\n', false],
    ['(?m)a$', 'a\nb', true],
    ['(?m:a$)b', 'ab', false],
    ['(?:(?m)^b)', 'a\nb', true],
    ['(?:(?m)x|^b)|^b', 'a\nb', true],
    ['(?:(?m)x)|^b', 'a\nb', false],
    ['a.b', 'a\rb', false],
    ['a.b', 'a\u2028b', false],
    ['(?s)a.b', 'a\nb', true],
    ['(?s)(?-s:a.b)', 'a\nb', false],
    ['a[^x]b', 'a\nb', true],
    ['^\\s$', '\v', true],
    ['^[\\s]$', '\v', true],
    ['^[^\\S]$', '\v', true],
    ['^\\S$', 'x', true],
    ['^\\h$', '\u00a0', true],
    ['^\\R$', '\r\n', true],
    ['^\\Qa.b\\E$', 'a.b', true],
    ['^\\Qa.b\\E$', 'axb', false],
    ['^\\Qa.b', 'a.b', true],
    ['^[a\\-z]$', 'b', false],
    ['^[a\\-z]$', '-', true],
    ['^[]a]$', ']', true],
    ['^\\p{Alpha}+\\P{Digit}$', 'ab!', true],
    ['^[\\p{Lower}\\d]+$', 'a1', true],
    ['^\\p{IsGreek}\\p{L}\\pL$', 'αβγ', true],
    ['^\\u0041\\x42\\x{43}\\0104\\e$', 'ABCD\x1b', true],
    ['^\\😀\\/$', '😀/', true],
    ['(?i)ÄB', 'äb', true],
    ['(?iu:a)b', 'Ab', true],
    ['(?<year>\\d{4})-(?:\\d{1,2})', '2026-11', true],
    ['a{0,1000}', '', true],
    ['^(?i)(?:[a-z]b(c\\Qdefgh\\E){0,60}(x|y)*){0,6}a{4}.{1,63}$', 'ABcdefghxyaaaa.', true],
    ['a{100}b{100}c{100}d{100}', 'abcd', false],
    ['\\Qab\\E{3}|[x-z]{2,}?', 'a-yz', true],
    ['x*?y+?', 'y', true],
  ]
  for (const [pattern, text, matches] of cases) {
    test(`${pattern} on ${JSON.stringify(text)}`, () => assert.equal(compileRegex(pattern).test(text), matches))
  }
})

describe('refused', () => {
  const cases: [pattern: string, unsupported: boolean, problem: RegExp][] = [
    ['a(?=b)', true, /look-ahead/],
    ['a(?!b)', true, /look-ahead/],
    ['(?<=a)b', true, /look-behind/],
    ['(?<!a)b', true, /look-behind/],
    ['(a)\\1', true, /back-references/],
    ['(?<n>a)\\k<n>', true, /back-references/],
    ['a++', true, /write \+/],
    ['(?>a)', true, /write \(\?:…\)/],
    ['[a[b]]', true, /class within a class/],
    ['[a&&b]', true, /intersection/],
    ['(?x)a', true, /flag x/],
    ['a{1001}', true, /1000 repetitions/],
    ['((a{500}){500}){500}', true, /repeat count/],
    ['a'.repeat(patternLengthLimit + 1), true, /longer than/],
    ['a{1000}'.repeat(5), true, /repeat counts, written out/],
    ['(?i)x(?:[a-z]b(c\\Qdefgh\\E){0,100}){7}', true, /repeat counts, written out/],
    ['a{1000}b{1000}c{1000}d{1000}', true, /needs 4000 characters/],
    ['[a-z]{1000}', true, /needs 1000 characters and takes \d+ states: .* only the first \d+ characters/],
    ['(', false, /missing closing/],
    [')', false, /unexpected/],
    ['*', false, /missing argument/],
    ['a{2', false, /a mere brace/],
    ['[a', false, /never closed/],
    ['a\\', false, /backslash/],
    ['\\y', false, /\\y is not supported/],
    ['\\p{Foo}', false, /Foo/],
    ['(?z)', false, /flag z/],
  ]
  for (const [pattern, unsupported, problem] of cases) {
    test(pattern.slice(0, 30), () => {
      assert.throws(
        () => compileRegex(pattern),
        (error: unknown) =>
          error instanceof QueryError &&
          error.fault === (unsupported ? 'regex-unsupported' : 'regex') &&
          error.code === 'QUERY_REGEX' &&
          problem.test(error.problem),
      )
    })
  }
})

test('patterns made to explode take time linear in the text', () => {
  for (const pattern of [
    '^(a+)+$',
    '(a|aa)+$',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '(.*a){20}',
    '(x+x+)+y',
    '^(a?){50}a{50}$',
  ]) {
    const regex = compileRegex(pattern)
    const cost = (length: number): number => {
      const began = process.cpuUsage()
      for (let i = 0; i < 4; i++) regex.test('a'.repeat(length + i) + '!')
      const { user, system } = process.cpuUsage(began)
      return (user + system) / 1000
    }
    cost(1_000)
    // A backtracking engine needs longer than the universe for 50; 20,000 characters in a second leave room for a busy machine.
    assert.ok(cost(20_000) < 4_000, pattern)
  }
})

describe('no text takes more than a bounded number of steps', () => {
  const patterns = [
    'error',
    '(?i)^.*(?:error|fail|timeout).*$',
    '[a-z]{400}',
    '(?:[a-z]{0,499}x?){2}',
    '\\p{L}{800}',
    Array.from({ length: 400 }, (_, i) => `host-${i}`).join('|'),
  ]
  for (const pattern of patterns) {
    test(`${pattern.slice(0, 40)}: characters looked at times states`, () => {
      const { states, looksAt, needs } = compileRegex(pattern)
      assert.ok(states > 1 && states * looksAt <= stepLimit)
      assert.ok(states * (looksAt + 1) > stepLimit, 'and no fewer than may be')
      assert.ok(needs <= looksAt)
    })
  }

  test('of a longer text the beginning is taken for the whole', () => {
    const { looksAt } = compileRegex('xy{200}z')
    assert.ok(looksAt > 1_000 && looksAt < 10_000)
    const found = `x${'y'.repeat(200)}z`
    const before = ' '.repeat(looksAt - found.length)
    const regex = compileRegex('xy{200}z')
    assert.equal(regex.test(before + found), true)
    assert.equal(regex.test(`${before}${found} and more`), true)
    assert.equal(regex.test(` ${before}${found}`), false)
    assert.equal(compileRegex('xy{200}z$').test(`${' '.repeat(9_000)}${found}`), false)
    assert.equal(
      compileRegex('error').test(`${' '.repeat(65_000)}error`),
      true,
      'a common one looks at all of any text',
    )
  })
})

test('any text is a pattern or a typed error', () => {
  const parts = fc.constantFrom(
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    '?',
    '*',
    '+',
    '\\',
    '^',
    '$',
    '.',
    '|',
    '-',
    '&&',
    '(?',
    '(?i',
    ':',
    '<n>',
    '=',
    '!',
    'a',
    'Q',
    'E',
    'p',
    'P',
    '{Alpha}',
    'u',
    'x',
    '0',
    '1',
    '9',
    ',',
    'é',
    '😀',
    '\ud83d',
    '\n',
    'Z',
    'k',
    's',
    'S',
  )
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 16 }), (pieces) => {
      const pattern = pieces.join('')
      try {
        const regex = compileRegex(pattern)
        for (const text of ['', 'a', 'é1', '😀', 'aé1\n']) {
          if (regex.test(text)) assert.ok(regex.needs <= text.length, `${pattern} matches ${JSON.stringify(text)}`)
        }
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        assert.ok(error instanceof QueryError, `${pattern}: ${String(error)}`)
      }
    }),
    { numRuns: 5_000 },
  )
})
