/**
 * The script that the kills run by, and the truth that follows from it. Hosts talk all the time or fall silent; jobs fail, and
 * recover or not. What the receiver must have been told follows from that alone: the truth reads this script and the receiver's
 * list, nothing of the product.
 */
import type { Event } from '@ricci/client'
import type { Effect } from './pager.ts'

/** A host that says nothing for so long, while somebody keeps the log, is silent. */
export const ttlSeconds = 5

/** Names of the incidents in {@link fleetRules}. */
export const silentRule = 'host-silent'
export const jobRule = 'job-failed'
export const noteRule = 'note'

/** What the daemon is to watch the fleet by. Which edition makes no difference to what is told, only to the text and the tree of the rules. */
export const fleetRules = (
  edition: number,
): string => `import { incident, index, notify, rules, tap, where } from 'ricci'
export default rules(
  where('service = "edition ${edition}"', tap('edition')),
  index(),
  tap('all'),
  where('service = "alive"', incident('${silentRule}', { bad: 'state = "expired"', to: 'pager' })),
  where('service = "job"', incident('${jobRule}', { bad: 'state = "critical"', to: 'pager' })),
  where('service = "note"', notify('chat', { name: '${noteRule}' })),
)
`

/** Hosts of one message. */
const hostsPerMessage = 10
/** Jobs do not expire while the test runs. */
const jobTtlSeconds = 3_600

interface Host {
  readonly name: string
  talking: boolean
  /** How often it fell silent. */
  silences: number
  /** Whether it will talk again once its page has come. */
  readonly returns: boolean
}

/** `stays` failed, `recovers` once its page has taken effect, `blinks`: is over before anybody may have been told. */
export type JobKind = 'stays' | 'recovers' | 'blinks'

interface Job {
  readonly name: string
  readonly kind: JobKind
  over: boolean
}

export class Fleet {
  private readonly hosts: Host[] = []
  private readonly jobs: Job[] = []
  private notes = 0
  private datagrams = 0
  private turn = 0

  constructor(talkers: number, fallingSilent: number) {
    for (let i = 0; i < talkers; i++) this.add(`steady-${i}`, false)
    for (let i = 0; i < fallingSilent; i++) this.add(`silent-${i}`, i % 2 === 0)
  }

  /** Hosts that never fell silent, that did, and jobs that failed. */
  get counts(): { readonly steady: number; readonly silenced: number; readonly jobs: number } {
    const silenced = this.hosts.filter(({ silences }) => silences > 0).length
    return { steady: this.hosts.length - silenced, silenced, jobs: this.jobs.length }
  }

  /** What the next few hosts say, in turn. */
  beat(): Event[] {
    const talking = this.hosts.filter((host) => host.talking)
    const some = Array.from({ length: hostsPerMessage }, (_, i) => talking[(this.turn + i) % talking.length])
    this.turn = (this.turn + hostsPerMessage) % talking.length
    return some.map(alive)
  }

  /** What all of them say. */
  everyone(): Event[] {
    return this.hosts.filter((host) => host.talking).map(alive)
  }

  /** One more host says nothing from now on; none, when all that do so have. */
  silence(): void {
    const host = this.hosts.find(({ name, silences }) => name.startsWith('silent') && silences === 0)
    if (host === undefined) return
    host.talking = false
    host.silences++
  }

  /** Whether a host is silent whose page has not come yet. */
  somebodyIsMissed(effects: readonly Effect[]): boolean {
    return this.hosts.some((host) => !host.talking && count(effects, 'trigger', silentRule, host.name) < host.silences)
  }

  /** A job fails: what it says, and its host. */
  fail(kind: JobKind): { readonly host: string; readonly event: Event } {
    const job = { name: `job-${this.jobs.length}`, kind, over: false }
    this.jobs.push(job)
    return { host: job.name, event: jobEvent(job.name, 'critical') }
  }

  /** Something that people are to be told of once, at a blind receiver. */
  note(): Event {
    return { ...jobEvent(`note-${this.notes++}`, 'ok'), service: 'note' }
  }

  /** What a client sends that waits for no ack; its metric is below 0 and never used twice. */
  datagram(): Event {
    return { ...jobEvent('datagrams', 'ok'), service: 'datagram', metric: -++this.datagrams }
  }

  isOver(host: string): boolean {
    return this.jobs.some(({ name, over }) => name === host && over)
  }

  /** A job is over: what it says. */
  recover(host: string): Event {
    this.jobs.find(({ name }) => name === host)!.over = true
    return jobEvent(host, 'ok')
  }

  /** Whoever had to wait for a page to take effect, and may now talk again: what they say. */
  afterPages(effects: readonly Effect[]): Event[] {
    const events: Event[] = []
    for (const host of this.hosts) {
      if (host.talking || !host.returns || count(effects, 'trigger', silentRule, host.name) === 0) continue
      host.talking = true
      events.push(alive(host))
    }
    for (const { name, kind, over } of this.jobs) {
      if (kind === 'recovers' && !over && count(effects, 'trigger', jobRule, name) > 0) events.push(this.recover(name))
    }
    return events
  }

  /** Whether everybody who will talk again does, and all jobs are over that will be. */
  get atRest(): boolean {
    return (
      this.hosts.every((host) => host.talking || !host.returns) &&
      this.jobs.every((job) => job.kind === 'stays' || job.over)
    )
  }

  /** What must have been told and was not. */
  missing(effects: readonly Effect[]): string[] {
    return this.compare(effects, (has, least) => has < least, 'was not told: ')
  }

  /** Notes that the blind receiver was not told of. */
  untold(effects: readonly Effect[]): string[] {
    const told = new Set(effects.filter(({ rule }) => rule === noteRule).map(({ host }) => host))
    const names = Array.from({ length: this.notes }, (_, i) => `note-${i}`)
    return names.filter((name) => !told.has(name)).map((name) => `was not told: ${name}`)
  }

  /** What was told and must not have been. */
  excess(effects: readonly Effect[]): string[] {
    const known = new Set([...this.hosts, ...this.jobs].map(({ name }) => name))
    const strangers = effects
      .filter(({ host }) => !known.has(host))
      .map(({ rule, host }) => `${rule} of a stranger: ${host}`)
    return [...strangers, ...this.compare(effects, (has, _least, most) => has > most, 'was told and is not so: ')]
  }

  private compare(
    effects: readonly Effect[],
    wrong: (has: number, least: number, most: number) => boolean,
    words: string,
  ): string[] {
    const found: string[] = []
    const judge = (action: string, rule: string, host: string, least: number, most: number): void => {
      const has = count(effects, action, rule, host)
      if (wrong(has, least, most))
        found.push(`${words}${action} ${rule} ${host}: ${has} times, ${least} to ${most} are right`)
    }
    for (const { name, silences, talking } of this.hosts) {
      judge('trigger', silentRule, name, silences, silences)
      const resolves = talking ? silences : 0
      judge('resolve', silentRule, name, resolves, resolves)
    }
    for (const { name, kind, over } of this.jobs) {
      const triggers = count(effects, 'trigger', jobRule, name)
      judge('trigger', jobRule, name, kind === 'blinks' ? 0 : 1, 1)
      const resolves = over ? Math.min(1, triggers) : 0
      judge('resolve', jobRule, name, resolves, resolves)
    }
    return found
  }

  private add(name: string, returns: boolean): void {
    this.hosts.push({ name, talking: true, silences: 0, returns })
  }
}

function alive({ name }: { readonly name: string }): Event {
  return { host: name, service: 'alive', state: 'ok', ttl: ttlSeconds, time: Date.now() / 1000 }
}

function jobEvent(host: string, state: string): Event {
  return { host, service: 'job', state, ttl: jobTtlSeconds, time: Date.now() / 1000 }
}

function count(effects: readonly Effect[], action: string, rule: string, host: string): number {
  return effects.filter((effect) => effect.action === action && effect.rule === rule && effect.host === host).length
}
