import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, test } from 'node:test'
import { defaultConfig } from '../config/config.ts'
import { TypeCheck } from '../rules/type-check.ts'
import { builtFile } from './built-file.ts'
import { nodeClock } from './node-clock.ts'
import { checkRules, readRules, type RulesChecks } from './rules-source.ts'

const folders: string[] = []
/** One process for all checks of this file. */
const types = new TypeCheck({ file: builtFile('type-checker'), clock: nodeClock, keep: true })

/** Checks rules of these files as before a switch. */
async function checked(files: Readonly<Record<string, string>>): Promise<RulesChecks> {
  const rulesFolder = mkdtempSync(join(tmpdir(), 'ricci-check-'))
  folders.push(rulesFolder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(rulesFolder, name)), { recursive: true })
    writeFileSync(join(rulesFolder, name), text)
  }
  const config = { ...defaultConfig(rulesFolder), rulesFolder }
  return checkRules(await readRules(config), config, nodeClock, types)
}

/** The rules with these streams, and lines before them. */
function rulesOf(streams: string, before = ''): string {
  return `import { by, changed, fold, incident, index, movingEventWindow, notify, otherwise, rules, smap, split, stable, tagged, tap, where } from 'ricci'
${before}
export default rules(${streams})
`
}

describe('before a switch', () => {
  test('a receiver that the configuration lacks is told where its name stands', async () => {
    await assert.rejects(checked({ 'index.ts': rulesOf(`\n  notify('nobody'),\n`) }), {
      code: 'RULES_INVALID',
      message: /index\.ts:4:10: notify nobody: there is no receiver "nobody"; add it to the configuration.*\n  4 \| /,
    })
  })

  test('two incidents of one name are told at the second; one stream at two places is one incident', async () => {
    const twins = rulesOf(
      `\n  incident('x', { to: 'console' }),\n  incident('x', { to: 'console', bad: 'metric > 1' }),\n`,
    )
    await assert.rejects(checked({ 'index.ts': twins }), {
      code: 'RULES_INVALID',
      message: /index\.ts:5:\d+: there is another incident "x", in line 4 of index\.ts: .*\n {2}5 \| /,
    })
    await checked({ 'index.ts': rulesOf(`page, tagged('eu', page)`, `const page = incident('x', { to: 'console' })`) })
  })

  after(async () => {
    await types.close()
    for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  })

  describe('types', () => {
    const wrong: [what: string, streams: string, message: RegExp][] = [
      [
        'a field that no event has',
        `where((e) => e.metrics > 0.9, index())`,
        /index\.ts:3:37: Property 'metrics' does not exist on type 'EventView'.*\n  3 \| .*\n.*\^{7}/,
      ],
      [
        "Node's own things",
        `where(() => process.pid > 1, index())`,
        /there is no process in rules: a rule sees events/,
      ],
      ["the web's", `where(() => { console.log(1); return true }, index())`, /there is no console in rules/],
      [
        'a wrong argument',
        `stable('5', 'state', index())`,
        /Argument of type 'string' is not assignable to parameter of type 'number'/,
      ],
      ['a word that is none', `wehre('true', index())`, /Cannot find name 'wehre'/],
      [
        'an event changed in place',
        `where((e) => { e.host = 'x'; return true }, index())`,
        /Cannot assign to 'host' because it is a read-only property/,
      ],
    ]
    for (const [what, streams, message] of wrong) {
      test(what, async () => {
        await assert.rejects(checked({ 'index.ts': rulesOf(streams) }), { code: 'RULES_TYPES', message })
      })
    }

    test('of files that are imported, and of tests', async () => {
      const index = `import { rules } from 'ricci'\nimport { all } from './lib/all.ts'\nexport default rules(...all)\n`
      const lib = (field: string) =>
        `import { index, where } from 'ricci'\nexport const all = [where((e) => e.${field} > 1, index())]\n`
      await checked({ 'index.ts': index, 'lib/all.ts': lib('metric') })
      await assert.rejects(checked({ 'index.ts': index, 'lib/all.ts': lib('metrik') }), {
        message: /lib\/all\.ts:2:36: /,
      })
      const test = `import { test } from 'ricci/test'\ntest('x', (run) => run.wait(5))\n`
      await assert.rejects(checked({ 'index.ts': rulesOf('index()'), 'a.test.ts': test }), {
        code: 'RULES_TYPES',
        message: /a\.test\.ts:2:24: Property 'wait' does not exist on type 'Run'/,
      })
    })

    test('rules in JavaScript are taken as they are', async () => {
      const { typesUnchecked } = await checked({
        'index.js': `import { index, rules } from 'ricci'\nexport default rules(index())\n`,
      })
      assert.equal(typesUnchecked, undefined)
    })
  })

  describe('tests of rules', () => {
    const oven = rulesOf(
      `index(), by('host', stable(3, 'state', incident('oven', { bad: 'state = "critical"', to: 'console' }))), where('metric > 5', tap('hot'))`,
    )

    test('events, virtual time, pages, taps and the index', async () => {
      const { tests } = await checked({
        'index.ts': oven,
        'oven.test.ts': `import { expect, test } from 'ricci/test'
test('pages once, and resolves', (run) => {
  run.send({ host: 'kitchen', service: 'oven', state: 'critical' })
  run.pass(2)
  expect(run.pages, [])
  run.pass(1.5)
  expect(run.pages, [{ action: 'trigger', rule: 'oven', to: 'console', host: 'kitchen' }])
  run.send({ host: 'kitchen', service: 'oven', state: 'ok' })
  run.pass(4)
  expect(run.pages.map((page) => page.action), ['trigger', 'resolve'])
})
test('taps and index', (run) => {
  expect(run.now, Date.UTC(2026, 0, 1) / 1000)
  run.send({ host: 'a', service: 'x', metric: 6, ttl: 10 }, { host: 'b', service: 'x', metric: 1, ttl: 10 })
  expect(run.tapped('hot'), [{ host: 'a', metric: 6 }])
  expect(run.query('host = "b"'), [{ metric: 1 }])
  run.outage(3600)
  expect(run.query('true').length, 2)
  run.pass(60)
  expect(run.query('true'), [])
})
`,
      })
      assert.equal(tests, 2)
    })

    test('what fails is told with its name and line', async () => {
      const failing = `import { expect, test } from 'ricci/test'
test('is fine', () => {})
test('pages at once', (run) => {
  run.send({ host: 'kitchen', state: 'critical' })
  expect(run.pages, [{ rule: 'oven' }])
})
`
      await assert.rejects(checked({ 'index.ts': oven, 'deep/oven.test.ts': failing }), {
        code: 'RULES_TESTS',
        message:
          /^1 of the 2 tests of the rules failed:\n"pages at once": deep\/oven\.test\.ts:5:3: expected \[ \{ rule: 'oven' \} \], got \[\]; they differ at \[0\]\n/,
      })
    })

    test('a rule that throws fails a test', async () => {
      await assert.rejects(
        checked({
          'index.ts': rulesOf(`where((e) => e.tags[0].length > 1, index())`),
          'a.test.ts': `import { test } from 'ricci/test'\ntest('goes through', (run) => run.send({ host: 'a' }))\n`,
        }),
        { code: 'RULES_TESTS', message: /"goes through": a rule threw, in where\[0\]: index\.ts:3:\d+: Cannot read/ },
      )
    })

    test('a test that never ends is named', async () => {
      await assert.rejects(
        checked({
          'index.ts': rulesOf('index()'),
          'a.test.ts': `import { test } from 'ricci/test'\ntest('waits', async (run) => run.pass(1))\n`,
        }),
        { code: 'RULES_TESTS', message: /"waits": a test of rules is not async/ },
      )
    })

    test('rules themselves cannot import test words', async () => {
      await assert.rejects(checked({ 'index.ts': `import { test } from 'ricci/test'\nexport default test` }), {
        code: 'RULES_INVALID',
        message: /is for files named/,
      })
    })
  })

  describe('hidden state', () => {
    const guilty: [what: string, streams: string, before: string, message: RegExp][] = [
      [
        'a counter',
        `where((e) => ++seen % 3 === 0, notify('console'))`,
        `let seen = 0`,
        /index\.ts:3:28: this function, in where, gives something else/,
      ],
      [
        'the last value',
        `where('service = "boiler"', smap((e) => { const rise = e.metric - last; last = e.metric; return { ...e.copy(), metric: rise } }, index()))`,
        `let last = 0`,
        /in smap, gives/,
      ],
      ['/g', `where((e) => pattern.test(e.service ?? ''), index())`, `const pattern = /cpu/g`, /in where, gives/],
      [
        'once a minute',
        `where('host = "db-1" and metric > 99.5', where((e) => { const due = e.time - told > 60; if (due) told = e.time; return due }, notify('console')))`,
        `let told = 0`,
        /in where, gives/,
      ],
      [
        'in an option',
        `incident('x', { to: 'console', summary: () => \`page \${++pages}\` })`,
        `let pages = 0`,
        /in incident, gives/,
      ],
      [
        'behind a tag and an otherwise',
        `tagged('eu', where('state = "ok"', index(), otherwise(where(() => (flip = !flip), index()))))`,
        `let flip = false`,
        /in where, gives/,
      ],
    ]
    for (const [what, streams, before, message] of guilty) {
      test(what, async () => {
        await assert.rejects(checked({ 'index.ts': rulesOf(streams, before) }), { code: 'RULES_HIDDEN_STATE', message })
      })
    }

    test('a cache that changes nothing passes, and so do rules that keep to the engine', async () => {
      const { hiddenState } = await checked({
        'index.ts': rulesOf(
          `where((e) => { const key = e.service ?? ''; if (!cache.has(key)) cache.set(key, key.length > 3); return cache.get(key) }, index()),
         by('host', changed('state', notify('console', { summary: (e) => String(e) }))),
         movingEventWindow(3, smap(fold.mean, where((e, index) => e.metric > index.metric('a', 'x'), tap('above'))))`,
          `const cache = new Map<string, boolean>()`,
        ),
      })
      assert.equal(hiddenState?.guilty, undefined)
      assert.deepEqual([hiddenState?.functions, hiddenState?.called], [3, 3])
    })

    test('a function that never returns on some event is named', async () => {
      await assert.rejects(
        checked({
          'index.ts': rulesOf(
            `where('metric > 10', where((e) => { let i = 0\nwhile (e.metric > 12) i++\nreturn i > 0 }, index()))`,
          ),
        }),
        {
          code: 'RULES_TIMEOUT',
          message: /index\.ts:4:23: a function did not return .* in where\[0\] > where\[0\]; is there an endless loop/,
        },
      )
    })
  })
})
