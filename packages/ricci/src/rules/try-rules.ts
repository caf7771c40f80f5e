import { Worker } from 'node:worker_threads'
import type { Clock } from '@ricci/replica'
import { RicciError, type RicciErrorCode } from '../errors.ts'

/** Rules that take longer to load are taken for an endless loop: 59 rules load in 15 ms. */
export const loadLimitMs = 5_000

/** Heap of the thread that tries rules; 59 rules need 3 MB. */
const heapMegabytes = 256

/** What is known of rules that load. */
export interface TriedRules {
  /** Top-level streams. */
  readonly streams: number
  /** Names of the receivers they page, each with the incidents that do. */
  readonly receivers: ReadonlyMap<string, ReadonlySet<string>>
}

/** What the thread answers. */
export type TryAnswer =
  | { readonly ok: true; readonly rules: TriedRules }
  | { readonly ok: false; readonly code: RicciErrorCode; readonly message: string }

/**
 * Loads a bundle in a thread of its own that is thrown away: rules that throw, never return or eat memory while they load harm
 * nothing. Done before rules are switched; what loads here loads in the engine's thread.
 * @param workerFile the built `rules-worker`
 * @throws RicciError `RULES_INVALID` with file and line, or `RULES_TIMEOUT`
 */
export async function tryRules(
  bundle: Uint8Array,
  options: { readonly workerFile: URL; readonly clock: Clock; readonly limitMs?: number },
): Promise<TriedRules> {
  const limitMs = options.limitMs ?? loadLimitMs
  const worker = new Worker(options.workerFile, {
    workerData: bundle,
    resourceLimits: { maxOldGenerationSizeMb: heapMegabytes },
    // what the rules' code prints would stand among our own lines
    stdout: true,
    stderr: true,
  })
  try {
    const answer = await new Promise<TryAnswer>((resolve) => {
      const timer = options.clock.setTimer(limitMs, () =>
        settle({
          ok: false,
          code: 'RULES_TIMEOUT',
          message: `the rules did not finish loading within ${limitMs / 1000} s; is there an endless loop outside of a function?`,
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
    ? `the rules need more than ${heapMegabytes} MB to load; what do they build at the top of a file?`
    : error.message
}
