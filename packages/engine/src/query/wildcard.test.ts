import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileWildcard } from './wildcard.ts'

/** Riemann's own definition: `^`, the pattern quoted but for `%` as `.*`, and Java's `$`. */
function reference(pattern: string, text: string): boolean {
  const quoted = pattern.split('%').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const body = quoted.join('[^\\n\\r\\u0085\\u2028\\u2029]*')
  return new RegExp(`^${body}(?:(?:\\r\\n|(?<!\\r)\\n|[\\r\\u0085\\u2028\\u2029])?)$`).test(text)
}

test('is what Riemann’s regular expression is', () => {
  const units = fc.constantFrom('a', 'b', '%', '.', '\n', '\r', '\u2028', '😀', '_')
  const pattern = fc.array(units, { maxLength: 8 }).map((parts) => parts.join(''))
  const text = fc
    .array(fc.constantFrom('a', 'b', '.', '\n', '\r', '\u2028', '😀', '_'), { maxLength: 10 })
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(pattern, text, (p, t) => assert.equal(compileWildcard(p)(t), reference(p, t), JSON.stringify([p, t]))),
    { numRuns: 20_000 },
  )
  // Texts made of their pattern, so that many match.
  fc.assert(
    fc.property(pattern, text, text, (p, x, y) => {
      const [first, ...rest] = p.split('%')
      const t = [first, ...rest.flatMap((part, i) => [i % 2 === 0 ? x : y, part])].join('')
      assert.equal(compileWildcard(p)(t), reference(p, t), JSON.stringify([p, t]))
    }),
    { numRuns: 20_000 },
  )
})
