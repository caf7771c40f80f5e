/**
 * Drills: a page that is marked as one goes the whole way of a page (command record, decision, attempt, request, outcome), and each part of it is
 * timed as this instance sees it. What came of it is an event `ricci drill RECEIVER` that holds for longer than the next drill takes to come: where it expires, or says
 * `critical`, nobody has proved that pages arrive.
 */
import type { Event } from '@ricci/client'
import { encodeRecord, type CommandStatus } from '@ricci/engine'
import type { Clock, Timer } from '@ricci/replica'
import { partitionOf } from '@ricci/replica/partition-of'
import { RicciError } from '../errors.ts'
import type { Asker, CommandLog, IncidentCommands } from './incident-commands.ts'

/** Whom to page, and how often without being asked. */
export interface DrillConfig {
  readonly to: string
  readonly everyMs: number
}

/** What became of a drill. */
export interface DrillReport {
  readonly id: string
  readonly to: string
  /** Id of its page; absent where nothing was decided in time. */
  readonly page?: string
  /** As the outcome says; absent where there was none in time. */
  readonly result?: string
  readonly detail?: string
  /** What was reached, and after how many milliseconds since it was asked for. */
  readonly hops: readonly { readonly hop: string; readonly atMs: number }[]
}

export interface DrillsOptions {
  readonly instance: string
  readonly partitions: number
  readonly log: CommandLog
  readonly commands: Pick<IncidentCommands, 'status'>
  readonly clock: Clock
  /** Names of those that are configured. */
  readonly receivers: { has(name: string): boolean; keys(): Iterable<string> }
  readonly scheduled?: DrillConfig
  /** Whether a partition is owned here. */
  readonly owns: (partition: number) => boolean
  readonly take: (events: readonly Event[]) => Promise<void>
  readonly alarm: (name: string, detail: string) => void
}

/** How often it is looked how far a drill is. */
const lookMs = 50
/** A request may take ten seconds, and an owner may be found first: what took longer did not work, for who waits for a page. */
const patienceMs = 30_000
/** How often it is looked whether a drill is due. */
const dueMs = 15_000
/** So many intervals the event of one holds: one may be late. */
const intervalsHeld = 1.5
/** How long it holds where none is scheduled: until the same time tomorrow, and then some. */
const heldMs = 30 * 3_600_000

export class Drills {
  private readonly running = new Map<string, Promise<DrillReport>>()
  private timer: Timer | undefined
  /** The interval in which the last one that is scheduled was run here. */
  private lastSlot = -1
  private stopped = false

  constructor(private readonly options: DrillsOptions) {}

  /** Runs those that are scheduled: each by who owns its partition then. */
  start(): void {
    const { scheduled, clock } = this.options
    if (scheduled === undefined || this.stopped) return
    this.timer = clock.setTimer(dueMs, () => {
      this.runScheduled(scheduled)
      this.start()
    })
  }

  /** Idempotent. What is under way comes to its end by itself. */
  stop(): void {
    this.stopped = true
    this.timer?.cancel()
  }

  /**
   * Runs one; whoever asks for the same receiver meanwhile hears the same.
   * @throws RicciError `NO_RECEIVER`; ReplicaError: why the log does not take it
   */
  run(to: string | undefined, id: string, why: string, asker: Asker): Promise<DrillReport> {
    const { receivers, scheduled } = this.options
    const name = to ?? scheduled?.to
    const all = [...receivers.keys()].join(', ')
    if (name === undefined) throw new RicciError('NO_RECEIVER', `say whom to page; there are: ${all}`)
    if (!receivers.has(name)) throw new RicciError('NO_RECEIVER', `there is no receiver ${name}; there are: ${all}`)
    let running = this.running.get(name)
    if (running === undefined) {
      running = this.drill(name, id, why, asker).finally(() => this.running.delete(name))
      this.running.set(name, running)
    }
    return running
  }

  private runScheduled({ to, everyMs }: DrillConfig): void {
    const { clock, owns, instance, alarm } = this.options
    const slot = Math.floor(clock.wallMs() / everyMs)
    if (slot === this.lastSlot || !owns(this.partitionOf(to))) return
    this.lastSlot = slot
    // by its interval: who takes the partition over does not page once more
    this.run(to, `drill/${to}/${slot}`, 'it is scheduled', { who: 'ricci', from: instance }).catch((error: Error) =>
      alarm('drill-failed', `no drill could be made to ${to}: ${error.message}`),
    )
  }

  private async drill(to: string, id: string, why: string, { who, from }: Asker): Promise<DrillReport> {
    const { log, clock } = this.options
    const partition = this.partitionOf(to)
    const startMs = clock.monotonicMs()
    const hops: { hop: string; atMs: number }[] = []
    const reach = (hop: string): void => {
      if (hops.some((one) => one.hop === hop)) return
      hops.push({ hop, atMs: Math.round(clock.monotonicMs() - startMs) })
    }
    await log.append(
      partition,
      [encodeRecord({ kind: 'command', id, name: 'drill', who, from, why, arguments: { receiver: to } })],
      'act',
    )
    reach('recorded')
    let status: CommandStatus | undefined
    for (let leftMs = patienceMs; leftMs > 0; leftMs = patienceMs - (clock.monotonicMs() - startMs)) {
      status = (await this.options.commands.status([{ id, partition }], leftMs)).commands[id] ?? status
      if (status?.page !== undefined) reach('decided')
      if ((status?.attempts ?? 0) > 0 || status?.result !== undefined) reach('attempt recorded')
      if (status?.result !== undefined) {
        reach('answered')
        break
      }
      await new Promise<void>((resolve) => clock.setTimer(lookMs, resolve))
    }
    const { page, result, detail } = status ?? {}
    const report: DrillReport = { id, to, page, result, detail, hops }
    await this.tell(report)
    return report
  }

  private async tell(report: DrillReport): Promise<void> {
    const { instance, clock, scheduled, take, alarm } = this.options
    const { to, result } = report
    const isWell = result === 'delivered'
    const description = textOf(report)
    if (!isWell) alarm('drill-failed', description)
    const ttlMs = scheduled?.to === to ? scheduled.everyMs * intervalsHeld : heldMs
    const event: Event = {
      host: instance,
      service: `ricci drill ${to}`,
      state: isWell ? 'ok' : 'critical',
      description,
      metric: (report.hops.at(-1)?.atMs ?? 0) / 1_000,
      tags: ['ricci'],
      time: clock.wallMs() / 1_000,
      ttl: ttlMs / 1_000,
    }
    // a log that takes no events has alarms of its own
    await take([event]).catch(() => undefined)
  }

  private partitionOf(to: string): number {
    return partitionOf(`ricci drill ${to}`, this.options.partitions)
  }
}

/** What became of it, in a sentence. */
export function textOf({ to, result, detail = '', hops }: DrillReport): string {
  const said = detail === '' ? '' : ` (${detail})`
  const last = hops.at(-1)
  if (result !== undefined) return `a drill to ${to} was ${result} after ${last!.atMs} ms${said}`
  return `a drill to ${to} came to no end within ${patienceMs / 1_000} s; it got as far as: ${last?.hop ?? 'nothing'}`
}
