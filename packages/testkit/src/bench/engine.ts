import { index, rules, type RulesDescription } from '@ricci/engine'
import { EngineFeed } from './feed.ts'
import { Fleet } from './fleet.ts'
import { compare, roundsFor, type Benchmark, type Contender, type Figure } from './measure.ts'

/** Decode and index alone. */
export const benchmark: Benchmark = overTheFleet(
  'decode and index over the whole fleet',
  rules(index()),
  'decode + index',
  1.4,
)

/**
 * Measures rules over 150,000 keys, decode included, a round of 10 s at a time. One set of rules a benchmark: an engine is alone in
 * its process, and a second one beside it costs a sixth (its state in the caches, its shapes in V8's). Each size of messages has the yardstick's runs
 * beside its own.
 */
export function overTheFleet(about: string, description: RulesDescription, name: string, target: number): Benchmark {
  return {
    about: `${about}: 150,000 keys, decode included, a round of 10 s at a time`,
    async run(options) {
      const hosts = options.tiny === true ? 2 : 500
      const loads: Load[] = [
        { name: `${name}, 3,000-event Msgs`, description, size: 3000, hosts, target },
        { name: `${name}, 100-event Msgs`, description, size: 100, hosts },
      ]
      const figures: Figure[] = []
      const notes: string[] = []
      for (const load of loads) {
        const { contender, describe } = rounds(load)
        const [yard, figure] = await compare([contender], roundsFor(options, 10))
        if (figures.length === 0) figures.push(yard)
        figures.push(figure)
        notes.push(`${load.name}: ${describe()}`)
      }
      return { figures, notes }
    },
  }
}

interface Load {
  readonly name: string
  readonly description: RulesDescription
  /** Events of a Msg. */
  readonly size: number
  readonly hosts: number
  readonly target?: number
}

/** An engine that is fed one round of the fleet per run. */
function rounds({ name, description, size, hosts, target }: Load): { contender: Contender; describe: () => string } {
  const fleet = new Fleet({ hosts })
  const feed = new EngineFeed(description)
  let messages: Uint8Array[] = []
  return {
    contender: {
      name,
      events: fleet.keys,
      target,
      cpuNs: () => feed.spentNs,
      prepare: () => void (messages = fleet.nextMessages(size)),
      run: () => feed.round(messages, messages.length),
    },
    describe() {
      const { indexSize, forks, symbols, bytes, timersFired, ruleErrors } = feed.engine.stats()
      const mb = (value: number) => `${(value / 1e6).toFixed(0)} MB`
      return `${indexSize} index entries, ${forks} forks, ${symbols} symbols, columns ${mb(bytes)}, ${timersFired} timers fired, ${feed.pageChanges} page changes, ${ruleErrors} rule errors`
    },
  }
}
