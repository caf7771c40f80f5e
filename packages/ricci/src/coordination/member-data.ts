import type { Json } from '@ricci/election'
import type { Member, MemberData, Standing } from '@ricci/replica'

const standings: Readonly<Record<Standing, true>> = {
  restoring: true,
  following: true,
  claiming: true,
  owning: true,
  'stepping-down': true,
  diverged: true,
}

/** What a member of the group published, as far as it can be told; undefined where it is not an instance's: another release's, or not there yet. */
export function memberOf(instance: string, data: Json): Member | undefined {
  if (!isObject(data) || !isObject(data.partitions)) return undefined
  const partitions: Record<string, Standing> = {}
  for (const [partition, standing] of Object.entries(data.partitions)) {
    if (typeof standing === 'string' && Object.hasOwn(standings, standing)) partitions[partition] = standing as Standing
  }
  const { zone, draining, peers, version } = data
  return {
    instance,
    data: {
      ...(typeof zone === 'string' && { zone }),
      draining: draining === true,
      ...(typeof peers === 'string' && { peers }),
      version: typeof version === 'string' ? version : '',
      partitions,
    },
  }
}

/** What holds of an instance that is there twice: one of the two has gone and the store does not know yet. Nothing is counted on that only one says. */
export function common(one: Member, other: Member): Member {
  const data: MemberData = {
    ...other.data,
    draining: one.data.draining || other.data.draining,
    partitions: Object.fromEntries(
      Object.entries(other.data.partitions).map(([partition, standing]) => [
        partition,
        standing === one.data.partitions[partition] ? standing : 'restoring',
      ]),
    ),
  }
  return { instance: one.instance, data }
}

function isObject(data: Json | undefined): data is { readonly [key: string]: Json } {
  return typeof data === 'object' && data !== null && !Array.isArray(data)
}
