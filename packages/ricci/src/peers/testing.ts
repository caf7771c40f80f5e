/** What tests of the peers share: engines that do as they are told, and instances in one process that ask each other over real sockets. */
import { encodeMsg, type Event } from '@ricci/client'
import { compareSorted, parseQuery, sortValuesOf, type ChangePosition, type SortValues } from '@ricci/engine'
import type { SnapshotInfo, SnapshotPort } from '@ricci/replica'
import { RicciError } from '../errors.ts'
import type { WatchPage } from '../http/backend.ts'
import type { EngineService } from '../server/engine-service.ts'
import { jsonWriters } from '../server/json.ts'
import { nodeClock } from '../server/node-clock.ts'
import { betweenTexts, type AnswerForm, type JsonShape, type ListingRequest } from '../server/worker-protocol.ts'
import { createLogger } from '../telemetry/logger.ts'
import { Telemetry } from '../telemetry/telemetry.ts'
import { PeerClient } from './client.ts'
import { EnginePartitions, type PartitionEngine } from './engine-partitions.ts'
import { QueryFanOut } from './fan-out.ts'
import { PeerListener } from './listener.ts'
import type { PeerMember } from './members.ts'
import type { PeerBackend, PeerRules } from './protocol.ts'
import type { PeerSecurity } from './security.ts'

export const secret: PeerSecurity = { secret: 'a secret of sixteen bytes and more' }

/** An engine of one partition. */
export class FakeEngine implements PartitionEngine {
  /** Whether it has applied the log; until then it waits. */
  evaluates: Promise<void> = Promise.resolve()
  /** What it fails with instead. */
  error: Error | undefined
  /** What the pages fail with, after so many. */
  breaks: { readonly after: number; readonly error: Error } | undefined
  /** How many pages were taken, and how many answers ended before their end. */
  pagesTaken = 0
  left = 0
  asked = 0
  readonly listing: ListingRequest[] = []
  /** Where each who watched went on. */
  readonly froms: (ChangePosition | undefined)[] = []
  /** How many read only so that it keeps its changes. */
  kept = 0
  /** Yields what {@link change} is given. */
  private readonly watchers = new Set<(page: WatchPage) => void>()

  constructor(
    readonly events: readonly Event[],
    private readonly pageEvents = 2,
    /** Incidents and pages, by kind. */
    private readonly items: Partial<Record<ListingRequest['kind'], readonly string[]>> = {},
  ) {}

  async evaluated(): Promise<{ offset: number; calendarMs: number }> {
    this.asked++
    await this.evaluates
    if (this.error !== undefined) throw this.error
    return { offset: this.events.length - 1, calendarMs: nodeClock.wallMs() - 700 }
  }

  async *answerAt(
    query: string,
    form: AnswerForm,
    _atLeast: number,
    _deadlineMs: number,
    limit = Infinity,
    behind?: SortValues,
  ) {
    const sort = parseQuery(query).sort ?? (behind && [])
    let events = this.events.slice()
    if (sort !== undefined) {
      const compare = compareSorted(sort)
      const valuesOf = (event: Event) => sortValuesOf(sort, event)
      events.sort((a, b) => compare(valuesOf(a), valuesOf(b)))
      if (behind !== undefined && behind.length > 0)
        events = events.filter((event) => compare(valuesOf(event), behind) > 0)
    }
    let whole = false
    try {
      let pages = 0
      for (let at = 0; at < Math.min(limit, events.length); at += this.pageEvents) {
        if (this.breaks !== undefined && pages++ === this.breaks.after) throw this.breaks.error
        const some = events.slice(at, Math.min(limit, at + this.pageEvents))
        this.pagesTaken++
        yield form === 'msg' ? encodeMsg({ events: some }) : Buffer.from(some.map(jsonWriters[form]).join(betweenTexts))
      }
      whole = true
    } finally {
      if (!whole) this.left++
    }
  }

  async listed(request: ListingRequest): Promise<string> {
    this.listing.push(request)
    if (this.error !== undefined) throw this.error
    const all = this.items[request.kind] ?? []
    const from = request.cursor === undefined ? 0 : Number(request.cursor.split('.')[1]) + 1
    const some = all.slice(from, from + request.limit)
    const items = some.map((value, i) => ({ cursor: `${request.kind}.${from + i}.0`, value }))
    return JSON.stringify({ items, more: from + some.length < all.length })
  }

  async commands(ids: readonly string[]): Promise<string> {
    await this.evaluated()
    return JSON.stringify(Object.fromEntries(ids.map((id) => [id, { did: 'acknowledged', offset: 1 }])))
  }

  async watch(
    query: string,
    _shape: JsonShape,
    signal: AbortSignal,
    from?: ChangePosition,
  ): Promise<AsyncIterable<WatchPage>> {
    if (this.error !== undefined) throw this.error
    const isKeeper = query === 'false'
    if (isKeeper) this.kept++
    else this.froms.push(from)
    const pages: WatchPage[] = []
    let wake = (): void => undefined
    const hear = (page: WatchPage): void => {
      pages.push(page)
      wake()
    }
    if (!isKeeper) this.watchers.add(hear)
    signal.addEventListener('abort', () => wake(), { once: true })
    const leave = (): void => {
      if (isKeeper) this.kept--
      this.watchers.delete(hear)
    }
    return (async function* () {
      try {
        while (!signal.aborted) {
          const page = pages.shift()
          if (page !== undefined) yield page
          else await new Promise<void>((resolve) => (wake = resolve))
        }
      } finally {
        leave()
      }
    })()
  }

  get watched(): number {
    return this.watchers.size
  }

  /** Tells those who watch. */
  change(page: WatchPage): void {
    for (const hear of this.watchers) hear(page)
  }
}

/** An instance among others. */
export interface TestInstance {
  readonly name: string
  readonly engines: Map<number, FakeEngine>
  /** States of the partitions that it runs, as it tells the others. */
  readonly states: Record<string, string>
  readonly fanOut: QueryFanOut
  readonly listener: PeerListener
  readonly client: PeerClient
  readonly address: string
  drained: boolean | undefined
  /** Rules that it was asked to try. */
  readonly tried: PeerRules[]
}

/** Instances in one process. */
export class TestCluster {
  readonly logged: string[] = []
  readonly telemetry = new Telemetry(
    createLogger({ format: 'people', write: (line) => void this.logged.push(line) }),
    () => nodeClock.monotonicMs(),
  )
  readonly instances: TestInstance[] = []
  constructor(
    private readonly partitions: number,
    private readonly security: PeerSecurity = secret,
    /** How long what nobody has is looked for: not at all, unless a test is about that. */
    private readonly takeoverMs = 0,
  ) {}

  readonly members = (): readonly PeerMember[] =>
    this.instances.map(({ name, address, states }) => ({
      instance: name,
      data: { peers: address, partitions: states },
    }))

  /** @param runs engines by partition; each follows unless it is told to own */
  async add(
    name: string,
    runs: Readonly<Record<number, FakeEngine | EngineService>>,
    { snapshots, handshakeMs }: { snapshots?: SnapshotPort; handshakeMs?: number } = {},
  ): Promise<TestInstance> {
    const engines = new Map(
      Object.entries(runs).map(([partition, engine]) => [Number(partition), engine as FakeEngine]),
    )
    const local = new EnginePartitions({ instance: name, clock: nodeClock, engineOf: (one) => engines.get(one) })
    const backend: PeerBackend = {
      query: (request, signal) => local.query(request, signal),
      incidents: (request, signal) => local.incidents(request, signal),
      commands: (request) => local.commands(request),
      watch: (request, signal) => local.watch(request, signal),
      snapshots: async (partition) => (await snapshots?.list(partition)) ?? [],
      snapshot: async (info: SnapshotInfo) => {
        if (snapshots === undefined) throw new RicciError('PEER_REFUSED', 'no snapshots')
        return snapshots.fetch(info)
      },
      status: async () => ({ instance: name }),
      tryRules: async (rules) => {
        if (rules.bundle === '') throw new RicciError('RULES_INVALID', 'there are no rules in it')
        instance.tried.push(rules)
      },
      drain: async (on) => void (instance.drained = on),
      tokens: async (known) => known,
      audit: async () => [],
    }
    const { security, telemetry } = this
    const listen = { host: '127.0.0.1', port: 0 }
    const listener = new PeerListener({ listen, security, backend, telemetry, handshakeMs })
    const port = await listener.listen()
    const client = new PeerClient({ security, clock: nodeClock })
    const fanOut = new QueryFanOut({
      instance: name,
      partitions: this.partitions,
      local,
      members: this.members,
      client,
      clock: nodeClock,
      takeoverMs: this.takeoverMs,
    })
    const states = Object.fromEntries(Array.from(engines.keys(), (partition) => [partition, 'following']))
    const address = `127.0.0.1:${port}`
    const instance: TestInstance = {
      name,
      engines,
      states,
      fanOut,
      listener,
      client,
      address,
      drained: undefined,
      tried: [],
    }
    this.instances.push(instance)
    return instance
  }

  async close(): Promise<void> {
    for (const { client } of this.instances) client.close()
    for (const { listener } of this.instances) await listener.close()
  }
}

/** All events of an answer in pages of Msgs. */
export async function pagesOf(pages: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const all: Uint8Array[] = []
  for await (const page of pages) all.push(page)
  return all
}
