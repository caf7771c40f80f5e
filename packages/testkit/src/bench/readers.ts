import { index, rules, type ChangePosition, type Engine } from '@ricci/engine'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import type { Contender } from './measure.ts'

const eventsPerMsg = 3_000

/** An engine that is fed a round of the fleet per run, and asked by each reader, after each message, for all changes that match its query. */
export function readers(name: string, hosts: number, queries: readonly string[]): Contender {
  const fleet = new Fleet({ hosts })
  const places: (ChangePosition | undefined)[] = queries.map(() => undefined)
  let engine: Engine | undefined = undefined
  const read = (): void => {
    for (const [reader, query] of queries.entries()) {
      for (let more = engine !== undefined; more;) {
        const { next, appliedOffset }: { next: ChangePosition; appliedOffset: number } = engine!.changes(
          places[reader],
          { query },
        )
        places[reader] = next
        more = next.offset <= appliedOffset
      }
    }
  }
  const feed = new EngineFeed(rules(index()), {}, read)
  engine = feed.engine
  let messages: Uint8Array[] = []
  return {
    name,
    events: fleet.keys,
    cpuNs: () => feed.spentNs,
    prepare: () => void (messages = fleet.nextMessages(eventsPerMsg)),
    run: () => feed.round(messages, messages.length),
  }
}
