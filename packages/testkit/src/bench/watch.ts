import { compare, roundsFor, type Benchmark } from './measure.ts'
import { readers } from './readers.ts'

export const benchmark: Benchmark = {
  about: 'decode + index() over 150,000 keys while somebody reads the changes, or nobody does',
  async run(options) {
    const hosts = options.tiny === true ? 2 : 500
    const contenders = [
      readers('nobody reads', hosts, []),
      readers('one reader whom nothing matches', hosts, ['state = "never"']),
      readers('one reader of a hundredth', hosts, ['state != "ok"']),
    ]
    return { figures: await compare(contenders, roundsFor(options, 10)) }
  },
}
