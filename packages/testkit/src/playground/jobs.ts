/** Jobs on a few hosts, one of which fails or recovers now and then; what people must be told of it, and what they were. */
import type { SeededRandom } from '../random.ts'
import type { Page } from './receiver.ts'

export const jobRule = 'job-failed'

/** What the cluster is to watch by. */
export const jobRules = `import { incident, index, rules, where } from 'ricci'
export default rules(index(), where('service = "job"', incident('${jobRule}', { bad: 'state = "critical"', to: 'pager' })))
`

/** Clusters of hosts; each of them in a partition of its own, where there are four. */
export const hostClusters = ['mail', 'search', 'billing', 'pay']
const hostsPerCluster = 3

type Action = 'trigger' | 'resolve'

/**
 * A page is late from then on: something holds it up. Where a trigger's request was cut off a resolve waits 11 s by design, until that cannot be under
 * way any more: one that arrived after it would open again what nobody would close.
 */
const lateMs: Readonly<Record<Action, number>> = { trigger: 3_000, resolve: 15_000 }

/** Whether a page that comes so long after its event is held up. */
function isLate(action: Action, afterMs: number): boolean {
  return afterMs >= lateMs[action]
}

/** A host with its job. */
export interface Job {
  readonly host: string
  /** Number of its cluster of hosts. */
  readonly cluster: number
  failed: boolean
  /** The page that is to come; until it has, nothing more happens here. */
  due?: { readonly action: Action; readonly sinceMs: number; missed?: true }
}

/** What a page that was told is. */
export type Verdict =
  | { readonly kind: 'due'; readonly afterMs: number; readonly late: boolean }
  /** Told already, under another key; or of nothing that happened. */
  | { readonly kind: 'doubled' }

export interface Tally {
  readonly begun: number
  readonly ended: number
  readonly delivered: number
  readonly doubled: number
  /** Each page that is to come still, e.g. `trigger search-2`. */
  readonly missing: readonly string[]
}

export class Jobs {
  readonly all: readonly Job[] = hostClusters.flatMap((name, cluster) =>
    Array.from({ length: hostsPerCluster }, (_, host) => ({ host: `${name}-${host + 1}`, cluster, failed: false })),
  )
  private begun = 0
  private ended = 0
  private delivered = 0
  private doubled = 0

  constructor(private readonly random: SeededRandom) {}

  /** The next job fails or recovers: one whose page was told; none where all pages are still to come. */
  next(nowMs: number): Job | undefined {
    const settled = this.all.filter(({ due }) => due === undefined)
    if (settled.length === 0) return undefined
    const job = settled[this.random.below(settled.length)]
    job.failed = !job.failed
    job.due = { action: job.failed ? 'trigger' : 'resolve', sinceMs: nowMs }
    if (job.failed) this.begun++
    else this.ended++
    return job
  }

  /** A page was told. */
  told({ action, rule, host }: Page, nowMs: number): Verdict {
    const job = this.all.find((each) => each.host === host)
    if (rule !== jobRule || job?.due?.action !== action) {
      this.doubled++
      return { kind: 'doubled' }
    }
    this.delivered++
    const afterMs = nowMs - job.due.sinceMs
    const late = isLate(job.due.action, afterMs)
    job.due = undefined
    return { kind: 'due', afterMs, late }
  }

  /** Jobs whose page is late and has not come; each is given once. */
  overdue(nowMs: number): Job[] {
    const found = this.all.filter(({ due }) => due && !due.missed && isLate(due.action, nowMs - due.sinceMs))
    for (const { due } of found) due!.missed = true
    return found
  }

  tally(): Tally {
    const { begun, ended, delivered, doubled } = this
    const missing = this.all.flatMap(({ host, due }) => (due === undefined ? [] : [`${due.action} ${host}`]))
    return { begun, ended, delivered, doubled, missing }
  }
}
