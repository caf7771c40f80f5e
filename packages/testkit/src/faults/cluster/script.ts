/**
 * What the receivers must have been told, and when each page was due. The truth follows from this script alone: jobs that fail and recover, notes, hosts that
 * fall silent; nothing of the product is read.
 */
import type { SeededRandom } from '../../random.ts'
import type { Effect, PageRequest } from '../pager.ts'
import type { Feed, Sent } from './feed.ts'
import { hostName, presenceService } from './load-protocol.ts'

export const silentRule = 'host-silent'
export const jobRule = 'job-failed'
export const noteRule = 'note'

/** What the cluster is to watch by. Every event of a producer is tapped: its metric says which message it came in. */
export const clusterRules = `import { incident, index, notify, rules, tap, where } from 'ricci'
export default rules(
  index(),
  tap('all'),
  where('service = "${presenceService}"', incident('${silentRule}', { bad: 'state = "expired"', to: 'pager' })),
  where('service = "job"', incident('${jobRule}', { bad: 'state = "critical"', to: 'pager' })),
  where('service = "note"', notify('chat', { name: '${noteRule}' })),
)
`

/** A job, a note. */
interface Told {
  readonly host: string
  readonly cluster: number
  readonly kind: 'stays' | 'recovers' | 'blinks' | 'note'
  readonly sent: Sent
  over?: Sent
  /** Requests and answers at its receiver: first of the trigger or note, then of the resolve. */
  arrivedMs?: number
  answeredMs?: number
}

/** A page that was due at once: its event was sent, and it had to be told. */
export interface Page {
  readonly host: string
  readonly cluster: number
  readonly sentMs: number
  readonly ackedMs: number | undefined
  /** When the first request arrived at the receiver, and when the first answer that counts had left. */
  readonly arrivedMs: number | undefined
  readonly answeredMs: number | undefined
}

const jobTtlSeconds = 36_000

/** What a page is counted under. */
export const wordsOf = (action: string, rule: string, host: string): string => `${action} ${rule} ${host}`

export class Script {
  private readonly told = new Map<string, Told>()
  /** Those of them whose page is due at once. */
  private readonly due: Told[] = []
  /** Jobs that will recover once their page has taken effect. */
  private readonly recovering = new Map<string, Told>()
  /** Hosts that were silenced: how often, and whether they are now. */
  private readonly silences = new Map<string, { times: number; talking: boolean; readonly cluster: number }>()
  private readonly counts = new Map<string, number>()
  private count = 0
  private turn = 0

  constructor(
    private readonly feed: Feed,
    private readonly random: SeededRandom,
    private readonly clusters: number,
    private readonly hostsPerCluster: number,
  ) {}

  /** A job fails somewhere, or something is noted. */
  next(cluster = this.turn++ % this.clusters): void {
    const { feed, random } = this
    const number = this.count++
    const draw = random.next()
    const kind = draw < 0.25 ? 'note' : draw < 0.35 ? 'blinks' : draw < 0.5 ? 'stays' : 'recovers'
    const host = `${kind === 'note' ? 'note' : 'job'}-${number}`
    const service = kind === 'note' ? 'note' : 'job'
    const state = kind === 'note' ? 'ok' : 'critical'
    const told: Told = { host, cluster, kind, sent: feed.send(cluster, { host, service, state, ttl: jobTtlSeconds }) }
    this.told.set(host, told)
    if (kind !== 'blinks') this.due.push(told)
    if (kind === 'recovers') this.recovering.set(host, told)
    if (kind === 'blinks') this.recover(told)
  }

  /** One more host says nothing, until its page has come. */
  silence(): void {
    const cluster = this.random.below(this.clusters)
    const host = hostName(cluster, this.random.below(this.hostsPerCluster))
    const known = this.silences.get(host) ?? { times: 0, talking: true, cluster }
    // nor one of which nobody has been told yet that it talks again: its words may be on their way still, and too old when they come
    if (!known.talking || this.has('resolve', silentRule, host) < known.times) return
    known.talking = false
    known.times++
    this.silences.set(host, known)
    this.feed.talking(host, false)
  }

  /** Something arrived at a receiver. */
  arrived({ action, rule, host, arrivedMs }: PageRequest): void {
    const told = this.told.get(host)
    if (told !== undefined && rule !== silentRule && action !== 'resolve') told.arrivedMs ??= arrivedMs
  }

  /** A request was answered for good. */
  answered({ action, rule, host, answeredMs }: PageRequest): void {
    const told = this.told.get(host)
    if (told !== undefined && rule !== silentRule && action !== 'resolve') told.answeredMs ??= answeredMs
  }

  /** Something took effect. */
  tookEffect({ action, rule, host }: Effect): void {
    const key = wordsOf(action, rule, host)
    this.counts.set(key, (this.counts.get(key) ?? 0) + 1)
    if (action === 'resolve') return
    const told = this.recovering.get(host)
    if (rule === jobRule && told !== undefined) {
      this.recovering.delete(host)
      this.recover(told)
    }
    const silence = rule === silentRule ? this.silences.get(host) : undefined
    if (silence !== undefined && !silence.talking && this.has('trigger', silentRule, host) >= silence.times) {
      silence.talking = true
      this.feed.talking(host, true)
    }
  }

  /** Pages that were due at once, in the order of their events; only the last so many, where that is told. */
  pages(last = Infinity): Page[] {
    const { due } = this
    return due
      .slice(last === Infinity ? 0 : -last)
      .flatMap(({ host, cluster, sent, arrivedMs, answeredMs }) =>
        sent.sentMs === undefined
          ? []
          : [{ host, cluster, sentMs: sent.sentMs, ackedMs: sent.ackedMs, arrivedMs, answeredMs }],
      )
  }

  /** Whether everybody who will talk again does, and every job is over that will be. */
  get atRest(): boolean {
    return this.recovering.size === 0 && [...this.silences.values()].every(({ talking }) => talking)
  }

  /** What must have been told and was not. */
  missing(): string[] {
    const wrong: string[] = []
    const least = (action: string, rule: string, host: string, times: number): void => {
      const has = this.has(action, rule, host)
      if (has < times) wrong.push(`was not told: ${action} ${rule} ${host}: ${has} times, ${times} are right`)
    }
    for (const { host, kind, over } of this.told.values()) {
      if (kind === 'note') least('notify', noteRule, host, 1)
      else {
        least('trigger', jobRule, host, kind === 'blinks' ? 0 : 1)
        if (over !== undefined) least('resolve', jobRule, host, Math.min(1, this.has('trigger', jobRule, host)))
      }
    }
    for (const [host, { times, talking }] of this.silences) {
      least('trigger', silentRule, host, times)
      least('resolve', silentRule, host, talking ? times : times - 1)
    }
    return wrong
  }

  /**
   * What was told and must not have been. That of hosts is judged by the log ({@link Evidence.falseWatchdogs}): a fault may keep their word from every
   * instance, and then they are silent indeed; here each silence that was told must have ended as well.
   * @param repairs how often the log has something told once more, by {@link wordsOf}
   */
  excess(repairs: ReadonlyMap<string, number> = new Map()): string[] {
    const wrong: string[] = []
    for (const [key, has] of this.counts) {
      const [action, rule, host] = key.split(' ')
      const told = this.told.get(host)
      if (rule === jobRule && told !== undefined && told.kind !== 'note') {
        const most = (action === 'trigger' || told.over !== undefined ? 1 : 0) + (repairs.get(key) ?? 0)
        if (has > most) wrong.push(`was told and is not so: ${key}: ${has} times, ${most} are right`)
      } else if (rule === silentRule) {
        if (action === 'trigger' && this.has('resolve', rule, host) > has)
          wrong.push(`${host} was told to be back more often than to be silent`)
      } else if (rule !== noteRule || told === undefined) wrong.push(`a page of a stranger: ${key}`)
    }
    return wrong
  }

  private recover(told: Told): void {
    const { host, cluster } = told
    told.over = this.feed.send(cluster, { host, service: 'job', state: 'ok', ttl: jobTtlSeconds })
  }

  private has(action: string, rule: string, host: string): number {
    return this.counts.get(wordsOf(action, rule, host)) ?? 0
  }
}
