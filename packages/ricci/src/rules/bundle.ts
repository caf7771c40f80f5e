/** From a folder of TypeScript to the bytes that the rules record carries: no build step for the user, no surprise for a replica. */
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import type { BuildFailure, BuildOptions, Message, Plugin } from 'esbuild'
import { atPlace } from '../config/excerpt.ts'
import { RicciError } from '../errors.ts'

export interface RulesBundle {
  /** What the rules record carries: the compiled code with its source map, compressed. */
  readonly bundle: Uint8Array
  /** sha256 of the code before compression, hex: the rules' identity, whatever compressed them. */
  readonly hash: string
  /** Everything that was bundled, relative to the folder; for watching it. */
  readonly files: readonly string[]
}

/** The largest bundle that fits a rules record, compressed; 100 times what 59 rules need. */
export const maxBundleBytes = 1_048_576

/** Where the rules of a folder begin. */
const entryNames = ['index.ts', 'index.js']

/**
 * Bundles the rules of a folder. Everything they import goes into the bundle, but for `ricci`, which the engine provides;
 * modules of Node are refused, because rules see events and nothing else.
 *
 * Two copies of a folder give the same bytes: paths are kept relative to the folder, settings around it (a tsconfig) are not read.
 * @throws RicciError `RULES_UNREADABLE` without an index.ts, `RULES_INVALID` with file, line and caret, `RULES_TOO_LARGE`.
 */
export async function bundleRules(folder: string): Promise<RulesBundle> {
  const root = resolve(folder)
  const { code, inputs } = await bundled(root, { entryPoints: [entryOf(root)] }, onlyRules(['ricci']))
  const bundle = compressed(code)
  if (bundle.length > maxBundleBytes) {
    throw new RicciError(
      'RULES_TOO_LARGE',
      `the rules of ${root} are ${bundle.length} bytes when compressed, ${maxBundleBytes} are allowed; import less (${largest(inputs)})`,
    )
  }
  return {
    bundle,
    hash: createHash('sha256').update(code).digest('hex'),
    files: Object.keys(inputs).sort(),
  }
}

/** The tests of a folder's rules, with the rules themselves, in one bundle; it stays on this machine. */
export interface TestsBundle {
  readonly bundle: Uint8Array
  /** The test files, relative to the folder. */
  readonly files: readonly string[]
}

/**
 * Bundles what the folder's `….test.ts` files hold; undefined where there are none.
 * @throws RicciError `RULES_UNREADABLE`, `RULES_INVALID` with file, line and caret
 */
export async function bundleTests(folder: string): Promise<TestsBundle | undefined> {
  const root = resolve(folder)
  const files = testFiles(root, '')
  if (files.length === 0) return undefined
  const imports = files.map((file) => `import ${JSON.stringify(`./${file}`)}`)
  // the rules come first: what is wrong with them is not told as a test's fault
  const contents = [`export { default } from ${JSON.stringify(`./${entryOf(root)}`)}`, ...imports].join('\n')
  const stdin = { contents, resolveDir: root, sourcefile: 'tests-of-rules.js' }
  const { code } = await bundled(root, { stdin }, onlyRules(['ricci', 'ricci/test']))
  return { bundle: compressed(code), files }
}

/** Test files below a folder, in the order of their names; `/` between folders whatever the machine. */
function testFiles(root: string, below: string): string[] {
  return readdirSync(join(root, below), { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      if (entry.name === 'node_modules' || entry.name.startsWith('.')) return []
      const path = `${below}${entry.name}`
      if (entry.isDirectory()) return testFiles(root, `${path}/`)
      return /\.test\.[jt]s$/.test(entry.name) ? [path] : []
    })
}

function entryOf(root: string): string {
  const entry = entryNames.find((name) => existsSync(join(root, name)))
  if (entry === undefined) {
    throw new RicciError(
      'RULES_UNREADABLE',
      `there are no rules in ${root}: write an index.ts that ends with \`export default rules(…)\``,
    )
  }
  return entry
}

type Inputs = Readonly<Record<string, { bytes: number }>>

async function bundled(
  root: string,
  from: Pick<BuildOptions, 'entryPoints' | 'stdin'>,
  plugin: Plugin,
): Promise<{ code: Uint8Array; inputs: Inputs }> {
  // with what it starts it costs a tenth of a second of CPU: who bundles nothing does without
  const { build } = await import('esbuild')
  const result = await build({
    ...from,
    absWorkingDir: root,
    outfile: 'rules.js',
    write: false,
    bundle: true,
    platform: 'neutral',
    mainFields: ['module', 'main'],
    format: 'cjs',
    target: 'es2022',
    // `**` becomes Math.pow, which rules are given a deterministic one of
    supported: { 'exponent-operator': false },
    tsconfigRaw: {},
    sourcemap: 'inline',
    charset: 'utf8',
    metafile: true,
    logLevel: 'silent',
    plugins: [plugin],
  }).catch((failure: BuildFailure) => {
    throw new RicciError('RULES_INVALID', failureText(failure, root), { cause: failure })
  })
  return { code: result.outputFiles[0].contents, inputs: result.metafile.inputs }
}

function compressed(code: Uint8Array): Uint8Array {
  return brotliCompressSync(code, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: code.length },
  })
}

/** Leaves what the engine provides to it; refuses what a rule cannot have. */
function onlyRules(provided: readonly string[]): Plugin {
  return {
    name: 'only-rules',
    setup({ onResolve }) {
      onResolve({ filter: /^ricci(\/|$)/ }, ({ path }) => {
        if (provided.includes(path)) return { path, external: true }
        const text =
          path === 'ricci/test'
            ? 'rules cannot import "ricci/test": it is for files named ….test.ts'
            : `rules cannot import "${path}": it is for tools; what rules may use comes from 'ricci'`
        return { errors: [{ text }] }
      })
      onResolve({ filter: /./ }, ({ path, kind }) => {
        if (kind === 'dynamic-import') {
          return { errors: [{ text: 'rules import at the top of the file only; write import … from' }] }
        }
        if (!isBuiltin(path)) return undefined
        return {
          errors: [
            {
              text: `rules cannot import "${path}": a rule sees events and nothing else of the machine; take the import out`,
            },
          ],
        }
      })
    },
  }
}

/** All errors of a build, each with its excerpt; paths as seen from where the command runs. */
function failureText(failure: BuildFailure, root: string): string {
  if (!Array.isArray(failure.errors) || failure.errors.length === 0) return failure.message
  return failure.errors.map((error) => messageText(error, root)).join('\n')
}

function messageText({ text, location }: Message, root: string): string {
  if (location === null) return text
  const before = Buffer.from(location.lineText).subarray(0, location.column).toString()
  return atPlace(
    {
      file: shownPath(root, location.file),
      line: location.line,
      // esbuild counts bytes
      column: before.length + 1,
      length: location.length,
      lineText: location.lineText,
    },
    text.replace(/^Could not resolve "(.*)"$/, 'there is no "$1" to import; is it installed, or its path right?'),
  )
}

/** A file of the rules as a person finds it from the working directory. */
export function shownPath(root: string, file: string): string {
  const shown = relative(process.cwd(), join(root, file))
  return shown.startsWith('..') ? join(root, file) : shown
}

function largest(inputs: Inputs): string {
  const sorted = Object.entries(inputs).sort(([, a], [, b]) => b.bytes - a.bytes)
  return `largest: ${sorted
    .slice(0, 3)
    .map(([file, { bytes }]) => `${file}, ${bytes} bytes`)
    .join('; ')}`
}
