/** Rules at work in virtual time: the engine that the daemon runs, over a log that a test writes. */
import { crc32 } from 'node:zlib'
import { encodeMsg, type Event } from '@ricci/client'
import {
  createEngine,
  type Engine,
  encodeEventsRecord,
  encodeRecord,
  engineSemantics,
  type LogRecord,
  type PendingPage,
  type RulesDescription,
  settingsFrom,
} from '@ricci/engine'

/** What a test is given. Nothing in it waits: seconds pass when `pass` says so. */
export interface Run {
  /** Seconds since 1970, by the rules' calendar; a test begins at 2026-01-01T00:00:00Z. */
  readonly now: number
  /** The pages that receivers have got so far, in order; every one is delivered at once. */
  readonly pages: readonly SentPage[]
  /** Events arrive, in one message. One without a time has that of its arrival. */
  send(...events: Event[]): void
  /** Lets time pass, as an owner's ticks do. */
  pass(seconds: number): void
  /** Nobody keeps the log for so long, then a new owner takes over: the calendar goes on, owned time stands still. */
  outage(seconds: number): void
  /** What reached the `tap` of this name so far: events, lists of events or values. */
  tapped(name: string): readonly unknown[]
  /** Asks the index, as `ricci query` does. */
  query(query: string): readonly Event[]
}

/** A page as a receiver gets it. */
export interface SentPage {
  readonly action: 'trigger' | 'acknowledge' | 'resolve' | 'notify'
  /** Name of the receiver. */
  readonly to: string
  /** Name of the incident, or of what `notify` calls itself. */
  readonly rule: string
  readonly key: string
  readonly severity: string
  readonly summary: string
  readonly host: string
  readonly service: string
  /** For a digest, how many pages it stands for; else 0. */
  readonly members: number
}

/** A test's own code. */
export type TestBody = (run: Run) => void

/** What a test runs on, where that is not the whole folder under its own settings. */
export interface TestOptions {
  /** Instead of all rules of the folder. */
  readonly rules?: RulesDescription
  /** Engine settings that differ from the configuration's, as `{ defaultTtlSeconds: 5 }`. */
  readonly settings?: Readonly<Record<string, unknown>>
}

/** A Thursday, far from any change of clocks. */
const startMs = Date.UTC(2026, 0, 1)

/** As the daemon's owner ticks. */
const tickMs = 500

/** A test that lets more time pass than this has a mistake in a unit: a year is 63 million ticks. */
const maxPassSeconds = 366 * 86_400

/** One run of a set of rules. */
export class RulesRun implements Run {
  readonly pages: SentPage[] = []
  /** What rules threw, with the operator's path. */
  readonly errors: [path: string, error: unknown][] = []
  readonly engine: Engine
  /** [number of the operator last called, …]: who waits for the run reads it. */
  private readonly progress = new Int32Array(2)
  private readonly taps: [name: string, value: unknown][] = []
  private wallMs: number
  private epoch = 0
  private ticks = 0
  private attempts = 0

  /** @throws EngineError for rules or settings that the engine refuses */
  constructor(rules: RulesDescription, settings: Readonly<Record<string, unknown>>) {
    const { graceMs } = settingsFrom(settings)
    this.engine = createEngine({
      logId: 'test',
      progress: this.progress,
      partition: 0,
      loadRules: () => rules,
      observer: {
        onTap: (name, value) => this.taps.push([name, value]),
        onRuleError: (path, error) => this.errors.push([path, error]),
        onAlarm: (name, detail) => {
          if (name === 'rules-refused') this.errors.push(['', new Error(detail)])
        },
      },
    })
    // the grace of the first claim is over when a test begins
    this.wallMs = startMs - graceMs - tickMs
    this.append({ kind: 'rules', hash: 'test', settings, semantics: engineSemantics, bundle: new Uint8Array(0) })
    this.claim()
    this.pass((startMs - this.wallMs) / 1000)
  }

  /** The operator that is at work, as the way to it from the root. */
  get operatorAtWork(): string {
    return this.engine.operatorPaths()[this.progress[0]] ?? ''
  }

  get now(): number {
    return this.wallMs / 1000
  }

  send(...events: Event[]): void {
    this.apply(encodeEventsRecord(this.wallMs, encodeMsg({ events })))
  }

  pass(seconds: number): void {
    for (let leftMs = checked(seconds) * 1000; leftMs > 0; leftMs -= tickMs) this.tick(Math.min(tickMs, leftMs))
  }

  outage(seconds: number): void {
    this.wallMs += checked(seconds) * 1000
    this.claim()
  }

  tapped(name: string): readonly unknown[] {
    return this.taps.filter(([tap]) => tap === name).map(([, value]) => value)
  }

  query(query: string): readonly Event[] {
    const events: Event[] = []
    let cursor: number | undefined = 0
    while (cursor !== undefined) {
      const page = this.engine.query(query, cursor === 0 ? {} : { cursor })
      events.push(...page.events)
      cursor = page.nextCursor
    }
    return events
  }

  private tick(elapsedMs: number): void {
    this.wallMs += elapsedMs
    this.append({ kind: 'tick', number: ++this.ticks, epoch: this.epoch, elapsedMs, wallMs: this.wallMs })
  }

  /** The first tick after a claim says that no time has passed. */
  private claim(): void {
    this.append({ kind: 'claim', epoch: ++this.epoch, instance: 'test', semantics: engineSemantics })
    this.tick(0)
  }

  private append(record: LogRecord): void {
    this.apply(encodeRecord(record))
  }

  private apply(bytes: Uint8Array): void {
    this.engine.apply(this.engine.appliedOffset + 1, bytes, crc32(bytes))
    this.deliver()
  }

  /** Every page that waits is sent, and arrives. */
  private deliver(): void {
    for (const page of this.engine.pendingPages()) {
      const about = { epoch: this.epoch, n: ++this.attempts, receiver: page.receiver, pages: [page.id] }
      const sent = sentPage(page)
      for (const record of [
        { kind: 'attempt', ...about },
        { kind: 'outcome', ...about, result: 'delivered' },
      ] as const) {
        const bytes = encodeRecord(record)
        this.engine.apply(this.engine.appliedOffset + 1, bytes, crc32(bytes))
      }
      this.pages.push(sent)
    }
  }
}

function sentPage(page: Readonly<PendingPage>): SentPage {
  const { action, receiver: to, rule, key, severity, summary, host, service, memberCount } = page
  return { action, to, rule, key, severity, summary, host, service, members: memberCount ?? page.members?.length ?? 0 }
}

function checked(seconds: number): number {
  if (typeof seconds === 'number' && seconds >= 0 && seconds <= maxPassSeconds) return seconds
  throw new Error(`seconds are a number from 0 to ${maxPassSeconds}, got ${String(seconds)}`)
}
