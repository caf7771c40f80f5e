/** A cluster as one of its instances sees it: who is there, and who keeps what. */
import type { Member, Standing } from '@ricci/replica'

export interface ClusterStatus {
  /** Whose view it is. */
  readonly instance: string
  readonly members: readonly MemberStatus[]
  readonly partitions: readonly PartitionPlaces[]
}

export interface MemberStatus {
  readonly instance: string
  readonly version: string
  readonly zone?: string
  /** Where other instances reach it. */
  readonly address?: string
  readonly draining: boolean
  readonly owning: number
  readonly following: number
  /** Partitions of which it could not take over now. */
  readonly behind: number
}

/** Who keeps a partition. */
export interface PartitionPlaces {
  readonly partition: number
  /** By their own words: two for a moment where one takes over. */
  readonly owning: readonly string[]
  readonly following: readonly string[]
  /** Who runs it and could not take over now. */
  readonly behind: Readonly<Record<string, Standing>>
}

/** @param partitions how many the log has */
export function clusterStatus(instance: string, members: readonly Member[], partitions: number): ClusterStatus {
  const places = Array.from({ length: partitions }, (_, partition) => placesOf(partition, members))
  return { instance, members: members.map(memberStatus), partitions: places }
}

function memberStatus({ instance, data }: Member): MemberStatus {
  const { version, zone, peers, draining, partitions } = data
  const standings = Object.values(partitions)
  const [owning, following] = (['owning', 'following'] as const).map(
    (wanted) => standings.filter((standing) => standing === wanted).length,
  )
  return {
    ...{ instance, version, draining, owning, following },
    behind: standings.length - owning - following,
    ...(zone !== undefined && { zone }),
    ...(peers !== undefined && { address: peers }),
  }
}

function placesOf(partition: number, members: readonly Member[]): PartitionPlaces {
  const owning: string[] = []
  const following: string[] = []
  const behind: Record<string, Standing> = {}
  for (const { instance, data } of members) {
    const standing = data.partitions[partition]
    if (standing === 'owning') owning.push(instance)
    else if (standing === 'following') following.push(instance)
    else if (standing !== undefined) behind[instance] = standing
  }
  return { partition, owning, following, behind }
}

/** Numbers as people list them: `0-3, 7`. */
export function ranges(numbers: readonly number[]): string {
  const parts: string[] = []
  for (let i = 0; i < numbers.length;) {
    let end = i
    while (numbers[end + 1] === numbers[end] + 1) end++
    parts.push(end > i + 1 ? `${numbers[i]}-${numbers[end]}` : numbers.slice(i, end + 1).join(', '))
    i = end + 1
  }
  return parts.join(', ')
}
