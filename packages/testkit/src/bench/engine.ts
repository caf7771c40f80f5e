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
import { compare, type Benchmark, type Contender } from './measure.ts'
import production from './production.rules.ts'

export const benchmark: Benchmark = {
  about: 'the engine over the whole fleet: 150,000 keys, decode included, a round of 10 s at a time',
  async run({ quick }) {
    const contenders = [
      rounds('decode + index, 3,000-event Msgs', rules(index()), 3000),
      rounds('decode + index, 100-event Msgs', rules(index()), 100),
      rounds('production rules, 3,000-event Msgs', production, 3000),
      rounds('production rules, 100-event Msgs', production, 100),
    ]
    const figures = await compare(
      contenders.map(({ contender }) => contender),
      quick ? 3 : 10,
    )
    const notes = contenders.map(({ contender, describe }) => `${contender.name}: ${describe()}`)
    return { figures, notes }
  },
}

/** An engine that is fed one round of the fleet per run. Messages are made before the clock runs only once: the same four rounds with later times. */
function rounds(
  name: string,
  description: RulesDescription,
  size: number,
): { contender: Contender; describe: () => string } {
  const fleet = new Fleet()
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
