/** Reading the server's configuration: YAML text in, a checked {@link Config} out, every mistake shown at its place. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import {
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type Pair,
} from 'yaml'
import type { z } from 'zod'
import type { ConfiguredToken } from '../access/token.ts'
import { RicciError } from '../errors.ts'
import { atPlace } from './excerpt.ts'
import { didYouMean } from './nearest.ts'
import { keysAt } from './reference.ts'
import { receiverKinds } from '../receivers/kinds.ts'
import type { ConfiguredReceiver } from '../receivers/kind.ts'
import type { ConfiguredSink } from '../sinks/kind.ts'
import type { ConfigSurroundings } from './fields.ts'
import { configSchema, type ParsedConfig } from './schema.ts'
import type { Secret } from './secret.ts'
import type { Address } from './units.ts'

/** What the daemon runs with. Paths are absolute, durations milliseconds, sizes bytes; secrets are resolved and hidden. */
export interface Config {
  readonly instance: string
  readonly dataFolder: string
  readonly rulesFolder: string
  /** Absent: that listener is off. Port 0: any free one. */
  readonly listen: {
    readonly tcp?: Address
    readonly udp?: Address
    readonly tls?: Address
    readonly http?: Address
    readonly sse?: Address
    readonly graphite?: Address
    readonly opentsdb?: Address
  }
  /** Files for `listen.tls` and `http.tls`. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca?: string }
  /** Absent: this server works alone. */
  readonly cluster?: ClusterConfig
  /** By name; `console` is always among them. */
  readonly receivers: ReadonlyMap<string, ConfiguredReceiver>
  /** Where flows go, by name. */
  readonly sinks: ReadonlyMap<string, ConfiguredSink>
  readonly fallback: string
  readonly self: string | undefined
  /** Absent: no drill but those that are asked for. */
  readonly drill?: { readonly to: string; readonly everyMs: number }
  /** Goes into the rules record as it is. */
  readonly engine: EngineSettings
  readonly intake: {
    readonly maxConnections: number
    readonly idleTimeoutMs: number
    readonly maxFrameBytes: number
    readonly maxUnsettledBytes: number
  }
  readonly http: {
    readonly allowedHosts: readonly string[]
    /** With the certificates of `tls`. */
    readonly tls: boolean
    readonly requireToken: boolean
    readonly tokens: readonly ConfiguredToken[]
    readonly requestsPerMinute: number
  }
  readonly retention: { readonly ageMs: number; readonly bytes: number }
}

/** Where servers that do the same work meet. */
export interface ClusterConfig {
  /** AMQP addresses. */
  readonly brokers: readonly Secret[]
  /** Addresses of the brokers' management APIs; none where they are not to be asked. */
  readonly management: readonly Secret[]
  /** Address of the coordination store. */
  readonly store: string
  /** How many the log has; fixed when it is made. */
  readonly partitions: number
  /** What fails together with this instance. */
  readonly zone?: string
  /** Where other instances reach this one, and what they are told where that is not the same. */
  readonly listen: Address
  readonly address?: Address
  /** What instances know each other by: a secret, or certificates in PEM text. */
  readonly identity: { readonly secret: Secret } | { readonly ca: string; readonly cert: string; readonly key: string }
  /** Of the brokers, in PEM text. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
}

/** Settings of the engine as they stand in the rules record. */
export interface EngineSettings {
  readonly defaultTtlSeconds: number
  readonly graceMs: number
  readonly stalenessMs: number
  readonly keepKeys: 'all' | readonly string[]
  readonly forksPerBy: number
  readonly symbols: number
  readonly indexRows: number
  readonly eventsPerBuffer: number
  readonly pagesPerMinute: number
  readonly pendingPerReceiver: number
  /** Names of receivers. */
  readonly bothWhenOvertaken: readonly string[]
  /** Names of receivers. */
  readonly acknowledging: readonly string[]
  readonly acknowledgedMs: number
}

/** More mistakes than this are not listed: the first ones tell the story. */
const maxProblems = 10

/**
 * Reads and checks a configuration file.
 * @throws RicciError `CONFIG_UNREADABLE` when the file cannot be read, `CONFIG_INVALID` with one excerpt per mistake.
 */
export function loadConfig(file: string, surroundings: Partial<ConfigSurroundings> = {}): Config {
  const path = resolve(file)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'error'
    throw new RicciError(
      'CONFIG_UNREADABLE',
      `the configuration ${path} cannot be read (${code}); is the path right?`,
      {
        cause: error,
      },
    )
  }
  return parseConfig(text, file, { folder: dirname(path), ...surroundings })
}

/** The configuration without a file: all defaults, relative to a folder. */
export function defaultConfig(folder: string, surroundings: Partial<ConfigSurroundings> = {}): Config {
  return parseConfig('', '(defaults)', { ...surroundings, folder })
}

/**
 * Checks a configuration's text.
 * @param file what to call the file in messages
 * @throws RicciError `CONFIG_INVALID`: its message shows each mistake with file, line and a caret.
 */
export function parseConfig(text: string, file: string, surroundings: Partial<ConfigSurroundings> = {}): Config {
  const source = new Source(text, file)
  const { errors } = source.document
  if (errors.length > 0) {
    throw invalid(
      errors.map(({ code, message, pos }) =>
        source.problem(
          [pos[0], pos[1]],
          code === 'MULTIPLE_DOCS'
            ? 'a second document begins here; keep one, and no line of --- within it'
            : firstSentence(message),
        ),
      ),
    )
  }
  const schema = configSchema({
    folder: process.cwd(),
    env: process.env,
    root: process.getuid?.() === 0,
    readFile: (path) => readFileSync(path, 'utf8'),
    ...surroundings,
  })
  const result = schema.safeParse(source.values() ?? {}, { reportInput: true })
  if (!result.success) throw invalid(result.error.issues.flatMap((issue) => problemsOf(issue, source)))
  return finish(result.data, source)
}

/** Checks what no single field can tell, and gives things their unit's name. */
function finish(parsed: ParsedConfig, source: Source): Config {
  const receivers = new Map<string, ConfiguredReceiver>(Object.entries(parsed.receivers))
  const problems: string[] = []
  if (receivers.has('self')) {
    const message = 'the name self stands for the receiver that the key "self" names; give this one another name'
    problems.push(source.problemAtKey(['receivers'], 'self', message))
  }
  if (receivers.get('console')?.type !== 'console') {
    const message =
      'console is always there and prints; a receiver of another type needs another name, and the rules that page it'
    problems.push(source.problemAtKey(['receivers'], 'console', message))
  }
  const { tcp, http } = parsed.listen
  if (tcp !== undefined && http !== undefined && sharePort(tcp, http)) {
    const message = `tcp and http cannot both listen on port ${http.port}; give one of them another`
    problems.push(source.problemAt(['listen', 'http'], message))
  }
  for (const key of ['fallback', 'self', 'drill'] as const) {
    const name = key === 'drill' ? parsed.drill?.to : parsed[key]
    if (name === undefined) continue
    const receiver = receivers.get(name)
    if (receiver === undefined) {
      problems.push(
        source.problemAt(
          key === 'drill' ? [key, 'to'] : [key],
          `there is no receiver "${name}"${didYouMean(name, receivers.keys())}; name one of receivers`,
        ),
      )
    } else if (key === 'self' && receiver.class !== 'A') {
      problems.push(
        source.problemAt(
          [key],
          `"${name}" is of class ${receiver.class}; self may be sent more than once and needs a receiver of class A`,
        ),
      )
    }
  }
  if (parsed.cluster !== undefined && (parsed.cluster.secret === undefined) === (parsed.cluster.peers === undefined)) {
    const message = 'instances know each other by a secret or by certificates; give "secret", or "peers", not both'
    problems.push(source.problemAtKey([], 'cluster', message))
  }
  if (parsed.listen.tls !== undefined && parsed.tls === undefined) {
    const message = 'TLS needs a certificate; add "tls" with "cert" and "key"'
    problems.push(source.problemAt(['listen', 'tls'], message))
  }
  if (parsed.http.tls && parsed.tls === undefined) {
    const message = 'TLS needs a certificate; add "tls" with "cert" and "key"'
    problems.push(source.problemAt(['http', 'tls'], message))
  }
  for (const [at, { name, sha256 }] of parsed.http.tokens.entries()) {
    const others = parsed.http.tokens.slice(0, at)
    if (others.some((other) => other.name === name || other.sha256 === sha256)) {
      const message = `the token "${name}" stands here twice, by its name or by its sha256; give each its own`
      problems.push(source.problemAt(['http', 'tokens', at, 'name'], message))
    }
  }
  if (problems.length > 0) throw invalid(problems)
  const { listen, tls, intake, retention, cluster, drill } = parsed
  const { defaultTtl, grace, staleness, acknowledged, ...limits } = parsed.engine
  return {
    instance: parsed.instance,
    dataFolder: parsed.data,
    rulesFolder: parsed.rules,
    listen,
    ...(tls !== undefined && { tls }),
    ...(cluster !== undefined && { cluster: clusterOf(cluster) }),
    receivers,
    sinks: new Map(Object.entries(parsed.sinks)),
    fallback: parsed.fallback,
    self: parsed.self,
    ...(drill !== undefined && { drill: { to: drill.to, everyMs: drill.every } }),
    engine: {
      ...limits,
      defaultTtlSeconds: defaultTtl / 1000,
      graceMs: grace,
      stalenessMs: staleness,
      acknowledgedMs: acknowledged,
      bothWhenOvertaken: [...receivers].filter(([, { sendOvertaken }]) => sendOvertaken).map(([name]) => name),
      acknowledging: [...receivers].filter(([, { test }]) => test.includes('acknowledge')).map(([name]) => name),
    },
    intake: {
      maxConnections: intake.connections,
      idleTimeoutMs: intake.idleTimeout,
      maxFrameBytes: intake.frameSize,
      maxUnsettledBytes: intake.unsettled,
    },
    http: parsed.http,
    retention: { ageMs: retention.age, bytes: retention.size },
  }
}

function clusterOf(parsed: NonNullable<ParsedConfig['cluster']>): ClusterConfig {
  const { ca, cert, key, secret, peers, ...others } = parsed
  const isPlain = ca === undefined && cert === undefined && key === undefined
  return { ...others, identity: peers ?? { secret: secret! }, ...(!isPlain && { tls: { ca, cert, key } }) }
}

/** Whether two listeners would be in each other's way; port 0 is any free one. */
function sharePort(a: Address, b: Address): boolean {
  const everywhere = ['0.0.0.0', '::']
  return (
    a.port === b.port && a.port !== 0 && (a.host === b.host || [a.host, b.host].some((h) => everywhere.includes(h)))
  )
}

/** The text with its parsed form, able to show any place of it. */
class Source {
  readonly document: Document.Parsed
  readonly #lines = new LineCounter()
  /** The text as it may be shown: what may be a secret is hidden, character by character. */
  readonly #shown: string
  constructor(
    readonly text: string,
    readonly file: string,
  ) {
    this.document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false })
    this.#shown = withoutSecrets(text, this.document)
  }

  /** The values as plain data. @throws RicciError `CONFIG_INVALID` for an alias of nothing, or of too much, and for a name that no object can have */
  values(): unknown {
    const problems: string[] = []
    visit(this.document, {
      Alias: (_, alias) => {
        if (alias.resolve(this.document) !== undefined) return
        const message = `there is no &${alias.source} before this; a text that begins with * needs quotes`
        problems.push(this.problem(rangeOf(alias) ?? [0, 1], message))
      },
      // checks of objects pass over it without a word: what stands there would be missing, and nobody would know
      Pair: (_, pair) => {
        if (keyText(pair) !== '__proto__') return
        problems.push(this.problem(rangeOf(pair.key) ?? [0, 1], '__proto__ is no name that can be used; take another'))
      },
    })
    if (problems.length > 0) throw invalid(problems)
    try {
      return this.document.toJS()
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error
      throw invalid([this.problem([0, 1], 'aliases (*name) stand for more than they may; write it out')])
    }
  }

  /** A message about a range of characters. */
  problem(range: readonly [number, number], message: string): string {
    const { line, col } = this.#lines.linePos(range[0])
    const lineText = this.#shown.split('\n')[Math.max(0, line - 1)] ?? ''
    return atPlace(
      { file: this.file, line: Math.max(1, line), column: Math.max(1, col), length: range[1] - range[0], lineText },
      message,
    )
  }

  /** A message about the value at a path or, where there is none, about the nearest key above it. */
  problemAt(path: readonly PropertyKey[], message: string): string {
    let node: unknown = this.document.contents
    let range: readonly [number, number] = [0, 1]
    for (const step of path) {
      const pair = this.#pairs(node).find((candidate) => keyText(candidate) === String(step))
      const next = pair?.value ?? (isSeq(node) ? node.items[Number(step)] : undefined)
      if (pair !== undefined) range = rangeOf(pair.key) ?? range
      if (next === undefined) return this.problem(range, message)
      node = next
    }
    return this.problem(isMap(node) && path.length > 0 ? range : (rangeOf(node) ?? range), message)
  }

  /** A message about a key itself. */
  problemAtKey(path: readonly PropertyKey[], key: string, message: string): string {
    let node: unknown = this.document.contents
    for (const step of path) {
      node = this.#pairs(node).find((candidate) => keyText(candidate) === String(step))?.value
    }
    const pair = this.#pairs(node).find((candidate) => keyText(candidate) === key)
    const range = pair === undefined ? undefined : rangeOf(pair.key)
    return range === undefined ? this.problemAt(path, message) : this.problem(range, message)
  }

  #pairs(node: unknown): Pair[] {
    const resolved = isAlias(node) ? node.resolve(this.document) : node
    return isMap(resolved) ? (resolved.items as Pair[]) : []
  }
}

/** Blocks without secrets. In all others (a name may be mistyped) only these fields are shown. */
const plainBlocks = ['listen', 'engine', 'intake', 'http', 'retention']
const plainFields = ['type', 'class', 'inDoubt', 'sendOvertaken', 'env', 'file', 'role']
/** What is more than a word may have run into the line below it. */
const plainWord = /^[\w./-]+$/

/** A text with each character of what may be a secret as `*`. Messages about a configuration go into logs. */
function withoutSecrets(text: string, document: Document.Parsed): string {
  let shown = text
  visit(document, {
    Scalar: (key, scalar, path) => {
      const keys = path.filter(isPair).map(keyText)
      const [from, to] = rangeOf(scalar) ?? [0, 0]
      // in the place of a secret a key may be one that was cut in two by its colon
      const isName = key === 'key' && (keys.length < 4 || keys[2] === 'headers')
      const isPlain = plainFields.includes(keys.at(-1)!) && plainWord.test(text.slice(from, to))
      // whoever mistakes a token for its hash
      const isToken = keys[0] === 'http' && keys[1] === 'tokens'
      if (isName || isPlain || keys.length < 2 || (plainBlocks.includes(keys[0]) && !isToken)) return
      shown = shown.slice(0, from) + text.slice(from, to).replaceAll(/[^\n]/g, '*') + shown.slice(to)
    },
  })
  return shown
}

function keyText(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : ''
}

function rangeOf(node: unknown): [number, number] | undefined {
  const range = (node as Node | null)?.range
  return range ? [range[0], range[1]] : undefined
}

/** Turns zod's issue into sentences at their places. */
function problemsOf(issue: z.core.$ZodIssue, source: Source): string[] {
  const { path } = issue
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) =>
        source.problemAtKey(
          path,
          key,
          `there is no key "${key}" here${didYouMean(
            key,
            keysAt(path, (at) => source.document.getIn([...at, 'type'])),
          )}`,
        ),
      )
    case 'invalid_key':
      return [source.problemAtKey(path.slice(0, -1), String(path.at(-1)), issue.issues[0]?.message ?? issue.message)]
    case 'invalid_union':
      if (issue.discriminator !== undefined) return [typeProblem(path, source)]
      return [source.problemAt(path, issue.input === undefined ? missing(path) : issue.message)]
    case 'invalid_value':
      return [source.problemAt(path, `one of ${issue.values.map(String).join(', ')} is needed here`)]
    case 'invalid_type':
      return [source.problemAt(path, typeMessage(issue, path))]
    default:
      return [source.problemAt(path, issue.message)]
  }
}

function typeMessage(issue: z.core.$ZodIssueInvalidType, path: readonly PropertyKey[]): string {
  // a message of the schema's own says more than a type's name
  if (!issue.message.startsWith('Invalid input')) return issue.message
  if (issue.input === undefined) return missing(path)
  const names: Readonly<Record<string, string>> = {
    object: 'a block of keys',
    record: 'a block of keys',
    string: 'a text',
  }
  return `${names[issue.expected] ?? `a ${issue.expected}`} is needed here`
}

function missing(path: readonly PropertyKey[]): string {
  return `"${String(path.at(-1))}" is missing here; add it`
}

const receiverTypes = receiverKinds.map(({ type }) => type)

function typeProblem(path: readonly PropertyKey[], source: Source): string {
  const given = source.document.getIn(path)
  const known = `a receiver is of type ${receiverTypes.join(', ')}`
  return typeof given === 'string'
    ? source.problemAt(path, `there is no type "${given}"${didYouMean(given, receiverTypes)}; ${known}`)
    : source.problemAt(path.slice(0, -1), `"type" is missing here; ${known}`)
}

function firstSentence(message: string): string {
  return message.split('\n')[0].replace(/:$/, '')
}

function invalid(problems: readonly string[]): RicciError {
  const shown = problems.slice(0, maxProblems)
  if (problems.length > shown.length) shown.push(`… and ${problems.length - shown.length} more`)
  return new RicciError('CONFIG_INVALID', shown.join('\n'))
}
