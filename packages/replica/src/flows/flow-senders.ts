import type { FlowHead } from '@ricci/engine'
import { FlowSender, type FlowSenderOptions } from './flow-sender.ts'
import type { Progress } from '../host.ts'
import type { FlowStats } from '../options.ts'
import type { LogPort } from '../ports.ts'
import type { FlowCounters, Sink } from './sink.ts'

export interface FlowSendersOptions extends Omit<FlowSenderOptions, 'sink' | 'producer' | 'counters'> {
  readonly log: Pick<LogPort, 'id'>
  readonly partition: number
  /** By the names that rules use. May change while it runs. */
  readonly sinks: ReadonlyMap<string, Sink>
  /** By name; what is missing is added. */
  readonly flowCounters: Map<string, FlowCounters>
}

/** Sends all flows of a partition, each by itself: a sick sink delays no other. For one epoch of one owner. */
export class FlowSenders {
  readonly #options: FlowSendersOptions
  readonly #senders = new Map<string, FlowSender>()
  #stopped = false

  constructor(options: FlowSendersOptions) {
    this.#options = options
  }

  /** A report of the host. */
  report(heads: readonly FlowHead[]): void {
    if (this.#stopped) return
    for (const head of heads) (this.#senders.get(head.sink) ?? this.#add(head)).report(head)
  }

  /** Nothing more is sent. Resolves when nothing is under way any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all(Array.from(this.#senders.values(), (sender) => sender.stop()))
  }

  /** Ends what is under way at once. */
  abandon(): void {
    for (const sender of this.#senders.values()) sender.abandon()
  }

  #add(head: FlowHead): FlowSender {
    const { sinks, log, partition, flowCounters } = this.#options
    const { sink: name } = head
    const counters = flowCounters.get(name) ?? noneSent()
    flowCounters.set(name, counters)
    const producer = `ricci ${log.id} ${partition} ${name}`
    const sender = new FlowSender(name, head, { ...this.#options, sink: () => sinks.get(name), producer, counters })
    this.#senders.set(name, sender)
    return sender
  }
}

/** Where the flows stand, by a host's report, and what was sent of them. */
export function flowStats(
  progress: Pick<Progress, 'flows' | 'calendarMs'> | undefined,
  counters: ReadonlyMap<string, FlowCounters>,
): FlowStats[] {
  if (progress === undefined) return []
  const { flows, calendarMs } = progress
  return flows.map((head) => {
    const lagMs = head.oldestMs === undefined ? 0 : calendarMs - head.oldestMs
    return { ...head, ...(counters.get(head.sink) ?? noneSent()), lagMs }
  })
}

function noneSent(): FlowCounters {
  return { delivered: 0, refused: 0, failed: 0, failures: 0, detail: undefined }
}
