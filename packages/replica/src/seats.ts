import type { Member, Standing } from './ports.ts'
import { ranking, replicas } from './ranking.ts'

/** A live member, as one partition sees it. */
export interface Seated {
  readonly instance: string
  readonly zone?: string
  readonly draining: boolean
  /** What it runs of the partition is to others; undefined where it runs nothing. */
  readonly standing: Standing | undefined
}

/** One partition: who is to have it, and who has it. */
export interface Seat {
  readonly partition: number
  /** All who are alive: first those in the ranking, in its order, then those that drain. */
  readonly members: readonly Seated[]
  /** The first two of the ranking, or as many as there are. */
  readonly first: readonly Seated[]
  readonly owner: Seated | undefined
  /** Those who run a replica, in the order in which they are to take a free lease. */
  readonly contenders: readonly Seated[]
}

/** Whether it stands by with everything that the log holds, or acts upon it. */
export function hasCaughtUp(standing: Standing | undefined): boolean {
  return standing === 'following' || standing === 'claiming' || standing === 'owning'
}

/** Works out every partition's seat; the rankings only where who is to be ranked has changed. */
export class Seats {
  readonly #partitions: number
  #ranked = ''
  #order: readonly (readonly string[])[] = []

  constructor(partitions: number) {
    this.#partitions = partitions
  }

  of(members: readonly Member[]): readonly Seat[] {
    const order = this.#rankings(members)
    return Array.from({ length: this.#partitions }, (_, partition) => seat(partition, order[partition], members))
  }

  #rankings(members: readonly Member[]): readonly (readonly string[])[] {
    const ranked = members
      .filter(({ data }) => !data.draining)
      .map(({ instance, data }) => ({ instance, ...(data.zone !== undefined && { zone: data.zone }) }))
      .sort((a, b) => (a.instance < b.instance ? -1 : 1))
    const key = JSON.stringify(ranked)
    if (key !== this.#ranked) {
      this.#ranked = key
      this.#order = Array.from({ length: this.#partitions }, (_, partition) =>
        ranking(partition, ranked).map(({ instance }) => instance),
      )
    }
    return this.#order
  }
}

function seat(partition: number, order: readonly string[], members: readonly Member[]): Seat {
  const seated = members.map(({ instance, data }) => ({
    instance,
    ...(data.zone !== undefined && { zone: data.zone }),
    draining: data.draining,
    standing: Object.hasOwn(data.partitions, partition) ? data.partitions[partition] : undefined,
  }))
  const place = new Map(order.map((instance, at) => [instance, at]))
  const placeOf = ({ instance }: Seated): number => place.get(instance) ?? order.length
  const ordered = seated.sort((a, b) => placeOf(a) - placeOf(b) || (a.instance < b.instance ? -1 : 1))
  return {
    partition,
    members: ordered,
    first: ordered.slice(0, Math.min(replicas, order.length)),
    owner: ordered.find(({ standing }) => standing === 'owning'),
    contenders: ordered.filter(({ standing }) => standing !== undefined).sort((a, b) => turn(a) - turn(b)),
  }
}

/** Who owns is before all others: its lease may have been taken. Who has not caught up is after them. */
function turn({ standing }: Seated): number {
  return standing === 'owning' ? 0 : hasCaughtUp(standing) ? 1 : 2
}
