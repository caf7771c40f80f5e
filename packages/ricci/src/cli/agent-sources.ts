/** What `ricci agent` is told to measure besides the machine itself: its flags, and the variables that stand for them. */
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { commandSource } from '../agent/commands/command-source.ts'
import { clockSource } from '../agent/commands/clock-source.ts'
import { Slots } from '../agent/commands/slots.ts'
import { unitSource } from '../agent/commands/units.ts'
import type { Survey } from '../agent/probe.ts'
import { surveys } from '../agent/probes/index.ts'
import { thisProcessTable } from '../agent/probes/process-table.ts'
import { scrapeSource, type ScrapeOptions } from '../agent/scrape/scrape-source.ts'
import { type EventSource, phaseOf, type SourceSurroundings } from '../agent/sources.ts'
import { Secret } from '../config/secret.ts'
import { parseDuration, parseSize } from '../config/units.ts'
import { CommandError, ExitCode } from './surroundings.ts'

type Environment = Readonly<Record<string, string | undefined>>

export interface SourceWords {
  readonly scrape?: readonly string[]
  readonly command?: readonly string[]
  readonly process?: readonly string[]
  readonly unit?: readonly string[]
}

/** What the agent is given of them. */
export interface AgentSources {
  readonly sources: readonly EventSource[]
  readonly surveys: readonly Survey[]
}

/** Targets and commands of one agent: a machine that has more has them from a program, and that may start several agents. */
const maxOfAKind = 100

/** What one target may give at most, whatever it is told: as many events as the agent keeps, and what an exporter takes for them, held in memory as a whole. */
const mostSeries = 50_000
const mostBytes = 64 * 1024 * 1024

/** Commands at work at a time: each is a program that is loaded and run on a machine that has something else to do. */
const maxCommandsAtOnce = 4

/** Shorter intervals cost more than they tell; longer ones outlast what an index should hold. */
const leastMs = 1_000
const mostMs = 86_400_000

const scrapeExample = 'http://127.0.0.1:9100/metrics job=node interval=15s drop=go_*,process_*'
const commandExample = 'ntp interval=60s timeout=10s -- /usr/lib/nagios/plugins/check_ntp_time -H pool.ntp.org'

/** Adds the flags. Each may be repeated; `RICCI_SCRAPE` and every variable that begins with `RICCI_SCRAPE_` stand for one, and so on. */
export function withSourceOptions(command: Command): Command {
  const words: [flag: string, what: string][] = [
    ['--scrape <target>', `scrape a Prometheus endpoint: "${scrapeExample}"`],
    ['--command <name -- line>', `run a command at an interval: "${commandExample}"`],
    ['--process <names>', 'watch processes of these names (as ps -o comm shows them): "nginx,postgres"'],
    ['--unit <names>', 'watch these units of systemd: "nginx.service,cron.service"'],
  ]
  for (const [flag, what] of words) {
    command.option(flag, `${what}; may be repeated`, (value: string, before: string[] = []) => [...before, value])
  }
  return command
}

/**
 * Reads the flags, or where there are none of a kind the environment.
 * @throws CommandError with exit code 2 and what to do
 */
export function agentSources(words: SourceWords, env: Environment, surroundings: SourceSurroundings): AgentSources {
  const given = (kind: keyof SourceWords) => words[kind] ?? fromEnvironment(kind, env)
  const targets = atMost('scrape', given('scrape')).map((text) => target(text, env))
  const jobs = targets.map(({ job }) => job)
  const twice = jobs.find((job, i) => jobs.indexOf(job) !== i)
  if (new Set(jobs).size < jobs.length) {
    const what = twice === undefined ? 'no job' : `the job "${twice}"`
    throw usage(`two targets to scrape have ${what}, and their series could not be told apart; add job=NAME to one`)
  }
  const lines = atMost('command', given('command')).map(commandLine)
  const again = lines.find(({ name }, i) => lines.findIndex((other) => other.name === name) !== i)
  if (again !== undefined) throw usage(`two commands have the name "${again.name}"; give each one of its own`)
  const slots = new Slots(maxCommandsAtOnce)
  const childEnv = environmentOfChildren(env)
  return {
    sources: [
      ...targets.map((one, i) => scrapeSource({ ...one, phase: phaseOf(i, targets.length) }, surroundings)),
      ...lines.map((one, i) =>
        commandSource({ ...one, env: childEnv, slots, phase: phaseOf(i, lines.length) }, surroundings),
      ),
      unitSource(names(given('unit')), childEnv, surroundings),
      clockSource(childEnv, surroundings),
    ],
    surveys: surveys(names(given('process')), thisProcessTable, cpuMs),
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function fromEnvironment(kind: string, env: Environment): string[] {
  const name = `RICCI_${kind.toUpperCase()}`
  return Object.keys(env)
    .filter((key) => key === name || key.startsWith(`${name}_`))
    .sort()
    .flatMap((key) => (env[key] === undefined || env[key].trim() === '' ? [] : [env[key]]))
}

function atMost(kind: string, given: readonly string[]): readonly string[] {
  if (given.length <= maxOfAKind) return given
  throw usage(`--${kind} is given ${given.length} times; one agent takes ${maxOfAKind}`)
}

function names(given: readonly string[]): string[] {
  const all = given.flatMap((text) => text.split(',')).map((name) => name.trim())
  return [...new Set(all.filter((name) => name !== ''))]
}

/** A child sees where programs are, and whose home this is, and none of the agent's own settings. */
function environmentOfChildren(env: Environment): Record<string, string> {
  const kept = ['HOME', 'USER', 'TMPDIR'].flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]]))
  const path = env.PATH ?? '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
  return { ...(Object.fromEntries(kept) as Record<string, string>), PATH: path, LANG: 'C.UTF-8' }
}

type Settings = ReadonlyMap<string, string>

function target(text: string, env: Environment): ScrapeOptions {
  const [url = '', ...rest] = text.trim().split(/\s+/)
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw usage(`"${url}" is no URL of a target to scrape; write it like "${scrapeExample}"`)
  }
  if (parsed.username !== '' || parsed.password !== '') {
    throw usage('a password in a URL is seen by everybody who lists processes; write token=env:NAME or token=file:PATH')
  }
  const known = ['job', 'interval', 'timeout', 'bytes', 'series', 'keep', 'drop', 'rates', 'token', 'ca']
  const set = settings(`the target ${url}`, rest, known)
  const [bytes, series] = [set.get('bytes'), set.get('series')]
  const maxBytes = bytes === undefined ? undefined : parseSize(bytes)
  if (bytes !== undefined && !(maxBytes! > 0 && maxBytes! <= mostBytes)) {
    throw usage(`"bytes=${bytes}" is no size up to 64MiB; write it like bytes=4MB`)
  }
  const maxSeries = series === undefined ? undefined : Number(series)
  if (maxSeries !== undefined && !(Number.isInteger(maxSeries) && maxSeries > 0 && maxSeries <= mostSeries)) {
    throw usage(`"series=${series}" is no number of series up to ${mostSeries}; write it like series=20000`)
  }
  const [token, ca] = [set.get('token'), set.get('ca')]
  return {
    url,
    job: set.get('job'),
    ...times(`the target ${url}`, set, '15s'),
    maxBytes,
    maxSeries,
    keep: patterns(set, 'keep'),
    drop: patterns(set, 'drop'),
    rates: patterns(set, 'rates'),
    ...(token !== undefined && { token: tokenOf(token, env) }),
    ...(ca !== undefined && { ca: certificates(ca) }),
  }
}

function commandLine(text: string) {
  const match = /^\s*(\S+)((?:\s+\S+=\S*)*)\s+--\s+(\S[^]*)$/.exec(text)
  if (match === null) throw usage(`"${text}" is no command; write NAME -- LINE, like "${commandExample}"`)
  const [, name, rest, command] = match
  const set = settings(`the command ${name}`, rest.trim() === '' ? [] : rest.trim().split(/\s+/), [
    'interval',
    'timeout',
  ])
  return { name, command: command.trim(), ...times(`the command ${name}`, set, '60s') }
}

function settings(whose: string, words: readonly string[], known: readonly string[]): Settings {
  const set = new Map<string, string>()
  for (const word of words) {
    const at = word.indexOf('=')
    const name = at < 0 ? word : word.slice(0, at)
    if (!known.includes(name) || at < 0 || at === word.length - 1) {
      throw usage(`"${word}" is no setting of ${whose}; it takes ${known.map((one) => `${one}=…`).join(' ')}`)
    }
    set.set(name, word.slice(at + 1))
  }
  return set
}

/** Unless told, one waits ten seconds, and never until the next time. */
const defaultTimeoutMs = 10_000

function times(
  whose: string,
  set: Settings,
  usual: string,
): { readonly intervalMs: number; readonly timeoutMs: number } {
  const interval = set.get('interval') ?? usual
  const intervalMs = parseDuration(interval)
  if (intervalMs === undefined || intervalMs < leastMs || intervalMs > mostMs) {
    throw usage(`"interval=${interval}" of ${whose} is no interval; write one from 1s to 1d, like interval=${usual}`)
  }
  const timeout = set.get('timeout')
  const timeoutMs = timeout === undefined ? Math.min(defaultTimeoutMs, intervalMs) : parseDuration(timeout)
  if (timeoutMs === undefined || timeoutMs < 1 || timeoutMs > intervalMs) {
    throw usage(
      `"timeout=${timeout}" of ${whose} is no time up to its interval of ${interval}; write it like timeout=5s`,
    )
  }
  return { intervalMs, timeoutMs }
}

function patterns(set: Settings, name: string): string[] | undefined {
  return set
    .get(name)
    ?.split(',')
    .filter((pattern) => pattern !== '')
}

/** A token is a line in a file; longer ones are not tokens. */
const maxTokenBytes = 16_384

function tokenOf(text: string, env: Environment): () => Promise<string> {
  const [, from, where] = /^(env|file):(.+)$/.exec(text) ?? []
  if (from === undefined)
    throw usage('a token is not written out, others would see it; write token=env:NAME or token=file:PATH')
  if (from === 'file') return async () => checkedToken(await readFile(where, 'utf8'))
  const value = env[where]
  if (value === undefined || value === '')
    throw usage(`the environment variable ${where}, which holds a token, is not set`)
  const secret = new Secret(value)
  return async () => checkedToken(secret.reveal())
}

function checkedToken(text: string): string {
  const token = text.trim()
  if (token.length > maxTokenBytes || !/^[\x21-\x7e]+$/.test(token)) throw new Error('what is there is no token')
  return token
}

function certificates(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw usage(`the certificates in ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

function usage(message: string): CommandError {
  return new CommandError(ExitCode.usage, message)
}
