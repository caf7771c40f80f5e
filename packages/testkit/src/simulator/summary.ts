import type { RunResult } from './run.ts'
import { exerciseKinds, faultKinds, type ExerciseKind, type FaultKind } from './world.ts'

/** Fewer seeds than these need not have met everything. */
const fullBatch = 500

/** Adds up a batch of runs. A batch that exercised nothing has failed, whatever its runs say. */
export class Summary {
  passed = 0
  failed = 0
  virtualMs = 0
  readonly faults = new Map<FaultKind, number>()
  readonly exercised = new Map<ExerciseKind, number>()

  add(result: RunResult): void {
    if (result.verdicts.length === 0) this.passed++
    else this.failed++
    this.virtualMs += result.virtualMs
    addTo(this.faults, result.faults)
    addTo(this.exercised, result.exercised)
  }

  /** Faults that no run injected and parts that no run brought to work; of a small batch nothing but takeovers is asked. */
  missing(): string[] {
    const runs = this.passed + this.failed
    if (runs < fullBatch) return runs >= fullBatch / 25 && !this.exercised.has('takeover') ? ['takeover'] : []
    return [
      ...faultKinds.filter((kind) => !this.faults.has(kind)),
      ...exerciseKinds.filter((k) => !this.exercised.has(k)),
    ]
  }

  text(): string {
    return [
      `${this.passed + this.failed} seeds, ${(this.virtualMs / 3_600_000).toFixed(1)} hours of virtual time`,
      `faults injected: ${[...this.faults.values()].reduce((sum, count) => sum + count, 0)}`,
      ...table(faultKinds, this.faults),
      'exercised:',
      ...table(exerciseKinds, this.exercised),
      ...this.missing().map((kind) => `nothing exercised: no ${kind} in the whole batch`),
      `${this.passed} passed, ${this.failed} failed`,
    ].join('\n')
  }
}

function addTo<Kind>(sums: Map<Kind, number>, counts: ReadonlyMap<Kind, number>): void {
  for (const [kind, count] of counts) sums.set(kind, (sums.get(kind) ?? 0) + count)
}

function table<Kind extends string>(kinds: readonly Kind[], counts: ReadonlyMap<Kind, number>): string[] {
  return kinds.map((kind) => `  ${kind.padEnd(30)} ${counts.get(kind) ?? 0}`)
}
