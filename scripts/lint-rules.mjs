// The house's laws as ESLint rules: which package may import which, and what deterministic code may not touch. The table of
// arrows is ARCHITECTURE.md's; `packages/testkit/src/house/lint.test.ts` breaks every one of these rules once and expects the
// message, so a law that no longer bites fails the tests.
import { readFileSync } from 'node:fs'

const ours = ['client', 'election', 'engine', 'replica', 'ricci', 'testkit']

/** The npm packages a workspace's manifest names. */
function dependencies(file, field = 'dependencies') {
  return Object.keys(JSON.parse(readFileSync(new URL(`../${file}`, import.meta.url)))[field] ?? {})
}

/** What each package's product code may import by name, and whether Node's own modules are among it. */
const arrows = {
  client: { names: [], node: true },
  election: { names: ['pg'], node: true },
  engine: { names: ['@ricci/client', 're2js'], node: false },
  replica: { names: ['@ricci/client', '@ricci/engine'], node: false },
  ricci: {
    names: ['dependencies', 'peerDependencies']
      .flatMap((field) => dependencies('packages/ricci/package.json', field))
      .filter((name) => name !== '@ricci/testkit'),
    node: true,
    may: 'only what its package.json names',
  },
}

/** What tests of any package may import on top: Node's modules, the tools of the workspace's root, and the testkit. */
const testTools = [
  ...dependencies('package.json', 'devDependencies'),
  ...dependencies('package.json'),
  '@ricci/testkit',
]

/** One name as a regular expression: the package itself or a path below it. */
const exactly = (name) => `${name.replaceAll('/', '\\/')}(?:\\/|$)`

/** Not for tests: what waits for time. */
const sleeping = { regex: '^node:timers/promises$', message: 'A test waits for events, never for time.' }

/** `no-restricted-imports` for a package: everything is forbidden that its arrows do not allow. */
function imports(name, test) {
  const { names, node } = arrows[name]
  const allowed = [...names, ...(test ? testTools : [])]
  const inside = ['\\.{1,2}\\/', ...(node || test ? ['node:'] : []), ...allowed.map(exactly)]
  const may = arrows[name].may ?? (names.length === 0 ? 'no package' : `only ${names.join(', ')}`)
  return [
    'error',
    {
      patterns: [
        ...(test ? [sleeping] : []),
        {
          regex: `^(?!${inside.join('|')})`,
          message: `Package ${name} may import ${may}${node ? ' and node:*' : ''}.`,
        },
        {
          regex: `^\\.{1,2}\\/(?:.*\\/)?(?:${ours.join('|')})\\/src(?:\\/|$)`,
          message: 'Import another package by its name, never by a path into it.',
        },
      ],
    },
  ]
}

const clock = 'reads a clock; time arrives in records or through a port'
const timer = 'is a timer; deadlines are data in the state or come from the clock that is handed in'
const outside = 'reaches the outside; what the code needs is handed in'
const random = 'is random; randomness comes from the port that is handed in'
const uncertain = 'depends on the garbage collector'

const unseen = 'makes code that these rules do not see'

/** Globals by what is wrong with them. */
const globals = {
  Date: clock,
  performance: clock,
  Temporal: clock,
  setTimeout: timer,
  setInterval: timer,
  setImmediate: timer,
  clearTimeout: timer,
  clearInterval: timer,
  clearImmediate: timer,
  queueMicrotask: timer,
  process: outside,
  require: outside,
  fetch: outside,
  WebSocket: outside,
  EventSource: outside,
  MessageChannel: outside,
  BroadcastChannel: outside,
  localStorage: outside,
  sessionStorage: outside,
  console: outside,
  navigator: outside,
  Buffer: outside,
  globalThis: outside,
  global: outside,
  self: outside,
  eval: unseen,
  Function: unseen,
  WebAssembly: unseen,
  crypto: random,
  Intl: 'depends on the locale of the machine',
  WeakRef: uncertain,
  FinalizationRegistry: uncertain,
}
const restrictGlobals = (names) => ['error', ...names.map((name) => ({ name, message: `${name} ${globals[name]}.` }))]

const mathRandom = { object: 'Math', property: 'random', message: `Math.random ${random}.` }
const mathPow = {
  object: 'Math',
  property: 'pow',
  message: "Math.pow differs between V8 versions; use the engine's pow.",
}
const abortTimeout = { object: 'AbortSignal', property: 'timeout', message: `AbortSignal.timeout ${timer}.` }
const dateNow = { object: 'Date', property: 'now', message: `Date.now ${clock}.` }

/** Syntax by what is wrong with it. */
const syntax = {
  power: {
    selector: ":matches(BinaryExpression[operator='**'], AssignmentExpression[operator='**='])",
    message: "** differs between V8 versions; use the engine's pow.",
  },
  locale: {
    selector:
      'MemberExpression:matches([property.name=/^(toLocale|localeCompare$)/], [property.value=/^(toLocale|localeCompare$)/])',
    message: 'The result depends on the locale of the machine.',
  },
  math: {
    selector: ':not(MemberExpression) > Identifier[name="Math"]',
    message: 'Math under another name, or taken apart, escapes these rules; write Math.name.',
  },
  load: { selector: 'ImportExpression', message: 'import() loads code at run time; import at the top of the file.' },
  meta: { selector: 'MetaProperty[meta.name="import"]', message: 'import.meta reaches the outside.' },
  testkit: {
    selector: 'ImportExpression[source.value=/^@ricci.testkit/]',
    message: 'Product code may not load the testkit.',
  },
  sleep: {
    selector:
      "NewExpression[callee.name='Promise'] CallExpression[callee.name='setTimeout'][arguments.0.type='Identifier']",
    message: 'A test waits for events, never for time.',
  },
  narrowed: {
    selector: "MemberExpression[object.name=/^(test|it|describe|suite)$/][property.name='only']",
    message: 'A test narrowed by .only hides all others.',
  },
}

const tests = '**/*.test.ts'
const timers = Object.keys(globals).filter((name) => globals[name] === timer && name !== 'queueMicrotask')

/** Rules of determinism for the product code of `files`. */
function deterministic(files, ignores, names, properties, statements) {
  return {
    files,
    ignores: [tests, ...ignores],
    rules: {
      'no-restricted-globals': restrictGlobals(names),
      'no-restricted-properties': ['error', ...properties],
      'no-restricted-syntax': ['error', ...statements],
    },
  }
}

/** All of it, as ESLint's flat configuration. */
export const houseRules = [
  {
    files: [tests],
    rules: {
      'no-restricted-syntax': ['error', syntax.narrowed, syntax.sleep],
      'no-restricted-imports': ['error', { patterns: [sleeping] }],
    },
  },
  ...Object.keys(arrows).flatMap((name) => [
    { files: [`packages/${name}/**/*.ts`], ignores: [tests], rules: { 'no-restricted-imports': imports(name, false) } },
    { files: [`packages/${name}/**/*.test.ts`], rules: { 'no-restricted-imports': imports(name, true) } },
  ]),
  deterministic(
    ['packages/engine/src/**/*.ts'],
    [],
    Object.keys(globals),
    [mathRandom, mathPow, abortTimeout],
    [syntax.power, syntax.math, syntax.locale, syntax.load, syntax.meta],
  ),
  deterministic(
    ['packages/replica/src/**/*.ts'],
    [],
    Object.keys(globals).filter((name) => name !== 'queueMicrotask'),
    [mathRandom, abortTimeout],
    [syntax.math, syntax.locale, syntax.load, syntax.meta],
  ),
  // The codec runs inside the engine; the clients around it may use sockets and timers.
  deterministic(['packages/client/src/**/*.ts'], [], ['console', 'Intl'], [mathRandom, dateNow], [syntax.load]),
  // The simulator runs an election, too: clocks, timers and chance are handed in.
  deterministic(
    ['packages/election/src/**/*.ts'],
    ['packages/election/src/clock.ts'],
    ['Date', 'performance', ...timers],
    [],
    [],
  ),
  deterministic(['packages/ricci/src/**/*.ts'], [], ['Intl'], [mathRandom], [syntax.testkit]),
  // A seed must replay: only the program around the simulator, which measures how long it took, sees the real clock.
  deterministic(
    ['packages/testkit/src/simulator/**/*.ts', 'packages/testkit/src/election/*.ts'],
    ['packages/testkit/src/simulator/main.ts'],
    ['Date', 'performance', 'Temporal', ...timers],
    [mathRandom, abortTimeout],
    [syntax.load],
  ),
]
