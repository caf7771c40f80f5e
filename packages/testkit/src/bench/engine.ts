import { crc32 } from 'node:zlib'
import {
  createEngine,
  encodeEventsRecord,
  encodeRecord,
  type Engine,
  index,
  rules,
  type RulesDescription,
} from '@ricci/engine'
import { Fleet, roundSeconds } from './fleet.ts'
import { compare, roundsFor, type Benchmark, type Contender } from './measure.ts'
import production from './production.rules.ts'

export const benchmark: Benchmark = {
  about: 'the engine over the whole fleet: 150,000 keys, decode included, a round of 10 s at a time',
  async run(options) {
    const hosts = options.tiny === true ? 2 : 500
    const contenders = [
      rounds({ name: 'decode + index, 3,000-event Msgs', description: rules(index()), size: 3000, hosts, target: 1.4 }),
      rounds({ name: 'decode + index, 100-event Msgs', description: rules(index()), size: 100, hosts }),
      rounds({ name: 'production rules, 3,000-event Msgs', description: production, size: 3000, hosts, target: 0.45 }),
      rounds({ name: 'production rules, 100-event Msgs', description: production, size: 100, hosts }),
    ]
    const figures = await compare(
      contenders.map(({ contender }) => contender),
      roundsFor(options, 10),
    )
    const notes = contenders.map(({ contender, describe }) => `${contender.name}: ${describe()}`)
    return { figures, notes }
  },
}

interface Load {
  readonly name: string
  readonly description: RulesDescription
  /** Events of a Msg. */
  readonly size: number
  readonly hosts: number
  readonly target?: number
}

/** An engine that is fed one round of the fleet per run. Messages are made before the clock runs only once: the same four rounds with later times. */
function rounds({ name, description, size, hosts, target }: Load): { contender: Contender; describe: () => string } {
  const fleet = new Fleet({ hosts })
  const engine = engineWith(description)
  let offset = 2
  let ticks = 0
  let pages = 0
  let round = 0
  const made: Uint8Array[][] = []
  const start = Date.UTC(2026, 10, 21, 12)
  function apply(bytes: Uint8Array): void {
    engine.apply(offset++, bytes, crc32(bytes))
  }
  return {
    contender: {
      name,
      events: fleet.keys,
      target,
      prepare: () => void made.push(fleet.nextMessages(size)),
      run() {
        const messages = made.shift()!
        const from = start + round++ * roundSeconds * 1000
        const perTick = Math.ceil(messages.length / (roundSeconds * 2))
        messages.forEach((message, i) => {
          apply(encodeEventsRecord(from + Math.floor(i / perTick) * 500, message))
          if ((i + 1) % perTick !== 0) return
          const wallMs = from + Math.floor(i / perTick) * 500
          apply(encodeRecord({ kind: 'tick', number: ++ticks, epoch: 1, elapsedMs: 500, wallMs }))
        })
        pages += engine.takePageChanges().changed.length
      },
    },
    describe() {
      const { indexSize, forks, symbols, bytes, timersFired, ruleErrors } = engine.stats()
      const mb = (value: number) => `${(value / 1e6).toFixed(0)} MB`
      return `${indexSize} index entries, ${forks} forks, ${symbols} symbols, columns ${mb(bytes)}, ${timersFired} timers fired, ${pages} page changes, ${ruleErrors} rule errors`
    },
  }
}

function engineWith(description: RulesDescription): Engine {
  const engine = createEngine({ logId: 'bench', partition: 0, loadRules: () => description })
  const records = [
    encodeRecord({ kind: 'rules', hash: 'bench', settings: {}, semantics: 1, bundle: new Uint8Array(0) }),
    encodeRecord({ kind: 'claim', epoch: 1, instance: 'bench', semantics: 1 }),
  ]
  records.forEach((bytes, i) => engine.apply(i, bytes, crc32(bytes)))
  return engine
}
