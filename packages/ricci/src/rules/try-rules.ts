import { Worker } from 'node:worker_threads'
import type { RulesDifference } from '@ricci/engine'
import type { Clock } from '@ricci/replica'
import { RicciError, type RicciErrorCode } from '../errors.ts'
import type { NamesUsed } from './names-used.ts'
import type { HiddenStateReport } from './hidden-state.ts'
import type { TestsReport } from './run-tests.ts'

/** Rules that take longer to load are taken for an endless loop: 59 rules load in 15 ms. */
const loadLimitMs = 5_000
/** All tests of a folder together: each takes milliseconds, its seconds being virtual. */
const testsLimitMs = 30_000
/** What the search for hidden state may take, besides what it is at. */
const lawsBudgetMs = 1_500
/** What it may take on a machine that is busy with other things. */
const lawsHardLimitMs = 60_000
/** Until a thread that is beyond its limits, and cannot say so because a native call holds it, is ended from outside. */
const nativeCallMs = 10_000

/** Heap of the thread that tries rules; 59 rules need 3 MB. */
const heapMegabytes = 256

/** What is known of rules that load. */
export interface TriedRules extends NamesUsed {
  /** Top-level streams. */
  readonly streams: number
  /** Engine semantics that their record is to ask for. */
  readonly semantics: number
  /** How their tests went, where there are any and they were to be run. */
  readonly tests?: TestsReport
  /** What the search for hidden state found, where it was asked for. */
  readonly hiddenState?: HiddenStateReport
  /** What a switch from those before would do; absent where there were none, or they do not load here. */
  readonly difference?: RulesDifference
}

/** What the thread is given. */
export interface TrySetup {
  readonly bundle: Uint8Array
  readonly settings: Readonly<Record<string, unknown>>
  readonly tests?: Uint8Array
  readonly before?: Uint8Array
  readonly limits: { readonly loadMs: number; readonly testsMs: number; readonly lawsMs: number }
}

/** What the thread answers. */
export type TryAnswer =
  | { readonly ok: true; readonly rules: TriedRules }
  | { readonly ok: false; readonly code: RicciErrorCode; readonly message: string }

export interface TryOptions {
  /** The built `rules-worker`. */
  readonly workerFile: URL
  readonly clock: Clock
  /** Engine settings that ride with the rules. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** The folder's tests, to be run as well. */
  readonly tests?: Uint8Array
  /** Bundle of the rules that are in force, to compare with. */
  readonly before?: Uint8Array
  /** Whether hidden state is searched for. */
  readonly laws?: boolean
  readonly loadMs?: number
  readonly testsMs?: number
}

/**
 * Tries a bundle in a thread of its own that is thrown away: rules that throw, never return or eat memory while they load harm
 * nothing. Done before rules are switched; what loads here loads in the engine's thread.
 * @throws RicciError `RULES_INVALID` with file and line, or `RULES_TIMEOUT` with those of what does not end
 */
export async function tryRules(bundle: Uint8Array, options: TryOptions): Promise<TriedRules> {
  const { tests, before, settings = {}, laws = false, loadMs = loadLimitMs, testsMs = testsLimitMs } = options
  const limits = { loadMs, testsMs, lawsMs: laws ? lawsBudgetMs : 0 }
  const worker = new Worker(options.workerFile, {
    workerData: { bundle, settings, tests, before, limits } satisfies TrySetup,
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    // what the rules' code prints would stand among our own lines
    stdout: true,
    stderr: true,
  })
  const limitMs = loadMs + (tests === undefined ? 0 : testsMs) + (laws ? lawsHardLimitMs : 0) + nativeCallMs
  try {
    const answer = await new Promise<TryAnswer>((resolve) => {
      const timer = options.clock.setTimer(limitMs, () =>
        settle({
          ok: false,
          code: 'RULES_TIMEOUT',
          message: `the rules did not come to an end within ${limitMs / 1000} s, in a call that nothing interrupts; is there an endless loop?`,
        }),
      )
      const settle = (result: TryAnswer) => {
        timer.cancel()
        resolve(result)
      }
      worker.on('message', settle)
      worker.on('error', (error) => settle({ ok: false, code: 'RULES_INVALID', message: deathText(error) }))
      worker.on('exit', () =>
        settle({ ok: false, code: 'RULES_INVALID', message: 'the rules ended their thread while loading' }),
      )
    })
    if (!answer.ok) throw new RicciError(answer.code, answer.message)
    return answer.rules
  } finally {
    await worker.terminate()
  }
}

function deathText(error: Error): string {
  return (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY'
    ? `the rules need more than ${heapMegabytes} MB while they load, in their tests, or for a generated event; what do they build at the top of a file, or gather in a function?`
    : error.message
}
