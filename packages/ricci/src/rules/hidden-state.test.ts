// What rules keep, change and ask outside of the engine, by tricks that types do not see: each found, or rightly let pass.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { bundleRules } from './bundle.ts'
import { compileRules } from './evaluate.ts'
import { findHiddenState, type Guilt, type HiddenStateReport } from './hidden-state.ts'

const folder = mkdtempSync(join(tmpdir(), 'ricci-hidden-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function searched(before: string, streams: string): Promise<HiddenStateReport> {
  const words = `import { by, index, movingEventWindow, notify, rules, smap, where } from 'ricci'`
  writeFileSync(join(folder, 'index.js'), `${words}\n${before}\nexport default rules(${streams})\n`)
  const { bundle } = await bundleRules(folder)
  return findHiddenState(
    compileRules(bundle),
    {},
    0,
    () => 0,
    () => undefined,
  )
}

/** [what, before the rules, their streams, the kind of guilt, its detail] */
const guilty: [what: string, before: string, streams: string, kind: Guilt['kind'], detail: string][] = [
  [
    'a closure',
    'const every = (n) => { let seen = 0; return () => ++seen % n === 0 }',
    `where(every(3), index())`,
    'state',
    'seen',
  ],
  [
    'a map of last values',
    'const last = new Map()',
    `where((e) => { const was = last.get(e.host); last.set(e.host, e.metric); return e.metric > was }, index())`,
    'state',
    'last',
  ],
  [
    'a generator that counts',
    'const ids = (function* () { for (let i = 0; ; i++) yield i })()',
    `where(() => ids.next().value % 2 === 0, index())`,
    'state',
    '',
  ],
  [
    'a constructor of functions',
    `const now = Function('return Date.now()')`,
    'where(() => now() > 5, index())',
    'clock',
    'Date.now',
  ],
  [
    'the parent of Date',
    '',
    'where(() => new (Object.getPrototypeOf(Date))().getTime() > 5, index())',
    'clock',
    'new Date()',
  ],
  [
    'an indirect eval',
    `const clock = (0, eval)('performance')`,
    'where(() => clock.now() > 0, index())',
    'clock',
    'performance.now',
  ],
  ['chance', `const { random } = (0, eval)('Math')`, 'where(() => random() > 2, index())', 'clock', 'Math.random'],
  [
    'a clock at load',
    `const begun = [].constructor.constructor('return Date.now()')()`,
    'where((e) => e.time > begun, index())',
    'clock',
    'Date.now',
  ],
  [
    'a field set, and the error caught',
    '',
    `where((e) => { try { e.host = 'x' } catch {} return true }, index())`,
    'event',
    'host',
  ],
  ['a field of its own', '', 'where((e) => { e.seen = 1; return true }, index())', 'event', 'seen'],
  ['a field taken away', '', 'where((e) => delete e.host, index())', 'event', 'host'],
  ['a tag put on', '', `where((e) => e.tags.push('x') > 0, index())`, 'event', 'tags.0'],
  ['an attribute', '', `where((e) => { e.attributes.x = '1'; return true }, index())`, 'event', 'attributes.x'],
  ['a promise', '', 'where(() => Promise.resolve(false), index())', 'later', ''],
  ['async', '', 'smap(async (e) => e, index())', 'later', ''],
  ['a generator', '', 'smap(function* (e) { yield e }, index())', 'later', ''],
]

/** What acts at an event that never comes here, or never: [what, before, streams, names of variables that change] */
const named: [what: string, before: string, streams: string, kept: string[]][] = [
  ['a counter that acts late', 'let seen = 0', 'where(() => ++seen > 1e6, index())', ['seen']],
  [
    'a private field',
    'class Counter { #n = 0; up() { return ++this.#n } }\nconst counter = new Counter()',
    'where(() => counter.up() > 1e6, index())',
    ['counter'],
  ],
  [
    'a function that a function uses',
    'const make = () => { let n = 0; return () => ++n }\nconst next = make()',
    'where(() => next() > 1e6, index())',
    ['n'],
  ],
  [
    'a property of a function',
    'const f = () => { f.n = (f.n ?? 0) + 1; return f.n > 1e6 }',
    'where(f, index())',
    ['f'],
  ],
  [
    'a property of what is everybody’s',
    '',
    'where(() => { Array.seen = (Array.seen ?? 0) + 1; return Array.seen > 1e6 }, index())',
    ['Array.seen'],
  ],
  [
    'a cache',
    'const long = new Map()',
    `where((e) => { if (!long.has(e.service)) long.set(e.service, true); return long.get(e.service) }, index())`,
    ['long'],
  ],
  [
    'nothing',
    'const limits = { x: 5 }',
    'where((e) => e.metric > (limits[e.service] ?? 0), by("host", movingEventWindow(3, smap((es) => es.at(-1), index()))))',
    [],
  ],
]

describe('rules in JavaScript', () => {
  for (const [what, before, streams, kind, detail] of guilty) {
    test(`are named for ${what}`, async () => {
      const { guilty: found } = await searched(before, streams)
      assert.deepEqual([found?.kind, found?.detail ?? ''], [kind, detail])
      assert.match(found?.place?.file ?? '', /index\.js$/)
    })
  }
  for (const [what, before, streams, kept] of named) {
    test(`pass with ${what}, and what changes is named`, async () => {
      const report = await searched(before, streams)
      assert.equal(report.guilty, undefined)
      assert.deepEqual(
        report.kept.map(({ name }) => name),
        kept,
      )
    })
  }
  test('that throw are told of, with how often; the machine’s clocks are as they were', async () => {
    const before = [Date, Date.now, Math.random]
    const { threw } = await searched('', 'where((e) => e.nothing.at(0), index())')
    assert.deepEqual(
      threw.map(({ operator, times, calls, text }) => [operator, times === calls, text]),
      [['where', true, "Cannot read properties of undefined (reading 'at')"]],
    )
    assert.deepEqual([Date, Date.now, Math.random], before)
    assert.equal(Object.hasOwn(performance, 'now'), false)
  })
})
