import type { RunResult } from './run.ts'
import { faultKinds, type FaultKind } from './world.ts'

/** Adds up a batch of runs. A batch that exercised nothing has failed, whatever its runs say. */
export class Summary {
  passed = 0
  failed = 0
  takeovers = 0
  pages = 0
  timers = 0
  inDoubt = 0
  comparisons = 0
  virtualMs = 0
  readonly faults = new Map<FaultKind, number>()

  add(result: RunResult): void {
    if (result.verdicts.length === 0) this.passed++
    else this.failed++
    this.takeovers += result.takeovers
    this.pages += result.pages
    this.timers += result.timers
    this.inDoubt += result.inDoubt
    this.comparisons += result.comparisons
    this.virtualMs += result.virtualMs
    for (const [kind, count] of result.faults) this.faults.set(kind, (this.faults.get(kind) ?? 0) + count)
  }

  text(): string {
    const faults = faultKinds
      .filter((kind) => this.faults.has(kind))
      .map((kind) => `  ${kind.padEnd(24)} ${this.faults.get(kind)}`)
    return [
      `${this.passed + this.failed} seeds, ${(this.virtualMs / 3_600_000).toFixed(1)} hours of virtual time`,
      `faults injected: ${[...this.faults.values()].reduce((sum, count) => sum + count, 0)}`,
      ...faults,
      `takeovers ${this.takeovers}, pages ${this.pages}, of them decided by timers ${this.timers}, attempts in doubt ${this.inDoubt}, hashes compared ${this.comparisons}`,
      `${this.passed} passed, ${this.failed} failed`,
    ].join('\n')
  }
}
