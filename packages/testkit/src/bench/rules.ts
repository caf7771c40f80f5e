import { overTheFleet } from './engine.ts'
import { type Benchmark } from './measure.ts'
import production from './production.rules.ts'

export const benchmark: Benchmark = overTheFleet(
  'the production rules over the whole fleet',
  production,
  'production rules',
  0.45,
)
