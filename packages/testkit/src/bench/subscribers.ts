import { index, rules, type ChangePosition, type Engine } from '@ricci/engine'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import { compare, roundsFor, type Benchmark, type Contender } from './measure.ts'

const eventsPerMsg = 3_000
/** A wall of dashboards. */
const subscriptions = 300

export const benchmark: Benchmark = {
  about: `decode + index() over 150,000 keys while ${subscriptions} read the changes of a host each, after each message`,
  async run(options) {
    const hosts = options.tiny === true ? 2 : 500
    const of = (host: (n: number) => string): string[] =>
      Array.from({ length: subscriptions }, (_, n) => `host = "${host(n)}"`)
    const all = new Fleet({ hosts }).hosts
    const contenders = [
      rounds('nobody reads', hosts, []),
      rounds('one reader whom nothing matches', hosts, ['host = "elsewhere"']),
      rounds(
        `${subscriptions} readers of hosts that send nothing`,
        hosts,
        of((n) => `elsewhere-${n}`),
      ),
      rounds(
        `${subscriptions} readers, each of another of the 500 hosts`,
        hosts,
        of((n) => all[n % all.length]),
      ),
    ]
    return { figures: await compare(contenders, roundsFor(options, 10)) }
  },
}

/** An engine that is fed a round of the fleet per run, and asked by each reader after each message. */
function rounds(name: string, hosts: number, queries: readonly string[]): Contender {
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
