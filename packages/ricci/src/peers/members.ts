/** Who can be asked for a partition, best first. */

/** What is needed of a member of the cluster. */
export interface PeerMember {
  readonly instance: string
  readonly data: {
    /** Where it answers the others, `host:port`. */
    readonly peers?: string
    /** State of the partitions that it runs. */
    readonly partitions: Readonly<Record<string, string>>
  }
}

/** States in which a replica holds what the log says, best first: what a restoring or diverged one holds is no answer. */
const states = ['owning', 'claiming', 'following', 'stepping-down']

/** Those that hold a partition caught up: the owner, then who stands by. */
export function holdersOf(partition: number, members: readonly PeerMember[]): readonly PeerMember[] {
  const ranked = members.flatMap((member) => {
    const rank = states.indexOf(member.data.partitions[partition] ?? '')
    return rank < 0 ? [] : [{ member, rank }]
  })
  return ranked.sort((a, b) => a.rank - b.rank).map(({ member }) => member)
}
