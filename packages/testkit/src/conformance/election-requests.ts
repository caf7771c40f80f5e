/** What a member asks of its store while nothing changes, counted by a proxy between the two. */
import { ElectionGroup, type Candidate, type GroupOptions, type LeaseStore } from '@ricci/election'
import { TcpProxy } from '../servers/proxy.ts'
import type { CountedProtocol } from '../servers/requests.ts'

/** A store whose requests can be counted. */
export interface CountedStore {
  /** Of one of its servers, as clients have it. */
  readonly url: string
  readonly protocol: CountedProtocol
  /** A client that asks nobody but this address. */
  reach(url: string): LeaseStore
}

/** The only member of a group, which leads so many names. */
export class SteadyGroup {
  #asked: () => void = () => undefined

  private constructor(
    private readonly proxy: TcpProxy,
    private readonly group: ElectionGroup,
    private readonly candidates: readonly Candidate[],
  ) {}

  /** Resolves once it leads all its names. */
  static async start(
    { url, protocol, reach }: CountedStore,
    names: number,
    options: Partial<GroupOptions> = {},
  ): Promise<SteadyGroup> {
    const proxy = await TcpProxy.start(Number(new URL(url).port), { protocol, onRequest: () => steady.#asked() })
    const store = reach(proxy.through(url))
    const group = new ElectionGroup({ name: `steady-${names}`, store, fenced: true, ...options })
    const candidates = Array.from({ length: names }, (_, at) => group.candidate(`name-${at}`))
    const steady = new SteadyGroup(proxy, group, candidates)
    try {
      await Promise.all(candidates.map((candidate) => candidate.campaign()))
    } catch (error) {
      await steady.close()
      throw error
    }
    return steady
  }

  /** Requests since {@link reset}. */
  get requests(): number {
    return this.proxy.counts.requests
  }

  /** Bytes since then, both ways. */
  get bytes(): number {
    return this.proxy.counts.upBytes + this.proxy.counts.downBytes
  }

  get leadsAll(): boolean {
    return this.candidates.every(({ holds }) => holds)
  }

  /** Counts from zero again. */
  reset(): void {
    this.proxy.resetCounts()
  }

  /** Resolves once it has asked so often since {@link reset}. */
  asks(times: number): Promise<void> {
    return new Promise((resolve) => {
      this.#asked = () => this.requests < times || resolve()
    })
  }

  async close(): Promise<void> {
    await this.group.close()
    await this.proxy.close()
  }
}
