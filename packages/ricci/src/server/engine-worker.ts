// The engine's thread: what the daemon starts as a worker.
import { evaluateRules } from '../rules/evaluate.ts'
import { runEngineWorker } from './worker-main.ts'

runEngineWorker(evaluateRules)
