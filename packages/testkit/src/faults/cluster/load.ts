/**
 * The load, as a process of its own: hosts in clusters that talk all the time, and whatever else it is asked to send. `node fault-load.mjs SETTINGS`, SETTINGS as
 * JSON; the rest over its channel to whoever started it.
 */
import type { Event } from '@ricci/client'
import { monotonicMs } from '../pager.ts'
import { ForeignPublisher } from './foreign-publisher.ts'
import {
  clusterName,
  hostName,
  presenceSeconds,
  presenceService,
  type LoadAnswer,
  type LoadRequest,
  type LoadSettings,
} from './load-protocol.ts'
import { metricOf, RoamingProducer } from './roaming-producer.ts'

/** How often a cluster speaks. */
const beatsPerSecond = 2
/** Other values than presence hold for so long, in seconds. */
const valueSeconds = 300
/** The last that hosts say holds for so long. */
const lastWordSeconds = 3_600
/** So many clusters have somebody, too, who publishes at the brokers. */
const foreigners = 3
/** At the end, what is not acknowledged by then never will be. */
const settleMs = 60_000

async function run({ ports, clusters, hostsPerCluster, eventsPerSecond, brokers }: LoadSettings): Promise<void> {
  const tell = (answer: LoadAnswer): void => void process.send!(answer)
  const producers = Array.from(
    { length: clusters },
    (_, cluster) => new RoamingProducer(`load/${clusterName(cluster)}`, cluster + 1, ports),
  )
  const foreign = Array.from({ length: brokers === undefined ? 0 : foreigners }, (_, cluster) => {
    return new ForeignPublisher(brokers!, cluster, metricOf(clusters + cluster + 1, 1))
  })
  const sizes: number[][] = producers.map(() => [])
  const quiet = new Set<string>()
  const services = Math.max(1, Math.round(eventsPerSecond / beatsPerSecond / clusters / hostsPerCluster))
  let longestPauseMs = 0
  let heldBack = 0
  let lastMs = monotonicMs()
  let next = 0
  const beginMs = lastMs

  const send = (cluster: number, events: readonly Event[], onAck?: () => void): void => {
    sizes[cluster].push(events.length)
    producers[cluster].send(events, onAck)
  }
  const beat = (cluster: number, ttl = presenceSeconds): void => {
    if (!producers[cluster].hasRoom) return void heldBack++
    const attributes = { cluster: clusterName(cluster) }
    const time = Date.now() / 1000
    const events: Event[] = []
    for (let host = 0; host < hostsPerCluster; host++) {
      const name = hostName(cluster, host)
      if (quiet.has(name)) continue
      events.push({ host: name, service: presenceService, state: 'ok', ttl, time, attributes })
      for (let service = 1; service < services; service++)
        events.push({ host: name, service: `m${service}`, state: 'ok', ttl: valueSeconds, time, attributes })
    }
    if (events.length > 0) send(cluster, events)
  }
  const everyMs = 1_000 / beatsPerSecond / clusters
  const beats = setInterval(() => {
    const nowMs = monotonicMs()
    longestPauseMs = Math.max(longestPauseMs, nowMs - lastMs)
    lastMs = nowMs
    for (const producer of producers) producer.look()
    // each cluster in its turn; after a pause what was missed is no burst
    const due = Math.floor((nowMs - beginMs) / everyMs)
    next = Math.max(next, due - clusters)
    while (next < due) beat(next++ % clusters)
  }, 10)

  process.on('message', (request: LoadRequest) => {
    if (request.kind === 'send') {
      const { id, cluster, event } = request
      const attributes = { cluster: clusterName(cluster) }
      tell({ kind: 'sent', id, atMs: monotonicMs() })
      const onAck = (): void => tell({ kind: 'acked', id, atMs: monotonicMs() })
      send(cluster, [{ ...event, time: Date.now() / 1000, attributes }], onAck)
    } else if (request.kind === 'talking') {
      if (request.talking) quiet.delete(request.host)
      else quiet.add(request.host)
    } else if (request.kind === 'stop-foreign') {
      void Promise.all(foreign.map((publisher) => publisher.stop())).then(() => tell({ kind: 'foreign-stopped' }))
    } else {
      clearInterval(beats)
      // nobody is to be called silent while the cluster is ended
      for (const [cluster] of producers.entries()) beat(cluster, lastWordSeconds)
      const looks = setInterval(() => producers.forEach((producer) => producer.look()), 100)
      const settled = Promise.all(producers.map((producer) => producer.untilSettled()))
      const late = new Promise((resolve) => setTimeout(resolve, settleMs).unref())
      void Promise.race([settled, late]).then(async () => {
        clearInterval(looks)
        const reports = producers.map(({ name, number, sent, resent, moves, unacked, refusals }, cluster) => {
          return { name, number, sent, resent, moves, unacked: [...unacked.keys()], refusals, sizes: sizes[cluster] }
        })
        const confirmed = foreign.flatMap((publisher) => publisher.confirmed)
        const report: LoadAnswer = { kind: 'report', producers: reports, foreign: confirmed, longestPauseMs, heldBack }
        // of a long run it is larger than what a pipe holds: to disconnect before it is written would cut it off
        await new Promise((written) => process.send!(report, written))
        await Promise.all(producers.map((producer) => producer.end()))
        process.disconnect()
      })
    }
  })
}

await run(JSON.parse(process.argv[2]) as LoadSettings)
