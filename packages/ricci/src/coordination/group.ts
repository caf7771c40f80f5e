/**
 * Coordination by an election group: a name for each partition, all under one session. Over the store in process for a daemon that runs
 * alone, over Consul, etcd or PostgreSQL for a cluster: the same code.
 */
import { ElectionGroup, memory, type Candidate, type Clock, type GroupOptions, type Term } from '@ricci/election'
import type { CoordinationPort, Lease, Member, MemberData } from '@ricci/replica'
import { common, memberOf } from './member-data.ts'
import { Publisher } from './publisher.ts'

/** What partitions' names begin with in the group. */
const namePrefix = 'partition-'

/** How it is told that nobody can be elected. */
const storeAway = 'the store does not answer'

/** What a group of coordination is made with. Claims are fenced by the log, so nobody need wait for a predecessor's lease. */
export interface CoordinationOptions extends Omit<GroupOptions, 'fenced' | 'acceptHandOver' | 'data'> {
  /** Trouble that people should know of: nothing ends because of it. */
  readonly onTrouble?: (what: string) => void
}

/** Coordination for a daemon that runs alone: whoever asks first is granted everything at once. */
export function coordinationInProcess(instance: string, clock: Clock): GroupCoordination {
  return new GroupCoordination({ name: 'ricci', store: memory(), id: instance, clock })
}

/** The port of coordination over a group of its own. */
export class GroupCoordination implements CoordinationPort {
  readonly #group: ElectionGroup
  readonly #publisher: Publisher
  readonly #listeners = new Set<(members: readonly Member[]) => void>()
  readonly #holdBackMs = new Map<number, number>()
  /** What ends each campaign. */
  readonly #endings = new Map<() => void, number>()
  #members: readonly Member[] = []
  #answers = true
  #closed: Promise<void> | undefined

  /** @throws ElectionError `OPTION_INVALID` */
  constructor(options: CoordinationOptions) {
    this.#group = new ElectionGroup({
      ...options,
      fenced: true,
      acceptHandOver: (name, { to }) => to !== undefined && this.#follows(to, name.slice(namePrefix.length)),
    })
    this.#publisher = new Publisher(this.#group.clock, (data) => this.#group.publish(data))
    this.#group.on('members', () => this.#meet())
    const { onTrouble = (): void => undefined } = options
    this.#group.on('warning', (warning) => onTrouble(warning.message))
    this.#group.on('store', (answers) => {
      this.#answers = answers
      onTrouble(answers ? 'the store answers again' : storeAway)
    })
  }

  /** Why nobody can take over now; undefined as far as it is known that somebody can. */
  get trouble(): string | undefined {
    return this.#answers ? undefined : storeAway
  }

  join(): void {
    if (this.#closed !== undefined) return
    this.#publisher.now()
    this.#group.join()
  }

  publish(data: MemberData): void {
    if (this.#closed === undefined) this.#publisher.publish(data)
  }

  members(): readonly Member[] {
    return this.#members
  }

  onMembers(listener: (members: readonly Member[]) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  campaign(partition: number, onChange: (lease: Lease | undefined) => void, signal: AbortSignal): void {
    if (signal.aborted || this.#closed !== undefined) return
    const candidate = this.#candidate(partition)
    const granted = ({ token }: Term): void => onChange({ partition, token: String(token) })
    const lost = (): void => onChange(undefined)
    candidate.on('elected', granted).on('deposed', lost).on('resigned', lost)
    const stop = (): void => {
      this.#endings.delete(stop)
      signal.removeEventListener('abort', end)
      candidate.off('elected', granted).off('deposed', lost).off('resigned', lost)
    }
    const end = (): void => {
      stop()
      void resign(candidate)
    }
    this.#endings.set(stop, partition)
    signal.addEventListener('abort', end)
    candidate.stand()
  }

  prefer(partition: number, holdBackMs: number): void {
    if (this.#closed !== undefined || (this.#holdBackMs.get(partition) ?? 0) === holdBackMs) return
    this.#holdBackMs.set(partition, holdBackMs)
    this.#candidate(partition).prefer(holdBackMs)
  }

  async isHeld(partition: number): Promise<boolean> {
    return (await this.#group.holderOf(nameOf(partition))) !== undefined
  }

  async requestHandOver(partition: number): Promise<boolean> {
    // To one that does not stand it would be given in vain.
    if (![...this.#endings.values()].includes(partition)) return false
    return this.#group.requestHandOver(nameOf(partition))
  }

  handOver(partition: number, to: string): void {
    if (this.#closed !== undefined) return
    // Whether it was taken is seen by what becomes of the lease.
    void this.#candidate(partition)
      .handOver(to)
      .catch(() => undefined)
  }

  /** Ends all campaigns, gives up every lease, leaves the group. */
  close(): Promise<void> {
    for (const stop of [...this.#endings.keys()]) stop()
    this.#publisher.stop()
    this.#closed ??= this.#group.close()
    return this.#closed
  }

  #candidate(partition: number): Candidate {
    return this.#group.candidate(nameOf(partition))
  }

  #follows(instance: string, partition: string): boolean {
    return this.#members.some(
      (member) => member.instance === instance && member.data.partitions[partition] === 'following',
    )
  }

  #meet(): void {
    const byName = new Map<string, Member>()
    for (const { id, data } of this.#group.members) {
      const member = memberOf(id, data)
      const other = byName.get(id)
      if (member !== undefined) byName.set(id, other === undefined ? member : common(other, member))
    }
    this.#members = [...byName.values()]
    for (const listener of [...this.#listeners]) listener(this.#members)
  }
}

function nameOf(partition: number): string {
  return `${namePrefix}${partition}`
}

/** Gives up what is held: the next campaign of the same partition begins with a lease of its own. */
async function resign(candidate: Candidate): Promise<void> {
  await candidate.resign('its campaign has ended')
}
