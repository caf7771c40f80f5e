import { consul, ElectionGroup, etcd, postgres, type LeaseStore } from '@ricci/election'
import { ConsulCluster } from '../servers/consul.ts'
import { EtcdCluster } from '../servers/etcd.ts'
import { PostgresServer } from '../servers/postgres.ts'
import { without } from '../servers/program.ts'
import { TcpProxy } from '../servers/proxy.ts'
import { figuresOf, yardstickSamples, type Benchmark, type Table } from './measure.ts'

/** How long a group that has all its names is watched. */
const steadyMs = 60_000
const tinyMs = 1000

interface Store {
  readonly name: string
  readonly protocol: 'http' | 'postgres'
  start(): Promise<{ readonly url: string; reach(url: string): LeaseStore; stop(): Promise<void> }>
}

const stores: readonly Store[] = [
  {
    name: 'consul',
    protocol: 'http',
    async start() {
      const cluster = await ConsulCluster.start({ dev: true })
      return { url: cluster.agents[0].url, reach: (url) => consul(url), stop: () => cluster.stop() }
    },
  },
  {
    name: 'etcd',
    protocol: 'http',
    async start() {
      const cluster = await EtcdCluster.start({ members: 1 })
      return { url: cluster.members[0].url, reach: (url) => etcd(url), stop: () => cluster.stop() }
    },
  },
  {
    name: 'postgres',
    protocol: 'postgres',
    async start() {
      const server = await PostgresServer.start()
      return { url: server.url, reach: (url) => postgres({ url }), stop: () => server.stop() }
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
      const missing = without(store.name as 'consul' | 'etcd' | 'postgres')
      if (missing !== false) {
        notes.push(`${store.name}: ${missing}`)
        continue
      }
      const { url, reach, stop } = await store.start()
      try {
        const one = await steadyRequests(store, url, reach, 1, ms)
        const many = await steadyRequests(store, url, reach, 256, ms)
        rows.push([store.name, one.requests, many.requests, round(many.requests / one.requests), one.bytes, many.bytes])
      } finally {
        await stop()
      }
    }
    const columns = ['store', '1 name', '256 names', 'ratio (asked: at most 1.1)', 'kB, 1 name', 'kB, 256 names']
    const table: Table = { title: `Requests in ${ms / 1000} s, profile default`, columns, rows }
    return { figures: figuresOf(await yardstickSamples(tiny === true ? 1 : 5), []), tables: [table], notes }
  },
}

async function steadyRequests(
  { name, protocol }: Store,
  url: string,
  reach: (url: string) => LeaseStore,
  names: number,
  ms: number,
): Promise<{ requests: number; bytes: number }> {
  const proxy = await TcpProxy.start(Number(new URL(url).port), { protocol })
  const group = new ElectionGroup({ name: `steady-${names}`, store: reach(proxy.through(url)), id: name, fenced: true })
  try {
    const led = Array.from({ length: names }, (_, at) => {
      const candidate = group.candidate(`name-${at}`)
      const elected = new Promise<void>((resolve) => candidate.once('elected', () => resolve()))
      candidate.stand()
      return elected
    })
    await Promise.all(led)
    // What the last acquisitions made everybody read is no steady state yet.
    await pass(ms / 10)
    proxy.resetCounts()
    await pass(ms)
    const { requests, upBytes, downBytes } = proxy.counts
    return { requests, bytes: Math.round((upBytes + downBytes) / 1000) }
  } finally {
    await group.close()
    await proxy.close()
  }
}

function pass(ms: number): Promise<void> {
  return new Promise((done) => void setTimeout(() => done(), ms))
}

const round = (value: number): number => Math.round(value * 100) / 100
