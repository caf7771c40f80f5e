import { NotThereYet, type Case, type Outcome } from './case.ts'

export interface StreamCase extends Case {
  readonly stream: readonly unknown[]
}

export function runStream(_case: StreamCase): Outcome {
  throw new NotThereYet('streams')
}
