import { Daemon } from './daemon.ts'
import { Fleet } from './fleet.ts'
import { framed, LoadGenerator } from './load.ts'
import { compare, roundsFor, type Benchmark, type Contender } from './measure.ts'

/** Targets as ratios: 1.0, 0.7 and 0.3 million a CPU-second where protobufjs decodes 1.4. */
const loads = [
  { size: 3_000, connections: 10, inFlight: 4, hosts: 500, target: 1.0 / 1.4 },
  { size: 100, connections: 10, inFlight: 4, hosts: 500, target: 0.7 / 1.4 },
  { size: 1, connections: 50, inFlight: 64, hosts: 200, target: 0.3 / 1.4 },
]

const rules = `import { index, rules } from 'ricci'
export default rules(index())
`

export const benchmark: Benchmark = {
  about: 'the whole server: TCP on loopback, durable log, index(); applied events over the CPU time of all its threads',
  async run(options) {
    const daemon = await Daemon.start(rules)
    const generators: LoadGenerator[] = []
    try {
      const contenders: Contender[] = []
      const shares = loads.map(() => new Map<number, number>())
      for (const [i, load] of loads.entries()) {
        const generator = await LoadGenerator.connect(daemon.port, load.connections, load.inFlight)
        generators.push(generator)
        // Rounds a second apart: an event older than its ttl would be counted and not indexed.
        const fleet = new Fleet({
          hosts: options.tiny === true ? 1 : load.hosts,
          startSeconds: Math.floor(Date.now() / 1000),
          everySeconds: 1,
        })
        let frames: Uint8Array[] = []
        contenders.push({
          name: `${load.size.toLocaleString('en')}-event Msgs, ${load.connections} connections, ${load.inFlight} in flight`,
          events: fleet.keys,
          target: load.target,
          cpuNs: () => daemon.cpuNs(),
          prepare: () => void (frames = framed(fleet.nextMessages(load.size))),
          async run() {
            const before = daemon.threadCpuNs()
            await generator.send(frames)
            await daemon.applied()
            for (const [id, ns] of daemon.threadCpuNs()) {
              shares[i].set(id, (shares[i].get(id) ?? 0) + ns - (before.get(id) ?? 0))
            }
          },
        })
      }
      const figures = await compare(contenders, roundsFor(options, 9))
      // What was sent was applied, or the figures are of nothing: every key stands in the index.
      const keys = Math.max(...contenders.map(({ events }) => events))
      const indexed = await daemon.metric('ricci_engine_index_events')
      if (indexed !== keys) throw new Error(`${indexed} keys are in the index, ${keys} were sent`)
      const megabytes = (daemon.residentBytes() / 1e6).toFixed(0)
      return {
        figures,
        notes: [...contenders.map(({ name }, i) => `${name}: ${shareText(shares[i])}`), `resident: ${megabytes} MB`],
      }
    } finally {
      for (const generator of generators) await generator.close()
      await daemon.stop()
    }
  },
}

/** Who spent the time: the main thread, the engine's worker (the busiest other), and the rest (disk, collector, compiler). */
function shareText(spent: ReadonlyMap<number, number>): string {
  const [main, ...others] = [...spent.values()]
  const all = [...spent.values()].reduce((sum, ns) => sum + ns, 0)
  const worker = Math.max(0, ...others)
  const percent = (ns: number): string => `${((100 * ns) / Math.max(1, all)).toFixed(0)} %`
  return `main thread ${percent(main)}, engine's worker ${percent(worker)}, others ${percent(all - main - worker)}`
}
