import { crc32 } from 'node:zlib'
import { encodeMsg, type Event, type ProducerMark } from '@ricci/client'
import {
  createEngine,
  type Engine,
  encodeEventsRecord,
  encodeRecord,
  type LogRecord,
  type PendingPage,
  type RulesDescription,
  semanticsOf,
  type SkipRecord,
} from '@ricci/engine'

/** An engine over a log in an array, driven record by record; for tests that tell a story. Grace is off unless a test asks. */
export class EngineBench {
  readonly log: Uint8Array[] = []
  /** What reached taps: name and value. */
  readonly taps: [string, unknown][] = []
  /** What was sent to sinks: name, position of its batch, and the event. */
  readonly flowed: [sink: string, position: number, event: Event][] = []
  readonly alarms: string[] = []
  /** Pages as they were decided, in order. */
  readonly decided: Readonly<PendingPage>[] = []
  /** Paths of operators that threw. */
  readonly errors: string[] = []
  readonly descriptions = new Map<string, RulesDescription>()
  engine: Engine
  ticks = 0
  epoch = 1
  readonly #skips: readonly SkipRecord[]

  /** @param skips as a replica finds them by scanning the log ahead */
  constructor(
    description: RulesDescription,
    settings: Readonly<Record<string, unknown>> = {},
    skips: readonly SkipRecord[] = [],
  ) {
    this.#skips = skips
    this.engine = this.open()
    this.rules(description, settings)
    this.append({ kind: 'claim', epoch: 1, instance: 'a', semantics: 1 })
  }

  open(snapshot?: Uint8Array): Engine {
    return createEngine({
      logId: 'log',
      partition: 0,
      loadRules: (record) => {
        const description = this.descriptions.get(record.hash)
        if (description === undefined) throw new Error(`the bundle of ${record.hash} is damaged`)
        return description
      },
      observer: {
        onTap: (name, value) => this.taps.push([name, value]),
        onFlow: (sink, { position }, event) => this.flowed.push([sink, position, event]),
        onDecision: (page) => this.decided.push({ ...page }),
        onAlarm: (name) => this.alarms.push(name),
        onRuleError: (path) => this.errors.push(path),
      },
      skips: this.#skips,
      ...(snapshot === undefined ? {} : { snapshot }),
    })
  }

  rules(description: RulesDescription, settings: Readonly<Record<string, unknown>> = {}): void {
    const hash = `rules-${this.descriptions.size}`
    this.descriptions.set(hash, description)
    const semantics = semanticsOf(description)
    this.append({ kind: 'rules', hash, settings: { graceMs: 0, ...settings }, semantics, bundle: new Uint8Array(0) })
  }

  append(record: LogRecord): void {
    this.appendBytes(encodeRecord(record))
  }

  appendBytes(bytes: Uint8Array): void {
    this.log.push(bytes)
    this.engine.apply(this.log.length - 1, bytes, crc32(bytes))
  }

  /** Events without a mark, taken in at a wall time. */
  events(atMs: number, ...events: Event[]): void {
    this.appendBytes(encodeEventsRecord(atMs, encodeMsg({ events })))
  }

  marked(atMs: number, mark: ProducerMark, ...events: Event[]): void {
    this.appendBytes(encodeEventsRecord(atMs, encodeMsg({ events, mark })))
  }

  tick(elapsedMs: number, wallMs: number, back = false): void {
    this.append({ kind: 'tick', number: ++this.ticks, epoch: this.epoch, elapsedMs, wallMs, ...(back ? { back } : {}) })
  }

  /** A higher claim; ticks go on in its epoch. */
  claim(): void {
    this.append({ kind: 'claim', epoch: ++this.epoch, instance: 'b', semantics: 1 })
  }

  /** Goes on with another engine, restored from a snapshot of this one. */
  cut(): void {
    this.engine = this.open(new Uint8Array(Buffer.concat([...this.engine.snapshot()])))
  }

  /** The values that a tap of this name saw. */
  tapped(name: string): unknown[] {
    return this.taps.filter(([tap]) => tap === name).map(([, value]) => value)
  }
}
