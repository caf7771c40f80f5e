/** The throw-away thread of `tryRules`: evaluates one bundle and says how it went. */
import { parentPort, workerData } from 'node:worker_threads'
import { checkRules } from '@ricci/engine'
import { RicciError } from '../errors.ts'
import { evaluateBundle } from './evaluate.ts'
import { receiversUsed } from './receivers-used.ts'
import type { TryAnswer } from './try-rules.ts'

function tryBundle(bundle: Uint8Array): TryAnswer {
  try {
    const description = evaluateBundle(bundle)
    checkRules(description)
    return { ok: true, rules: { streams: description.streams.length, receivers: receiversUsed(description) } }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    return { ok: false, code: error instanceof RicciError ? error.code : 'RULES_INVALID', message }
  }
}

parentPort!.postMessage(tryBundle(workerData as Uint8Array))
