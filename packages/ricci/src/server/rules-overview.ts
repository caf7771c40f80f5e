/** The rules of all instances, beside what their folders hold. */
import type { OperatorStats } from '@ricci/engine'
import type { PartitionRules, ServerStatus } from './status.ts'

export interface RulesOverview {
  readonly instances: readonly InstanceRules[]
  /** What operators take and hold in the partitions that the asked instance runs, since its engines began; at most 300, then all others as one. */
  readonly operators: readonly OperatorStats[]
}

export interface InstanceRules {
  readonly instance: string
  /** Why nothing is known of it; then the rest is absent, or empty. */
  readonly unknown?: string
  /** Of its rules, on its machine. */
  readonly folder?: string
  /** Hash of what the folder held when it was looked at last: at the start, at a reload, and when others switched. */
  readonly onDisk?: string
  /** What of folder and configuration is not in force: `rules`, and names of settings. */
  readonly differs: readonly string[]
  /** Why the folder's could not be loaded or switched to. */
  readonly error?: string
  readonly partitions: readonly ({ readonly partition: number } & Partial<PartitionRules>)[]
}

/** @param elsewhere by instance; an Error where it did not answer */
export function rulesOverview(
  here: ServerStatus,
  elsewhere: ReadonlyMap<string, ServerStatus | Error> = new Map(),
  operators: readonly OperatorStats[] = [],
): RulesOverview {
  const others = [...elsewhere].map(([instance, status]) => {
    return status instanceof Error
      ? { instance, unknown: status.message, differs: [], partitions: [] }
      : rulesOf(status)
  })
  const instances = [rulesOf(here), ...others].sort((a, b) => (a.instance < b.instance ? -1 : 1))
  // who restored a partition has not seen its switch; somebody else may have
  const seen = new Map<string, number>()
  for (const { partitions } of instances) {
    for (const { partition, offset, atMs } of partitions)
      if (atMs !== undefined) seen.set(`${partition} ${offset}`, atMs)
  }
  return {
    operators,
    instances: instances.map((one) => ({
      ...one,
      partitions: one.partitions.map((each) => {
        const atMs = each.atMs ?? seen.get(`${each.partition} ${each.offset}`)
        return { ...each, ...(atMs !== undefined && { atMs }) }
      }),
    })),
  }
}

function rulesOf({ instance, rules, partitions }: ServerStatus): InstanceRules {
  const { folder, onDisk, differs, error } = rules
  return {
    ...{ instance, folder, differs },
    ...(onDisk !== undefined && { onDisk }),
    ...(error !== undefined && { error }),
    partitions: partitions.map(({ partition, rulesInForce }) => ({ partition, ...rulesInForce })),
  }
}
