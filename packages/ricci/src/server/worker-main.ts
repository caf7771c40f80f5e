/** What runs in an engine's worker: the log's follower, the engine, and the host that carries both to the main thread. */
import { parentPort, workerData } from 'node:worker_threads'
import { createEngine, type Engine } from '@ricci/engine'
import { InThreadHost } from '@ricci/replica'
import type { EvaluatedRules } from '../rules/evaluate.ts'
import { namesUsed } from '../rules/names-used.ts'
import { RateLimit } from '../telemetry/rate-limit.ts'
import type { ToldPage } from '../telemetry/internal-events.ts'
import { FollowingLog } from './following-log.ts'
import { HostServer } from './host-server.ts'
import { commandsText, listedText } from './incidents-text.ts'
import { logOf } from './log-of.ts'
import { nodeClock } from './node-clock.ts'
import { ProgressWords } from './progress-words.ts'
import type { FromWorker, Inspection, RulesInForce, WorkerSetup } from './worker-protocol.ts'

/** Errors of one operator that are told a minute; the engine counts them all. */
const ruleErrorsPerMinute = 5

/** Evaluates a bundle; `nowMs` is the engine's calendar. */
export type BundleLoader = (bundle: Uint8Array, nowMs: () => number) => EvaluatedRules

/** Runs an engine in this worker thread until the thread is ended. */
export function runEngineWorker(loadBundle: BundleLoader): void {
  const setup = workerData as WorkerSetup
  const { partition } = setup
  const port = parentPort!
  const words = new ProgressWords(setup.words)
  const log = logOf(setup.log)
  const limit = new RateLimit(ruleErrorsPerMinute, 60_000, () => nodeClock.monotonicMs())
  const say = (message: FromWorker): void => port.postMessage(message)
  let engine: Engine | undefined
  let inForce: Uint8Array | undefined
  new HostServer(
    port,
    (events) => {
      // at once, not with a report: an event behind the rules may stall the engine before there is one
      const sayOperators = (): void => say({ type: 'operators', paths: running(engine).operatorPaths() })
      // of the newest rules: an error is told at the line of their own file
      let explain: (error: unknown) => string = textOf
      // those of the last record: in force, unless the engine refused them
      let loaded: (Omit<RulesInForce, 'offset'> & { readonly bundle: Uint8Array }) | undefined
      const sayRules = (switched?: RulesInForce['switched']): void => {
        const { bundle, ...rules } = loaded!
        inForce = bundle
        say({ type: 'rules', rules: { ...rules, offset: running(engine).rulesOffset, ...(switched && { switched }) } })
      }
      const host = new InThreadHost(
        {
          onProgress: (progress) => events.onProgress(progress),
          onFailure: (failure) => events.onFailure(failure),
        },
        {
          log,
          partition,
          clock: nodeClock,
          observer: {
            onRuleError: (path, error, offset) => {
              if (offset < setup.ruleErrorsFrom || limit.pass(path) < 0) return
              say({ type: 'rule-error', path, text: shortened(explain(error)), offset })
            },
            onDecision: (page, offset) => say({ type: 'page-news', news: { offset, page: told(page) } }),
            onSettled: (page, result, offset) => say({ type: 'page-news', news: { offset, page: told(page), result } }),
            onRules: (report, offset) => {
              sayOperators()
              sayRules({ ...report, offset, atMs: running(engine).calendarMs })
            },
          },
          createEngine: ({ snapshot, observer, skips }) => {
            engine = createEngine({
              logId: log.id,
              partition,
              loadRules: ({ bundle, hash, settings }) => {
                const rules = loadBundle(bundle, () => engine?.calendarMs ?? 0)
                explain = rules.explain
                // a copy: the record's bytes are the log reader's
                loaded = { hash, settings, ...namesUsed(rules.description), bundle: new Uint8Array(bundle) }
                return rules.description
              },
              observer,
              snapshot,
              skips,
              progress: words.engine,
            })
            words.applied(engine.appliedOffset)
            sayOperators()
            // readers of the generation before go on where they were
            if (setup.changesFrom !== undefined) engine.changes(setup.changesFrom)
            // a restore is no switch, and is not told as one
            if (loaded !== undefined) sayRules()
            return watched(engine, words)
          },
        },
      )
      return host
    },
    () => log instanceof FollowingLog && log.wake(),
    {
      inspect: (what) => (what === 'bundle' ? encoded(inForce) : inspect(running(engine), what)),
      changes: (from, options) => running(engine).changes(from, options),
    },
  )
}

/** Says of each record that it is being applied, and that it is. */
function watched(engine: Engine, words: ProgressWords): Engine {
  const apply = engine.apply.bind(engine)
  engine.apply = (offset, bytes, checksum) => {
    words.begin(offset)
    apply(offset, bytes, checksum)
    words.applied(offset)
  }
  return engine
}

function running(engine: Engine | undefined): Engine {
  if (engine === undefined) throw Object.assign(new Error('the engine is not there yet'), { code: 'ENGINE_AWAY' })
  return engine
}

/** Bytes as the text that an inspection gives; empty where there are none. */
function encoded(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64')
}

function inspect(engine: Engine, what: Exclude<Inspection, 'bundle'>): string {
  if (what === 'stats') return JSON.stringify(engine.stats())
  if (what === 'operators') return JSON.stringify(engine.operatorStats())
  if ('commands' in what) return commandsText(engine, what.commands)
  return listedText(engine, what)
}

/** Of a page what log and metrics tell. */
function told({ action, rule, receiver, summary }: ToldPage): ToldPage {
  return { action, rule, receiver, summary }
}

/** What a user's function threw while no rules could explain it. */
function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

/** Text of bearable length. */
function shortened(text: string): string {
  return text.length > 500 ? `${text.slice(0, 499)}…` : text
}
