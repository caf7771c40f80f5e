import { consul, etcd, postgres } from '@ricci/election'
import { SteadyGroup, type CountedStore } from '../conformance/election-requests.ts'
import { ConsulCluster } from '../servers/consul.ts'
import { EtcdCluster } from '../servers/etcd.ts'
import { PostgresServer } from '../servers/postgres.ts'
import { without } from '../servers/program.ts'
import { figuresOf, yardstickSamples, type Benchmark, type Table } from './measure.ts'

/** How long a group that has all its names is watched. */
const steadyMs = 60_000
const tinyMs = 1000

interface Store {
  readonly name: 'consul' | 'etcd' | 'postgres'
  start(): Promise<CountedStore & { stop(): Promise<void> }>
}

const stores: readonly Store[] = [
  {
    name: 'consul',
    async start() {
      const cluster = await ConsulCluster.start({ dev: true })
      return { url: cluster.agents[0].url, protocol: 'http', reach: consul, stop: () => cluster.stop() }
    },
  },
  {
    name: 'etcd',
    async start() {
      const cluster = await EtcdCluster.start({ members: 1 })
      return { url: cluster.members[0].url, protocol: 'http', reach: etcd, stop: () => cluster.stop() }
    },
  },
  {
    name: 'postgres',
    async start() {
      const server = await PostgresServer.start()
      return { url: server.url, protocol: 'postgres', reach: postgres, stop: () => server.stop() }
    },
  },
]

/** What a member asks of its store: with one name and with 256, all of them led by it, and nothing happening. */
export const benchmark: Benchmark = {
  about: 'requests that one member makes at a real store while nothing changes: what 256 names cost beside one',
  async run({ tiny }) {
    const ms = tiny === true ? tinyMs : steadyMs
    const rows: (string | number)[][] = []
    const notes: string[] = []
    for (const store of stores) {
      const missing = without(store.name)
      if (missing !== false) {
        notes.push(`${store.name}: ${missing}`)
        continue
      }
      const started = await store.start()
      try {
        const [one, many] = await Promise.all([1, 256].map((names) => steadyRequests(started, names, ms)))
        rows.push([store.name, one.requests, many.requests, round(many.requests / one.requests), one.bytes, many.bytes])
      } finally {
        await started.stop()
      }
    }
    const columns = ['store', '1 name', '256 names', 'ratio (asked: at most 1.1)', 'kB, 1 name', 'kB, 256 names']
    const table: Table = { title: `Requests in ${ms / 1000} s, profile default`, columns, rows }
    return { figures: figuresOf(await yardstickSamples(tiny === true ? 1 : 5), []), tables: [table], notes }
  },
}

async function steadyRequests(
  store: CountedStore,
  names: number,
  ms: number,
): Promise<{ requests: number; bytes: number }> {
  const group = await SteadyGroup.start(store, names)
  try {
    // What the last acquisitions made everybody read is no steady state yet.
    await pass(ms / 10)
    group.reset()
    await pass(ms)
    return { requests: group.requests, bytes: Math.round(group.bytes / 1000) }
  } finally {
    await group.close()
  }
}

function pass(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(() => done(), ms))
}

const round = (value: number): number => Math.round(value * 100) / 100
