import { handOverMs } from './limits.ts'
import type { Clock, CoordinationPort } from './ports.ts'
import { ranking } from './ranking.ts'
import { atMost } from './timers.ts'

export interface HandOverOptions {
  readonly instance: string
  readonly partition: number
  readonly coordination: CoordinationPort
  readonly clock: Clock
}

/**
 * Gives a partition to a replica that has caught up, if there is one: first the lease, and not more. Who gives it goes on owning; what ends
 * that is the other's claim, as ever, so nobody is without an owner meanwhile.
 * @param dethroned resolves once it owns no more
 * @returns resolves with that, when there is nobody who could take it, or after 5 s
 */
export async function handOver(options: HandOverOptions, dethroned: Promise<void>): Promise<void> {
  const { partition, coordination, clock } = options
  const to = successor(options)
  if (to === undefined) return
  let nobody = (): void => undefined
  const alone = new Promise<void>((resolve) => (nobody = resolve))
  // Whoever it was given to may go meanwhile; while another follows, that one takes it.
  const end = coordination.onMembers(() => (successor(options) === undefined ? nobody() : undefined))
  coordination.handOver(partition, to)
  await atMost(clock, handOverMs, Promise.race([dethroned, alone]))
  end()
}

/** Who is to have the partition next: the first in the ranking of those who stand by, or are about to own. */
function successor({ instance, partition, coordination }: HandOverOptions): string | undefined {
  const others = coordination.members().filter((member) => {
    const standing = member.data.partitions[partition]
    const takes = standing === 'following' || standing === 'claiming' || standing === 'owning'
    return takes && !member.data.draining && member.instance !== instance
  })
  const ranked = others.map((member) => ({ instance: member.instance, zone: member.data.zone }))
  return ranking(partition, ranked)[0]?.instance
}
