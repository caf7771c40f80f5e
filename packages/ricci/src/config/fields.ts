/** What fields of the configuration are made from. Each says what it takes, checks it with a sentence that says what to do, and gives it in Ricci's units. */
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { Secret } from './secret.ts'
import type { StateOf } from './state-folder.ts'
import { parseAddress, parseDuration, parseSize } from './units.ts'

/** What resolving a configuration needs from the outside. */
export interface ConfigSurroundings extends StateOf {
  /** Where relative paths in the file start: the file's own folder. */
  readonly folder: string
  readFile(path: string): string
}

/** RFC 9110, 5.5: whoever sends another gets an error with each page instead of sending it. */
const headerValue = /^[\t\x20-\x7e\x80-\xff]*$/

/** Makes fields; the surroundings are needed for secrets and relative paths only. */
export function fieldsOf(surroundings: ConfigSurroundings) {
  const path = (what: string) =>
    z
      .string()
      .min(1)
      .describe(what)
      .transform((text) => (isAbsolute(text) ? text : join(surroundings.folder, text)))

  const duration = (what: string, shortest: string, longest: string) =>
    z
      .string({ error: 'a duration needs its unit, like 30s, 15m or 24h' })
      .describe(what)
      .transform((text, context) => {
        const ms = parseDuration(text)
        if (ms === undefined) return fail(context, `"${text}" is no duration; write it like 500ms, 30s, 15m, 24h or 7d`)
        if (ms < parseDuration(shortest)! || ms > parseDuration(longest)!) {
          return fail(context, `${text} is out of range: from ${shortest} to ${longest}`)
        }
        return ms
      })

  const size = (what: string, smallest: string, largest: string) =>
    z
      .string({ error: 'a size needs its unit, like 64MiB or 10GB' })
      .describe(what)
      .transform((text, context) => {
        const bytes = parseSize(text)
        if (bytes === undefined) return fail(context, `"${text}" is no size; write it like 512kB, 64MiB or 10GB`)
        if (bytes < parseSize(smallest)! || bytes > parseSize(largest)!) {
          return fail(context, `${text} is out of range: from ${smallest} to ${largest}`)
        }
        return bytes
      })

  const count = (what: string, least: number, most: number) =>
    z
      .int({ error: 'a whole number is needed here' })
      .min(least, { error: `out of range: from ${least} to ${most}` })
      .max(most, { error: `out of range: from ${least} to ${most}` })
      .describe(what)

  const address = (what: string) =>
    z
      .union([z.literal('off'), z.literal(false), z.string()], { error: 'an address is host:port, or off' })
      .describe(what)
      .transform((text, context) => {
        if (text === false || text === 'off') return undefined
        return (
          parseAddress(text) ?? fail(context, `"${text}" is no address; write host:port like 127.0.0.1:5555, or off`)
        )
      })

  const requiredAddress = (what: string) =>
    z
      .string()
      .describe(what)
      .transform(
        (text, context) =>
          parseAddress(text) ?? fail(context, `"${text}" is no address; write host:port like 10.0.0.1:5557`),
      )

  const secret = (what: string) =>
    z
      .union(
        [z.string().min(1), z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
        {
          error: 'a secret is { env: NAME }, { file: PATH } or the text itself',
        },
      )
      .describe(what)
      .transform((value, context) => {
        if (typeof value === 'string') return new Secret(value)
        if ('env' in value) {
          const found = surroundings.env[value.env]
          if (found === undefined || found === '') {
            return fail(context, `the environment variable ${value.env} is not set; set it before Ricci starts`)
          }
          return new Secret(found)
        }
        const file = isAbsolute(value.file) ? value.file : join(surroundings.folder, value.file)
        try {
          const text = surroundings.readFile(file).trim()
          return text === '' ? fail(context, `${file} is empty; write the secret into it`) : new Secret(text)
        } catch (error) {
          return fail(context, `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`)
        }
      })

  /** A file that can be read: what is wanted of it. */
  const readable = (what: string, wanted: (file: string, text: string) => string) =>
    z
      .string()
      .min(1)
      .describe(what)
      .transform((text, context) => {
        const file = isAbsolute(text) ? text : join(surroundings.folder, text)
        try {
          return wanted(file, surroundings.readFile(file))
        } catch (error) {
          return fail(context, `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`)
        }
      })

  const pem = (what: string) => readable(what, (_file, text) => text)

  const authority = () =>
    pem("file with the certificates of who signed its certificate, instead of Node's own").optional()

  /** Read again and again: its path is kept. */
  const pemFile = (what: string) => readable(what, (file) => file)

  const header = (what: string) =>
    secret(what).refine((value) => headerValue.test(value.reveal()), {
      error: 'a header is one line, without letters beyond U+00FF; write it so, or encode it',
    })

  const url = (what: string) =>
    z
      .string()
      .describe(what)
      .refine(isHttp, { error: 'an address beginning with http:// or https:// is needed here', abort: true })
      .refine(isWithoutLogin, { error: loginInAddress })

  /** An address that may be a secret itself, as those of incoming webhooks are. */
  const secretUrl = (what: string) =>
    secret(`${what}: text, \`{ env: NAME }\` or \`{ file: PATH }\``)
      .refine((value) => isHttp(value.reveal()), {
        error: 'an address beginning with http:// or https:// is needed here',
        abort: true,
      })
      .refine((value) => isWithoutLogin(value.reveal()), { error: loginInAddress })

  return {
    path,
    duration,
    size,
    count,
    address,
    requiredAddress,
    secret,
    pem,
    authority,
    pemFile,
    header,
    url,
    secretUrl,
  }
}

export type Fields = ReturnType<typeof fieldsOf>

const loginInAddress = 'a name or password in an address is not sent; put it into the header Authorization'

function isHttp(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)
}

function isWithoutLogin(text: string): boolean {
  const { username, password } = new URL(text)
  return username === '' && password === ''
}

/** Adds the problem to what zod reports, at the value's own place. */
export function fail(context: z.core.$RefinementCtx, message: string): never {
  context.issues.push({ code: 'custom', message, input: context.value })
  return z.NEVER
}
