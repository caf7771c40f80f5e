import type { Sink } from '@ricci/replica'
import type { ConfiguredSink, OpenSink, SinkMeans } from './kind.ts'

/** The sinks of one process, by the names that rules use. */
export class Sinks {
  readonly byName: ReadonlyMap<string, Sink>
  readonly #open: readonly OpenSink[]

  constructor(configured: ReadonlyMap<string, ConfiguredSink>, means: SinkMeans) {
    const named = Array.from(configured, ([name, sink]) => [name, sink.connect(means)] as const)
    this.byName = new Map(named)
    this.#open = named.map(([, sink]) => sink)
  }

  /** Lets go of connections. Nothing is sent any more by then. */
  close(): void {
    for (const sink of this.#open) sink.close?.()
  }
}
