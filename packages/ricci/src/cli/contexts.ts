/** The small file in which somebody keeps which servers there are, and with which token they are asked. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { isScalar, parseDocument, type Document } from 'yaml'
import { z } from 'zod'
import { fieldsOf } from '../config/fields.ts'
import { didYouMean } from '../config/nearest.ts'
import { CommandError, ExitCode, type Surroundings } from './surroundings.ts'

/** A server, or several of one cluster, of which any may be asked. */
export interface Context {
  readonly urls: readonly string[]
  readonly token?: string
  /** Who signed the servers' certificates, as PEM text. */
  readonly ca?: string
}

type Env = Surroundings['env']

/** Servers that one context may name: as many as are tried one after another. */
const maxUrls = 16

/** Where the file is: XDG's folder for what a person sets up. */
function contextsFile(env: Env): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || '.', '.config'), 'ricci', 'contexts.yaml')
}

/** The names of all contexts with their urls and where their tokens come from, and the current one; none where there is no file. @throws CommandError */
export function listContexts(env: Env): ContextList {
  const { contexts = {}, current } = read(env)?.raw ?? {}
  return {
    current,
    contexts: Object.entries(contexts).map(([name, { urls, token }]) => ({
      name,
      urls,
      token:
        token === undefined
          ? 'none'
          : typeof token === 'string'
            ? 'in the file'
            : 'env' in token
              ? `$${token.env}`
              : token.file,
    })),
  }
}

export interface ContextList {
  readonly current: string | undefined
  readonly contexts: readonly { readonly name: string; readonly urls: readonly string[]; readonly token: string }[]
}

/** What a context says; without a name the current one, and undefined where there is none. @throws CommandError */
export function contextOf(name: string | undefined, env: Env): Context | undefined {
  const found = read(env)
  const wanted = name ?? found?.raw.current
  if (wanted === undefined) return undefined
  const { raw, file } = found ?? { raw: { contexts: {} }, file: contextsFile(env) }
  const context = ownOf(raw.contexts, wanted, file)
  // of the one that is wanted alone: another's variable need not be set
  const { secret, pem } = fieldsOf({ ...{ env, root: false, folder: dirname(file) }, readFile })
  const wantedParts = z.object({ token: secret('').optional(), ca: pem('').optional() })
  const { token, ca } = checked(wantedParts.safeParse(context), `${file}: ${wanted}`)
  if (typeof context.token === 'string' && (statSync(file).mode & 0o077) !== 0) {
    const text = `${file} holds a token and may be read by others; chmod 600 it, or name a file or variable: token: { file: PATH }`
    throw new CommandError(ExitCode.configuration, text)
  }
  return { urls: context.urls, ...(token && { token: token.reveal() }), ...(ca !== undefined && { ca }) }
}

/** Makes a context the current one. @throws CommandError */
export function useContext(name: string, env: Env): void {
  const found = read(env)
  const file = contextsFile(env)
  ownOf(found?.raw.contexts ?? {}, name, file)
  const { text, document } = found!
  // the name alone is replaced: how the rest is written is its owner's
  const node = document.get('current', true)
  const [from, to] = isScalar(node) ? node.range! : [0, 0]
  const quoted = JSON.stringify(name)
  const written = isScalar(node) ? quoted : `current: ${quoted}\n`
  writeFileSync(file, text.slice(0, from) + written + text.slice(to))
}

const tokenShape = z.union(
  [z.string().min(1), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
  { error: 'a token is { env: NAME }, { file: PATH } or the text itself' },
)

const shape = z.strictObject({
  current: z.string().optional(),
  contexts: z.record(
    z.string(),
    z.strictObject({
      urls: z
        .array(
          z.string().refine((text) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol), {
            error: 'an address beginning with http:// or https:// is needed here',
          }),
        )
        .min(1)
        .max(maxUrls),
      token: tokenShape.optional(),
      ca: z.string().min(1).optional(),
    }),
  ),
})

type Raw = z.output<typeof shape>

const readFile = (path: string): string => readFileSync(path, 'utf8')

/** The file as it is written, and what it says. */
interface ContextsFile {
  readonly file: string
  readonly text: string
  readonly document: Document
  readonly raw: Raw
}

function read(env: Env): ContextsFile | undefined {
  const file = contextsFile(env)
  let text: string
  try {
    text = readFile(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new CommandError(ExitCode.configuration, `${file} cannot be read (${code})`, { cause: error })
  }
  const document = parseDocument(text, { prettyErrors: false })
  if (document.errors.length > 0) {
    throw new CommandError(ExitCode.configuration, `${file} is no YAML: ${document.errors[0].message.split('\n')[0]}`)
  }
  return { file, text, document, raw: checked(shape.safeParse(document.toJS()), file) }
}

function checked<T>(result: z.ZodSafeParseResult<T>, where: string): T {
  if (result.success) return result.data
  const [{ path, message }] = result.error.issues
  // never the value: it may be a token
  throw new CommandError(
    ExitCode.configuration,
    `${where}: ${path.length === 0 ? '' : `${path.join('.')}: `}${message}`,
  )
}

function ownOf(contexts: Raw['contexts'], name: string, file: string): Raw['contexts'][string] {
  if (Object.hasOwn(contexts, name)) return contexts[name]
  const names = Object.keys(contexts)
  const meant = didYouMean(name, names)
  const there = names.length === 0 ? 'it has none; docs/access.md shows how to write one' : `it has ${names.join(', ')}`
  const sentence = meant === '' ? `; ${there}` : `${meant} I${there.slice(1)}`
  throw new CommandError(ExitCode.usage, `${file} has no context "${name}"${sentence}`)
}
