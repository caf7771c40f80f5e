import { Fleet } from './fleet.ts'
import { compare, roundsFor, type Benchmark } from './measure.ts'
import { readers } from './readers.ts'

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
      readers('nobody reads', hosts, []),
      readers('one reader whom nothing matches', hosts, ['host = "elsewhere"']),
      readers(
        `${subscriptions} readers of hosts that send nothing`,
        hosts,
        of((n) => `elsewhere-${n}`),
      ),
      readers(
        `${subscriptions} readers, each of another of the 500 hosts`,
        hosts,
        of((n) => all[n % all.length]),
      ),
    ]
    return { figures: await compare(contenders, roundsFor(options, 10)) }
  },
}
