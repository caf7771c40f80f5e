import { parseArgs } from 'node:util'
import { systemClock, type Clock } from '../clock.ts'
import { toMs, type Duration, type Profile } from '../durations.ts'
import { Election } from '../election.ts'
import { ElectionError } from '../errors.ts'
import type { TlsOptions } from '../http.ts'
import { oneOf } from '../options.ts'
import type { Json, LeaseStore } from '../store.ts'
import { storeForms, storeFromUrl } from '../stores/from-url.ts'
import { resign, status, watch } from './look.ts'
import { runWhileLeading } from './run.ts'

/** The help. */
export const usage = `Runs a command on one of several machines at a time, for as long as this one is elected.

usage: elect --store STORE --name NAME [OPTION …] -- COMMAND [ARGUMENT …]
       elect status --store STORE --name NAME [-o json]   who leads, who else is there; exit code 1 when nobody leads
       elect watch  --store STORE --name NAME [-o json]   the same, and each change
       elect resign --store STORE --name NAME [--to ID]   asks the leader to hand over; exit code 1 when nobody else, or not ID, takes it

  --store STORE     where to elect; by default what ELECT_STORE says
${storeForms.map((form) => `                      ${form}`).join('\n')}
  --name NAME       what is elected for; by default what ELECT_NAME says
  --id ID           what this candidate is called; by default host name, process id and chance
  --data JSON       what it publishes about itself
  --profile P       fast, default or calm: how soon a dead leader is noticed, and how short a hitch suspends one
  --lease TIME      instead of the profile's: how long a leader acts without hearing from the store (500ms, 2s …)
  --detect TIME     instead of the profile's: after how long the store declares a silent one dead
  --grace TIME      how long the command may take to end before it is killed; default 10s
  --ca, --cert, --key FILE   for TLS
  --quiet           say nothing but errors

The command is started when this candidate is elected, told to end (SIGTERM) when it is suspended or deposed, and killed after the grace; elected again,
it is started again. When it ends by itself, elect resigns and exits with its exit code. SIGTERM and SIGINT are passed on. In its environment are ELECT_TOKEN (a number,
higher than that of every leader before: pass it on to what can refuse lower ones), ELECT_NAME and ELECT_ID. Should elect itself be killed or stopped,
a guard beside it ends the command.
Secrets come from the environment: CONSUL_HTTP_TOKEN, ETCD_USER and ETCD_PASSWORD, PGPASSWORD.`

/** What the command works with; tests hand in their own. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  readonly clock: Clock
  readonly out: (line: string) => void
  readonly err: (line: string) => void
  /** Aborts with the name of the signal that asks us to stop. */
  readonly stop: AbortSignal
  /** The file of the guard that runs commands. */
  readonly guard: URL
}

const options = {
  store: { type: 'string' },
  name: { type: 'string' },
  id: { type: 'string' },
  data: { type: 'string' },
  profile: { type: 'string' },
  lease: { type: 'string' },
  detect: { type: 'string' },
  grace: { type: 'string', default: '10s' },
  to: { type: 'string' },
  output: { type: 'string', short: 'o', default: 'table' },
  ca: { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
  quiet: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

const outputs = ['table', 'json']
const subcommands = ['status', 'watch', 'resign']

/** The exit codes that are not the command's own. */
const failed = 1
const usageWrong = 2

/** Work under a term may take this much longer than the command's own grace, in ms: the guard has to report it. */
const reportMs = 2000

/**
 * The program `elect`; gives its exit code: the command's, or 0 done, 1 failed, 2 for a wrong command line.
 * @param args what stands after the program's name
 */
export async function elect(args: readonly string[], surroundings: Surroundings = ofThisProcess()): Promise<number> {
  // Timers of an election do not keep a process alive; a command goes on until it has done what it was asked.
  const anchor = surroundings.clock.hold?.()
  try {
    return await carryOut(args, surroundings)
  } finally {
    anchor?.cancel()
  }
}

async function carryOut(args: readonly string[], surroundings: Surroundings): Promise<number> {
  const at = args.indexOf('--')
  const [before, command] = at < 0 ? [args, []] : [args.slice(0, at), args.slice(at + 1)]
  try {
    const { values, positionals } = parseArgs({ args: [...before], options, allowPositionals: true })
    if (values.help) return (surroundings.out(usage), 0)
    const [subcommand] = positionals
    if (positionals.length > 1 || (subcommand !== undefined && !subcommands.includes(subcommand))) {
      throw new ElectionError(
        'OPTION_INVALID',
        `there is no subcommand ${positionals.join(' ')}; a command to run stands after --`,
        false,
      )
    }
    if (subcommand === undefined && command.length === 0) {
      throw new ElectionError('OPTION_INVALID', 'a command to run is missing: it stands after --', false)
    }
    oneOf(values.output, outputs, 'output')
    const name = required(values.name ?? surroundings.env.ELECT_NAME, 'name', 'ELECT_NAME')
    const url = required(values.store ?? surroundings.env.ELECT_STORE, 'store', 'ELECT_STORE')
    const store = storeFromUrl(url, { tls: tlsOf(values), env: surroundings.env })
    if (subcommand === 'status') return await status(store, name, values.output, surroundings)
    if (subcommand === 'watch') return await watch(store, name, values.output, surroundings)
    if (subcommand === 'resign') return await resign(store, name, values.to, surroundings)
    return await run(store, name, values, command, surroundings)
  } catch (error) {
    if (surroundings.stop.aborted) return failed
    surroundings.err(`elect: ${(error as Error).message}`)
    const wrong = error instanceof ElectionError ? error.code === 'OPTION_INVALID' : isArgumentError(error)
    if (wrong) surroundings.err('elect --help tells more')
    return wrong ? usageWrong : failed
  }
}

interface RunValues {
  readonly id?: string
  readonly data?: string
  readonly profile?: string
  readonly lease?: string
  readonly detect?: string
  readonly grace: string
  readonly quiet: boolean
}

/** What a command works with in this process: its streams, its signals, the guard beside the program. */
export function ofThisProcess(): Surroundings {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort(signal))
  // Nobody reads any more what is looked at. What is only said does not end a command.
  process.stdout.on('error', () => stop.abort('SIGPIPE'))
  process.stderr.on('error', () => undefined)
  return {
    env: process.env,
    clock: systemClock,
    out: (line) => console.log(line),
    err: (line) => console.error(line),
    stop: stop.signal,
    guard: new URL('./elect-guard.mjs', import.meta.url),
  }
}

async function run(
  store: LeaseStore,
  name: string,
  values: RunValues,
  [command, ...args]: readonly string[],
  { env, clock, err, stop, guard }: Surroundings,
): Promise<number> {
  const graceMs = toMs(values.grace, 'grace')
  const election = new Election({
    name,
    store,
    clock,
    grace: graceMs + reportMs,
    ...(values.id !== undefined && { id: values.id }),
    ...(values.data !== undefined && { data: jsonOf(values.data) }),
    ...(values.profile !== undefined && { profile: values.profile as Profile }),
    ...(values.lease !== undefined && { lease: values.lease as Duration }),
    ...(values.detect !== undefined && { detect: values.detect as Duration }),
  })
  const say = (line: string): void => {
    if (!values.quiet) err(`elect: ${line}`)
  }
  // What no further try will mend ends the campaign, and is said then.
  election.on('warning', (error) => error === election.group.failure || err(`elect: ${error.message}`))
  election.on('leader', (leader) => {
    if (leader?.id !== election.group.id)
      say(leader === undefined ? `nobody leads ${name}` : `${leader.id} leads ${name}`)
  })
  say(`${election.group.id} stands for ${name} in ${store.description}`)
  return runWhileLeading(election, { command, args, graceMs, guard, env, clock, say }, stop)
}

function required(value: string | undefined, option: string, variable: string): string {
  if (value !== undefined && value !== '') return value
  throw new ElectionError('OPTION_INVALID', `--${option} is missing, and ${variable} is not set`, false)
}

function jsonOf(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch (error) {
    throw new ElectionError('OPTION_INVALID', `--data is no JSON: ${text}`, false, { cause: error })
  }
}

function tlsOf({
  ca,
  cert,
  key,
}: {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}): TlsOptions | undefined {
  if (ca === undefined && cert === undefined && key === undefined) return undefined
  return { ...(ca !== undefined && { ca }), ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) }
}

/** What `parseArgs` says of an option that is not there, or of a value that is missing. */
function isArgumentError(error: unknown): boolean {
  return error instanceof TypeError && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS')
}
