import type { Benchmark } from './measure.ts'

/** Every benchmark by name. A new one is a file that exports `benchmark`, and a line here. */
export const benchmarks: Readonly<Record<string, () => Promise<{ benchmark: Benchmark }>>> = {
  codec: () => import('./codec.ts'),
  engine: () => import('./engine.ts'),
  rules: () => import('./rules.ts'),
  log: () => import('./log.ts'),
  snapshot: () => import('./snapshot.ts'),
  memory: () => import('./memory.ts'),
  scale: () => import('./scale.ts'),
  operators: () => import('./operators.ts'),
  server: () => import('./server.ts'),
  watch: () => import('./watch.ts'),
  subscribers: () => import('./subscribers.ts'),
  elections: () => import('./elections.ts'),
  connections: () => import('./connections.ts'),
  answers: () => import('./answers.ts'),
  cluster: () => import('./cluster.ts'),
  takeover: () => import('./takeover.ts'),
  flood: () => import('./flood.ts'),
}
