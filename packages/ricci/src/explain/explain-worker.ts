// The throw-away thread of an explanation: reads the log by itself, answers once, and is ended.
import { parentPort, workerData } from 'node:worker_threads'
import { evaluateRules } from '../rules/evaluate.ts'
import { logOf } from '../server/log-of.ts'
import { plainError } from '../server/worker-protocol.ts'
import type { ExplainSetup, FromExplainWorker } from './explainer.ts'
import { readHistory, replaySilence, type Progress } from './replay.ts'

/** Between two words about how far it is. */
const progressMs = 250

const { source, partition, job } = workerData as ExplainSetup
const say = (message: FromExplainWorker): void => parentPort!.postMessage(message)
let saidMs = performance.now()
const onProgress = (progress: Progress): void => {
  if (performance.now() - saidMs < progressMs) return
  saidMs = performance.now()
  say({ progress })
}
const reading = { log: logOf(source), partition, signal: new AbortController().signal, onProgress }
try {
  const answer =
    job.kind === 'incident' ? await readHistory(reading, job) : await replaySilence(reading, job, evaluateRules)
  say({ answer })
} catch (error) {
  say({ error: plainError(error) })
} finally {
  await reading.log.close()
}
