import type { EventCursor, SymbolTable } from '@ricci/client'
import type { Decisions } from '../decisions/decisions.ts'
import type { IndexView } from '../event/index-view.ts'
import type { Flows } from '../flows/flows.ts'
import type { Index } from '../index/store.ts'
import type { EngineSettings } from '../settings.ts'
import type { Clocks } from '../time/clocks.ts'
import type { Trace } from './trace.ts'
import type { Node } from './tree.ts'

/** What operators may reach: the engine's tables and clocks, nothing of the outside. */
export interface Runtime {
  readonly table: SymbolTable
  readonly clocks: Clocks
  readonly index: Index
  /** The index for users' functions. */
  readonly lookups: IndexView
  readonly decisions: Decisions
  readonly flows: Flows
  readonly settings: EngineSettings
  /**
   * [number of the operator last called, number of the event within its record, steps done: timers, events of a list, incidents looked at]: read by
   * the monitor of another thread, which tells a long record from one that is stuck.
   */
  readonly progress: Int32Array
  timersFired: number
  /** Events that a full buffer or window refused, or made another one leave. Counted, not state. */
  bufferRefusals: number
  /** Counts collections of symbols: whoever caches by symbol id starts anew when it changes. */
  readonly generation: number
  /** An operator threw: its branch ends here for this event, and the nearest `exceptionStream` above hears of it. */
  rescue(node: Node, error: unknown, fork: number, event?: EventCursor): void
  /** How old the event in flight was when it arrived, milliseconds. */
  ageMs: number
  /** Who looks at the way to a rule; undefined in every engine that runs. */
  readonly trace: Trace | undefined
  /** Whether anybody listens to taps. */
  readonly tapped: boolean
  /** Something reached a tap; for observers only. */
  tap(name: string, value: unknown): void
}
