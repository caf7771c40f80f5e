import assert from 'node:assert/strict'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { brotliCompressSync, brotliDecompressSync } from 'node:zlib'
import { RicciError } from '../errors.ts'
import { bundleRules } from './bundle.ts'
import { evaluateBundle, evaluateRules } from './evaluate.ts'

const folders: string[] = []
after(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })))

/** A folder with these files. */
function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'ricci-rules-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

const minimal = `import { index, rules } from 'ricci'\nexport default rules(index())\n`
const bundleOf = (index: string, more: Record<string, string> = {}) =>
  bundleRules(folderOf({ 'index.ts': index, ...more }))
const now = () => 1_000

async function failureOf(promise: Promise<unknown>): Promise<RicciError> {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof RicciError, String(error))
    return error
  }
  assert.fail('no error')
}

describe('bundling', () => {
  test('TypeScript of several files becomes one small bundle that gives a description', async () => {
    const { bundle, files, hash } = await bundleOf(
      `import { rules, where } from 'ricci'\nimport { all } from './lib/all'\nexport default rules(...all, where('true'))\n`,
      { 'lib/all.ts': `import { index, type Stream } from 'ricci'\nexport const all: Stream[] = [index()]\n` },
    )
    assert.deepEqual(files, ['index.ts', 'lib/all.ts'])
    assert.match(hash, /^[0-9a-f]{64}$/)
    assert.deepEqual(
      evaluateBundle(bundle).streams.map(({ operator }) => operator),
      ['index', 'where'],
    )
  })

  test('two copies of a folder are the same bundle, whatever lies around them', async () => {
    const one = folderOf({ 'index.ts': minimal })
    const two = join(folderOf({ 'tsconfig.json': '{"compilerOptions":{"target":"es5"}}' }), 'deep')
    cpSync(one, two, { recursive: true })
    const [a, b] = [await bundleRules(one), await bundleRules(two)]
    assert.equal(a.hash, b.hash)
    assert.deepEqual(a.bundle, b.bundle)
  })

  test('a folder without rules says what is missing', async () => {
    const { code, message } = await failureOf(bundleRules(folderOf({})))
    assert.equal(code, 'RULES_UNREADABLE')
    assert.match(message, /write an index\.ts/)
  })

  const mistakes: [name: string, source: string, expected: RegExp][] = [
    [
      'a syntax error',
      `import { rules } from 'ricci'\nexport default rules(]\n`,
      /index\.ts:2:22: Unexpected "\]"\n {2}2 \| export default rules\(\]\n {4}\| {22}\^$/,
    ],
    [
      'node:fs',
      `import { readFileSync } from 'node:fs'\n${minimal}readFileSync('x')\n`,
      /index\.ts:1:30: rules cannot import "node:fs": .*\n {2}1 \| .*\n {4}\| {30}\^{9}$/,
    ],
    [
      "the daemon's own parts",
      `import { EmbeddedLog } from 'ricci/embedded'\n${minimal}EmbeddedLog.open\n`,
      /index\.ts:1:29: rules cannot import "ricci\/embedded": it is for tools; what rules may use comes from 'ricci'/,
    ],
    ['fs without its prefix', `import fs from 'fs'\n${minimal}fs.x\n`, /index\.ts:1:16: rules cannot import "fs"/],
    ['require', `${minimal}require('os')\n`, /index\.ts:3:9: rules cannot import "os"/],
    ['import()', `${minimal}void import('./x')\n`, /index\.ts:3:13: rules import at the top of the file only/],
    [
      'a package that is not there',
      `import x from 'left-pad-x'\n${minimal}x()\n`,
      /there is no "left-pad-x" to import/,
    ],
    ['umlauts before the mistake', `/* äöü */ export default rules(]\n`, /index\.ts:1:32: /],
  ]
  for (const [name, source, expected] of mistakes) {
    test(`${name} is shown with file, line, column and caret`, async () => {
      const { code, message } = await failureOf(bundleOf(source))
      assert.equal(code, 'RULES_INVALID')
      assert.match(message, expected)
    })
  }

  test('a mistake inside a query is shown with file and line too, deep as the parser stands', async () => {
    const query = `${'('.repeat(20)}metric >`
    const { bundle } = await bundleOf(`import { rules, where } from 'ricci'\nexport default rules(where('${query}'))\n`)
    assert.throws(() => evaluateBundle(bundle), {
      code: 'RULES_INVALID',
      message:
        /^index\.ts:2:22: query: only a number may stand to the right of >[^]*\n {2}2 \| export default rules\(where/,
    })
  })

  test('a bundle over 1 MiB is refused with its largest files', async () => {
    let state = 1
    let noise = ''
    while (noise.length < 2_000_000) {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
      noise += state.toString(36)
    }
    const { code, message } = await failureOf(
      bundleOf(`import { noise } from './noise'\n${minimal}export { noise }\n`, {
        'noise.ts': `export const noise = '${noise}'\n`,
      }),
    )
    assert.equal(code, 'RULES_TOO_LARGE')
    assert.match(message, /1048576 are allowed; import less \(largest: noise\.ts, \d+ bytes/)
  })

  test('** becomes a power that is the same everywhere', async () => {
    const { bundle } = await bundleOf(`${minimal}export const power = (a: number, b: number) => a ** b\n`)
    const code = brotliDecompressSync(bundle).toString()
    assert.match(code, /__pow = Math\.pow;[^]*__pow\(a, b\)/)
    assert.doesNotMatch(code.replace(/\n\/\/#.*/, ''), /\*\*/)
  })
})

describe('evaluation', () => {
  test('what throws while loading is shown at the line of the user’s own file', async () => {
    const { bundle } = await bundleOf(`import { check } from './lib/check'\n${minimal}check()\n`, {
      'lib/check.ts': `type A = 1\n\nexport function check(): void {\n  throw new Error('not today')\n}\n`,
    })
    assert.throws(() => evaluateBundle(bundle), {
      code: 'RULES_INVALID',
      message: ['lib/check.ts:4:9: not today', "  4 |   throw new Error('not today')", '    |         ^'].join('\n'),
    })
  })

  test('an operator that is used wrongly is shown at its line', async () => {
    const { bundle } = await bundleOf(
      `import { rules, incident } from 'ricci'\n\nexport default rules(incident('a', {} as any))\n`,
    )
    assert.throws(() => evaluateBundle(bundle), { message: /^index\.ts:3:\d+: incident needs the name of a receiver/ })
  })

  const forbidden: [code: string, expected: RegExp][] = [
    ['Math.random()', /:3:\d+: Math\.random is not there in rules: every replica must decide alike/],
    ['Date.now()', /:3:\d+: the time is not known while rules are loaded/],
    ['String(new Date())', /:3:\d+: the time is not known while rules are loaded/],
    ['setTimeout(() => {}, 1)', /:3:\d+: setTimeout is not there in rules: time passes in records/],
    ['fetch("http://x")', /:3:\d+: fetch is not there in rules/],
    ['console.log(1)', /:3:\d+: console\.log is not there in rules: to see what passes, use tap/],
    ['process.exit(1)', /:3:\d+: Cannot read properties of undefined/],
    ['globalThis.process.exit(1)', /:3:\d+: Cannot read properties of undefined/],
    ['throw "text"', /something that is no Error was thrown: text/],
  ]
  for (const [code, expected] of forbidden) {
    test(`${code} at load fails with a sentence`, async () => {
      const { bundle } = await bundleOf(`${minimal}${code}\n`)
      assert.throws(() => evaluateBundle(bundle), { code: 'RULES_INVALID', message: expected })
    })
  }

  test('rules without a default export say so', async () => {
    const { bundle } = await bundleOf(`export const a = 1\n`)
    assert.throws(() => evaluateBundle(bundle), { message: /end it with `export default rules/ })
  })

  test('bytes that are no bundle say so, and so does a bomb', () => {
    assert.throws(() => evaluateBundle(new Uint8Array([1, 2, 3])), { code: 'RULES_INVALID' })
    const bomb = brotliCompressSync(Buffer.alloc(64 * 1_048_576, 32))
    assert.ok(bomb.length < 1_000)
    assert.throws(() => evaluateBundle(bomb), { code: 'RULES_INVALID' })
  })

  test('functions see the engine’s time, in UTC, and the deterministic power', async () => {
    const { bundle } = await bundleOf(
      `
      import { rules, smapLike } from './helper'
      export default rules(smapLike((x: number) => [Date.now(), new Date().getHours(), new Date(2026, 0, 2).toISOString(), x ** 3, typeof process]))
    `,
      {
        'helper.ts': `export const smapLike = (f: unknown) => f\nexport const rules = (...streams: unknown[]) => ({ streams })\n`,
      },
    )
    const { description, explain } = evaluateRules(bundle, now)
    const f = description.streams[0] as unknown as (x: number) => unknown
    assert.deepEqual(f(3), [1_000, 0, '2026-01-02T00:00:00.000Z', 27, 'undefined'])
    assert.equal(explain(new Error('from elsewhere')), 'from elsewhere')
  })

  test('functions word and order nothing by the machine’s locale', async () => {
    const { bundle } = await bundleOf(
      `
      const f = () => [
        (1234567.5).toLocaleString(), (1234567n).toLocaleString('de'), [1234.5, 2].toLocaleString(),
        ['ä', 'a', 'B'].sort((a, b) => a.localeCompare(b)).join(''), 'a'.localeCompare('a'),
        'TITEL'.toLocaleLowerCase('tr'), 'titel'.toLocaleUpperCase('tr'), new Date().toLocaleDateString('de'),
      ]
      export default { streams: [f] }
    `,
    )
    const f = evaluateRules(bundle, now).description.streams[0] as unknown as () => unknown
    assert.deepEqual(f(), ['1234567.5', '1234567', '1234.5,2', 'Baä', 0, 'titel', 'TITEL', 'Thu, 01 Jan 1970'])
  })

  test('what a rule throws later is explained at its line', async () => {
    const { bundle } = await bundleOf(
      `interface Tagged { tags: string[] }\n\nconst first = (event: Tagged) =>\n  event.tags[0].length\nexport default { streams: [first] }\n`,
    )
    const { description, explain } = evaluateRules(bundle, now)
    const f = description.streams[0] as unknown as (event: object) => unknown
    try {
      f({ tags: [] })
      assert.fail('no error')
    } catch (error) {
      assert.match(explain(error), /^index\.ts:4:17: Cannot read properties of undefined/)
    }
  })
})
