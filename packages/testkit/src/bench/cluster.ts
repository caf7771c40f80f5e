/** What a cluster carries on one machine, and who spends the time: three brokers, an owner and a standby that both apply. */
import { performance } from 'node:perf_hooks'
import { ConsulCluster } from '../servers/consul.ts'
import { RabbitCluster } from '../servers/rabbitmq.ts'
import { cpuNsOf, Daemon } from './daemon.ts'
import { Fleet } from './fleet.ts'
import { framed, LoadGenerator } from './load.ts'
import { figuresOf, median, processCpuNs, yardstickSamples, type Benchmark } from './measure.ts'

const vhost = 'bench'
/** DESIGN's small day: 500 hosts in 20 clusters, and what their agents send at a time. */
const hosts = 500
const size = 3_000
const connections = 4
const inFlight = 4
const rules = `import { index, rules } from 'ricci'
export default rules(index())
`

/** Who spends processor time, and how much so far, in ns. */
type Spender = readonly [name: string, cpuNs: () => number]

export const benchmark: Benchmark = {
  about:
    'three brokers, owner and standby both applying, 3,000-event Msgs over TCP: events a second on the wall, and CPU time an event of each',
  async run({ quick, tiny = false }) {
    const [rabbit, consul] = await Promise.all([RabbitCluster.start(), ConsulCluster.start({ dev: true })])
    const daemons: Daemon[] = []
    try {
      await rabbit.vhost(vhost)
      const begin = (instance: string): Promise<Daemon> =>
        Daemon.start(rules, {
          instance,
          cluster: {
            ...{ partitions: tiny ? 1 : 4, listen: '127.0.0.1:0', secret: 'of a benchmark only' },
            brokers: rabbit.urls(vhost),
            store: consul.agents[0].url.replace('http', 'consul'),
          },
        })
      for (const instance of ['one', 'two']) daemons.push(await begin(instance))
      const [first] = daemons
      const generator = await LoadGenerator.connect(first.port, connections, inFlight)
      // Rounds a second apart: an event older than its ttl would be counted and not indexed.
      const fleet = new Fleet({
        hosts: tiny ? 1 : hosts,
        startSeconds: Math.floor(Date.now() / 1000),
        everySeconds: 1,
      })
      const spenders: Spender[] = [
        ...rabbit.pids.map((pid, index): Spender => [`broker ${index + 1}`, () => cpuNsOf(pid)]),
        ...daemons.flatMap((daemon, index): Spender[] => [
          [`instance ${index + 1}, main thread`, () => mainNs(daemon)],
          [`instance ${index + 1}, workers and the rest`, () => daemon.cpuNs() - mainNs(daemon)],
        ]),
        ['the load', processCpuNs],
      ]
      const spent = spenders.map(() => [] as number[])
      const rates: number[] = []
      const [warm, rounds, fleetsEach] = tiny ? [0, 1, 1] : quick ? [2, 3, 2] : [1, 6, 10]
      for (let round = -warm; round < rounds; round++) {
        const frames = Array.from({ length: fleetsEach }, () => framed(fleet.nextMessages(size))).flat()
        const before = spenders.map(([, cpuNs]) => cpuNs())
        const sinceMs = performance.now()
        await generator.send(frames)
        await Promise.all(daemons.map((daemon) => daemon.applied()))
        const seconds = (performance.now() - sinceMs) / 1000
        if (round < 0) continue
        rates.push((fleet.keys * fleetsEach) / seconds)
        for (const [i, [, cpuNs]] of spenders.entries())
          spent[i].push((cpuNs() - before[i]) / (fleet.keys * fleetsEach))
      }
      await generator.close()
      const indexed = await Promise.all(daemons.map((daemon) => daemon.metric('ricci_engine_index_events')))
      if (indexed.some((keys) => keys !== fleet.keys))
        throw new Error(`${indexed.join(', ')} keys are in the indexes, ${fleet.keys} were sent`)
      const whole = (value: number): number => Math.round(value)
      const measured = spenders.map(([name], i) => ({ name, samples: spent[i] }))
      const all = rates.map((_, round) => spent.reduce((sum, samples) => sum + samples[round], 0))
      return {
        figures: figuresOf(await yardstickSamples(rounds), [...measured, { name: 'all of them', samples: all }]),
        notes: [
          `${whole(median(rates)).toLocaleString('en')} events a second, median of ${rates.length} rounds of ${(fleet.keys * fleetsEach).toLocaleString('en')} (least ${whole(Math.min(...rates)).toLocaleString('en')}, most ${whole(Math.max(...rates)).toLocaleString('en')}), from the first that is sent to the last that both have applied`,
        ],
      }
    } finally {
      await Promise.all(daemons.map((daemon) => daemon.stop()))
      await Promise.all([rabbit.stop(), consul.stop()])
    }
  },
}

/** The main thread's own: intake, the writing side of the log, the replicas. */
function mainNs(daemon: Daemon): number {
  const [[, ns]] = daemon.threadCpuNs()
  return ns
}
