import { VirtualClock } from '../clock.ts'
import { SeededRandom } from '../random.ts'
import { Trace } from './trace.ts'

/** Every kind of fault the simulator injects; the summary of a batch counts each. */
export const faultKinds = [
  'crash',
  'restart',
  'pause',
  'suspend',
  'clock jump',
  'log away',
  'log frozen',
  'append error',
  'append lost confirm',
  'append straggler',
  'append duplicated',
  'append delayed',
  'append phantom',
  'attempt refused',
  'broker killed',
  'broker frozen',
  'broker split',
  'broker cut off',
  'brokers away',
  'brokers short of memory',
  'binding lost',
  'inbox redelivers',
  'inbox delivers to two',
  'log trimmed',
  'link cut',
  'link slow',
  'reader silent',
  'reader error',
  'reader deaf',
  'lease lost',
  'two holders',
  'store away',
  'store cut',
  'store slow',
  'store wiped',
  'intake gone',
  'state astray',
  'drain',
  'peer cut',
  'retired',
  'snapshot lost',
  'snapshot torn',
  'snapshot flipped',
  'snapshots away',
  'receiver 500',
  'receiver 504',
  'receiver away',
  'receiver 429',
  'receiver 400',
  'receiver hangs',
  'receiver acts late',
  'receiver acts too late',
  'receiver drops answer',
  'request lost',
  'producer retry',
  'producer restart',
  'rules switch',
  'no owner',
  'disk slow',
  'disk torn',
  'disk error',
  'disk full',
  'log at its cap',
  'event stalls',
  'burst',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** What the faults are there for: the parts of the product that only trouble brings to work. A batch counts each. */
export const exerciseKinds = [
  'takeover',
  'page sent',
  'page decided by a timer',
  'attempt in doubt',
  'look-up',
  'hashes compared',
  'checkpoint with a state hash',
  'snapshot stored',
  'restored from a snapshot',
  'skip',
  'skip passed',
  'snapshot void by a skip',
  'rule quarantined',
  'overflow digest',
  'digest of what waited',
  'page in a digest',
  'event throttled',
  'escalation',
  'found to have gone astray',
  'drained',
  'handed over',
  'snapshot of a peer',
  'event without room',
  'event without a way',
  'alarm event-path',
  'alarm log-unavailable',
  'alarm cannot-own',
] as const
export type ExerciseKind = (typeof exerciseKinds)[number]

/** One run's universe: its only clock, its only source of chance, its trace and what was done to it. */
export class World {
  readonly clock = new VirtualClock()
  readonly random: SeededRandom
  readonly trace: Trace
  readonly faults = new Map<FaultKind, number>()
  readonly exercised = new Map<ExerciseKind, number>()
  /** No fault begins once this is false. */
  faulty = true
  /** When a wall clock was first set wrong: from then on clocks, and with them the calendar, may be anything. */
  clocksWrongMs = Infinity

  constructor(
    readonly seed: number,
    options: { readonly keepTrace: boolean },
  ) {
    this.random = new SeededRandom(seed)
    this.trace = new Trace(() => this.clock.monotonicMs(), { keep: options.keepTrace })
  }

  get nowMs(): number {
    return this.clock.monotonicMs()
  }

  after(delayMs: number, callback: () => void): void {
    this.clock.setTimer(delayMs, callback)
  }

  /** Counts an injected fault and writes it down. */
  fault(kind: FaultKind, who: string, detail: string): void {
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1)
    this.trace.add(who, `✗ ${kind}: ${detail}`)
  }

  /** Counts that a part of the product had work to do. */
  exercise(kind: ExerciseKind, times = 1): void {
    if (times > 0) this.exercised.set(kind, (this.exercised.get(kind) ?? 0) + times)
  }
}
