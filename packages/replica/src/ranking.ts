/**
 * Which instances keep which partition (DESIGN section 7): nobody coordinates it, every instance computes the same ranking of the live
 * members. Rendezvous hashing: each member has a score for each partition, and who joins or leaves moves only what is his.
 */

/** Who may have a place. */
export interface Ranked {
  readonly instance: string
  /** What fails together: a rack, a data centre's zone. Those without one are each a zone of their own. */
  readonly zone?: string
}

/** Replicas of a partition: who owns, and who stands by having applied the same. */
export const replicas = 2

/**
 * The members in the order in which they are to have a partition: the first claims, the first two replicate, all others would follow. The second
 * is of another zone than the first, where there is one.
 */
export function ranking<M extends Ranked>(partition: number, members: readonly M[]): readonly M[] {
  const scored = members
    .map((member) => ({ member, score: score(partition, member.instance) }))
    .sort((a, b) => b.score - a.score || (a.member.instance < b.member.instance ? -1 : 1))
    .map(({ member }) => member)
  const [first] = scored
  if (first?.zone === undefined) return scored
  const apart = scored.findIndex((member) => member.zone !== first.zone)
  return apart < 2 ? scored : [first, scored[apart], ...scored.filter((_member, place) => place > 0 && place !== apart)]
}

/** FNV-1a over the name and the partition, its bits then mixed (MurmurHash3's finalizer): neighbours' scores have nothing in common. */
function score(partition: number, instance: string): number {
  let hash = 0x811c9dc5
  for (const character of `${partition}/${instance}`) {
    hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
