// Every law of the house is broken once, and the clean counterpart passes: a rule that no longer bites fails here.
import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { ESLint } from 'eslint'

/**
 * A text at a path, and the message that it must give, the only one, without ESLint's introduction; `undefined` means that the
 * text must pass.
 */
type Sample = [path: string, text: string, message: string | undefined]

const clock = 'reads a clock; time arrives in records or through a port.'
const timer = 'is a timer; deadlines are data in the state or come from the clock that is handed in.'
const outside = 'reaches the outside; what the code needs is handed in.'
const random = 'is random; randomness comes from the port that is handed in.'
const power = "differs between V8 versions; use the engine's pow."
const locale = 'The result depends on the locale of the machine.'
const path = 'Import another package by its name, never by a path into it.'
const load = 'import() loads code at run time; import at the top of the file.'
const meta = 'import.meta reaches the outside.'
const inManifest = 'Package ricci may import only what its package.json names and node:*.'
const sleep = 'A test waits for events, never for time.'
const only = 'A test narrowed by .only hides all others.'

const inClient = 'packages/client/src/sample.ts'
const inEngine = 'packages/engine/src/sample.ts'
const inReplica = 'packages/replica/src/sample.ts'
const inRicci = 'packages/ricci/src/sample.ts'
const inTestkit = 'packages/testkit/src/sample.ts'
const inSimulator = 'packages/testkit/src/simulator/sample.ts'
const test = (file: string): string => file.replace('.ts', '.test.ts')

/** A text that imports a name. */
const imports = (name: string): string => `import { a } from '${name}'\nexport const b = a\n`
/** A text whose expression uses something. */
const uses = (expression: string): string => `export const sample = (x: number): unknown => [x, ${expression}]\n`

const alias = 'Math under another name, or taken apart, escapes these rules; write Math.name.'

const samples: Record<string, Sample[]> = {
  'client: nothing of ours, no npm package': [
    [inClient, imports('@ricci/engine'), 'Package client may import no package and node:*.'],
    [inClient, imports('ricci'), 'Package client may import no package and node:*.'],
    [inClient, imports('protobufjs'), 'Package client may import no package and node:*.'],
    [inClient, imports('../../engine/src/index.ts'), path],
    [inClient, imports('node:net'), undefined],
    [inClient, imports('./cursor.ts'), undefined],
    [test(inClient), imports('protobufjs'), undefined],
    [test(inClient), imports('fast-check'), undefined],
  ],
  'client: deterministic where the engine runs it': [
    [inClient, uses('Math.random()'), `Math.random ${random}`],
    [inClient, uses('Date.now()'), `Date.now ${clock}`],
    [inClient, uses('Intl'), 'Intl depends on the locale of the machine.'],
    [inClient, uses('console'), `console ${outside}`],
    [inClient, uses("import('node:net')"), load],
    [inClient, uses('setTimeout(() => x, 1)'), undefined],
  ],
  'engine: client and re2js only': [
    [inEngine, imports('@ricci/replica'), 'Package engine may import only @ricci/client, re2js.'],
    [inEngine, imports('@ricci/testkit'), 'Package engine may import only @ricci/client, re2js.'],
    [inEngine, imports('node:fs'), 'Package engine may import only @ricci/client, re2js.'],
    [inEngine, imports('fs'), 'Package engine may import only @ricci/client, re2js.'],
    [inEngine, imports('re2js-other'), 'Package engine may import only @ricci/client, re2js.'],
    [inEngine, imports('../../replica/src/ports.ts'), path],
    [inEngine, imports('./../../replica/src/ports.ts'), path],
    [inEngine, imports('../../../packages/replica/src/ports.ts'), path],
    [inEngine, "import '../../replica/src'\n", path],
    [inEngine, "export { a } from 'ricci'\n", 'Package engine may import only @ricci/client, re2js.'],
    [inEngine, imports('@ricci/client'), undefined],
    [inEngine, imports('re2js'), undefined],
    [inEngine, imports('../event/row.ts'), undefined],
  ],
  'engine: deterministic': [
    [inEngine, uses('new Date()'), `Date ${clock}`],
    [inEngine, uses('performance.now()'), `performance ${clock}`],
    [inEngine, uses('Temporal'), `Temporal ${clock}`],
    [inEngine, uses('setTimeout(() => x, 1)'), `setTimeout ${timer}`],
    [inEngine, uses('setInterval(() => x, 1)'), `setInterval ${timer}`],
    [inEngine, uses('setImmediate(() => x)'), `setImmediate ${timer}`],
    [inEngine, uses('queueMicrotask(() => x)'), `queueMicrotask ${timer}`],
    [inEngine, uses('AbortSignal.timeout(1)'), `AbortSignal.timeout ${timer}`],
    [inEngine, uses('new MessageChannel()'), `MessageChannel ${outside}`],
    [inEngine, uses("new BroadcastChannel('x')"), `BroadcastChannel ${outside}`],
    [inEngine, uses("new EventSource('x')"), `EventSource ${outside}`],
    [inEngine, uses('localStorage'), `localStorage ${outside}`],
    [inEngine, uses('sessionStorage'), `sessionStorage ${outside}`],
    [inEngine, uses('process.env'), `process ${outside}`],
    [inEngine, uses('fetch'), `fetch ${outside}`],
    [inEngine, uses('console'), `console ${outside}`],
    [inEngine, uses('Buffer'), `Buffer ${outside}`],
    [inEngine, uses('globalThis'), `globalThis ${outside}`],
    [inEngine, uses('global'), `global ${outside}`],
    [inEngine, uses('self'), `self ${outside}`],
    [inEngine, uses("eval('x')"), 'eval makes code that these rules do not see.'],
    [inEngine, uses("new Function('return 1')"), 'Function makes code that these rules do not see.'],
    [inEngine, uses('WebAssembly'), 'WebAssembly makes code that these rules do not see.'],
    [inEngine, uses("Reflect.get(Math, 'random')"), alias],
    [inEngine, 'export const M = Math\n', alias],
    [inEngine, uses('crypto'), `crypto ${random}`],
    [inEngine, uses('Intl'), 'Intl depends on the locale of the machine.'],
    [inEngine, uses('WeakRef'), 'WeakRef depends on the garbage collector.'],
    [inEngine, uses('Math.random()'), `Math.random ${random}`],
    [inEngine, uses('Math.pow(x, 3)'), `Math.pow ${power}`],
    [inEngine, uses('x ** 3'), `** ${power}`],
    [inEngine, 'let x = 2\nx **= 3\nexport { x }\n', `** ${power}`],
    [inEngine, uses('x.toLocaleString()'), locale],
    [inEngine, uses("'a'.localeCompare('b')"), locale],
    [inEngine, uses("x['toLocaleString']()"), locale],
    [inEngine, uses("import('re2js')"), load],
    [inEngine, uses('import.meta'), meta],
    [inEngine, uses('Math.sqrt(x) + Math.floor(x)'), undefined],
    [inEngine, 'export const sample = (event: { Date: number }): number => event.Date\n', undefined],
    [test(inEngine), `${imports('node:test')}${uses('[Date.now(), Math.random(), x ** 3]')}`, undefined],
  ],
  'replica: engine and client only': [
    [inReplica, imports('ricci'), 'Package replica may import only @ricci/client, @ricci/engine.'],
    [inReplica, imports('node:net'), 'Package replica may import only @ricci/client, @ricci/engine.'],
    [inReplica, imports('undici'), 'Package replica may import only @ricci/client, @ricci/engine.'],
    [inReplica, imports('../../ricci/src/log/segment.ts'), path],
    [inReplica, imports('@ricci/engine'), undefined],
    [inReplica, imports('@ricci/client'), undefined],
    [test(inReplica), imports('node:fs'), undefined],
  ],
  'replica: clock, timers, sockets, disk and random are handed in': [
    [inReplica, uses('Date'), `Date ${clock}`],
    [inReplica, uses('performance'), `performance ${clock}`],
    [inReplica, uses('clearTimeout'), `clearTimeout ${timer}`],
    [inReplica, uses('AbortSignal.timeout(1)'), `AbortSignal.timeout ${timer}`],
    [inReplica, uses('process'), `process ${outside}`],
    [inReplica, uses('fetch'), `fetch ${outside}`],
    [inReplica, uses('WebSocket'), `WebSocket ${outside}`],
    [inReplica, uses('BroadcastChannel'), `BroadcastChannel ${outside}`],
    [inReplica, uses('Math.random()'), `Math.random ${random}`],
    [inReplica, uses("import('node:fs')"), load],
    [inReplica, uses('x.toLocaleString()'), locale],
    [inReplica, uses('Promise.resolve(x)'), undefined],
    [test(inReplica), uses('Date.now()'), undefined],
  ],
  'ricci: never the testkit, no chance that is not handed in': [
    [inRicci, imports('@ricci/testkit'), inManifest],
    [inRicci, imports('lodash'), inManifest],
    [inRicci, imports('../../replica/src/ports.ts'), path],
    [inRicci, uses("import('@ricci/testkit')"), 'Product code may not load the testkit.'],
    [inRicci, uses('Math.random()'), `Math.random ${random}`],
    [inRicci, uses('Intl'), 'Intl depends on the locale of the machine.'],
    [inRicci, imports('fastify'), undefined],
    [inRicci, imports('@ricci/replica'), undefined],
    [inRicci, uses('[Date.now(), setTimeout(() => x, 1), process.pid]'), undefined],
  ],
  'testkit: anything; the simulator replays from its seed': [
    [inTestkit, imports('ricci'), undefined],
    [inTestkit, imports('protobufjs'), undefined],
    [inTestkit, uses('Math.random()'), undefined],
    [inSimulator, uses('Math.random()'), `Math.random ${random}`],
    [inSimulator, uses('Date.now()'), `Date ${clock}`],
    [inSimulator, uses('setTimeout(() => x, 1)'), `setTimeout ${timer}`],
    [inSimulator, uses('AbortSignal.timeout(1)'), `AbortSignal.timeout ${timer}`],
    ['packages/testkit/src/simulator/main.ts', uses('Date.now()'), undefined],
  ],
  'tests: none narrowed': [
    [test(inEngine), "import { it } from 'node:test'\nit.only('x', () => {})\n", only],
    [test(inTestkit), "import { describe } from 'node:test'\ndescribe.only('x', () => {})\n", only],
    [test(inEngine), "import { it } from 'node:test'\nit('x', () => {})\n", undefined],
  ],
  'tests: none waits for time': [
    [test(inEngine), uses('new Promise((resolve) => setTimeout(resolve, x))'), sleep],
    [test(inTestkit), imports('node:timers/promises'), sleep],
    [test(inRicci), imports('node:timers/promises'), sleep],
    [test(inRicci), uses('new Promise((_, reject) => setTimeout(() => reject(new Error()), x))'), undefined],
  ],
}

/** What ESLint says before our own sentence. */
const introduction =
  /^('[^']+' import is restricted from being used by a pattern|'[\w.]+' is restricted from being used|Unexpected use of '\w+')\. /

describe('lint as law', () => {
  let eslint: ESLint
  before(() => {
    eslint = new ESLint({ cwd: process.cwd() })
  })

  const messages = async (filePath: string, text: string): Promise<string[]> => {
    const [result] = await eslint.lintText(text, { filePath })
    return result.messages.map((message) => message.message.replace(introduction, ''))
  }

  for (const [law, rows] of Object.entries(samples))
    it(law, async () => {
      for (const [filePath, text, message] of rows)
        assert.deepEqual(
          await messages(filePath, text),
          message === undefined ? [] : [message],
          `${filePath} with the text:\n${text}`,
        )
    })

  it('breaks and keeps every law at least once', () => {
    for (const [law, rows] of Object.entries(samples)) {
      assert.ok(
        rows.some(([, , message]) => message !== undefined),
        `${law}: no sample that must fail`,
      )
      assert.ok(
        rows.some(([, , message]) => message === undefined),
        `${law}: no sample that must pass`,
      )
    }
  })
})
