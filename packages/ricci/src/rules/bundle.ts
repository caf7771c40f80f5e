/** From a folder of TypeScript to the bytes that the rules record carries: no build step for the user, no surprise for a replica. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { join, relative, resolve } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { build, type BuildFailure, type Message, type Plugin } from 'esbuild'
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
  const entry = entryNames.find((name) => existsSync(join(root, name)))
  if (entry === undefined) {
    throw new RicciError(
      'RULES_UNREADABLE',
      `there are no rules in ${root}: write an index.ts that ends with \`export default rules(…)\``,
    )
  }
  const result = await build({
    absWorkingDir: root,
    entryPoints: [entry],
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
    plugins: [onlyRules],
  }).catch((failure: BuildFailure) => {
    throw new RicciError('RULES_INVALID', failureText(failure, root), { cause: failure })
  })
  const code = result.outputFiles[0].contents
  const bundle = brotliCompressSync(code, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 9, [constants.BROTLI_PARAM_SIZE_HINT]: code.length },
  })
  if (bundle.length > maxBundleBytes) {
    throw new RicciError(
      'RULES_TOO_LARGE',
      `the rules of ${root} are ${bundle.length} bytes when compressed, ${maxBundleBytes} are allowed; import less (${largest(result.metafile.inputs)})`,
    )
  }
  return {
    bundle,
    hash: createHash('sha256').update(code).digest('hex'),
    files: Object.keys(result.metafile.inputs).sort(),
  }
}

/** Leaves `ricci` to the engine; refuses what a rule cannot have. */
const onlyRules: Plugin = {
  name: 'only-rules',
  setup({ onResolve }) {
    onResolve({ filter: /^ricci$/ }, () => ({ path: 'ricci', external: true }))
    onResolve({ filter: /^ricci\// }, ({ path }) => ({
      errors: [{ text: `rules cannot import "${path}": it is for tools; what rules may use comes from 'ricci'` }],
    }))
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

function largest(inputs: Readonly<Record<string, { bytes: number }>>): string {
  const sorted = Object.entries(inputs).sort(([, a], [, b]) => b.bytes - a.bytes)
  return `largest: ${sorted
    .slice(0, 3)
    .map(([file, { bytes }]) => `${file}, ${bytes} bytes`)
    .join('; ')}`
}
