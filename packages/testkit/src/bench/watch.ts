import { index, rules, type ChangePosition, type Engine } from '@ricci/engine'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import { compare, roundsFor, type Benchmark, type Contender } from './measure.ts'

const eventsPerMsg = 3_000

export const benchmark: Benchmark = {
  about: 'decode + index() over 150,000 keys while somebody reads the changes, or nobody does',
  async run(options) {
    const hosts = options.tiny === true ? 2 : 500
    const contenders = [
      rounds('nobody reads', hosts, undefined),
      rounds('one reader whom nothing matches', hosts, 'state = "never"'),
      rounds('one reader of a hundredth', hosts, 'state != "ok"'),
    ]
    return { figures: await compare(contenders, roundsFor(options, 10)) }
  },
}

/** An engine that is fed a round of the fleet per run, and asked for all changes that match after each message. */
function rounds(name: string, hosts: number, query: string | undefined): Contender {
  const fleet = new Fleet({ hosts })
  let engine: Engine | undefined = undefined
  let from: ChangePosition | undefined
  const read = (): void => {
    if (engine === undefined || query === undefined) return
    for (let more = true; more;) {
      const { next, appliedOffset } = engine.changes(from, { query })
      from = next
      more = next.offset <= appliedOffset
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
