/**
 * What a server says of itself, as events: by Riemann's names where Riemann has one, so that its dashboards and rules go on; the rest as
 * `ricci …`. Rules watch the watcher with them: docs/alerts.md.
 */
import type { Event } from '@ricci/client'
import type { Clock, Timer } from '@ricci/replica'

/** What is measured, where it stands now. */
export interface SelfFigures {
  readonly tcpConnections: number
  readonly tcpEvents: number
  readonly udpEvents: number
  /** Taken in over every protocol. */
  readonly events: number
  /** Records of the log that the engines have applied. */
  readonly applied: number
  readonly indexSize: number
  readonly lagMs: number
  readonly lagBytes: number
  readonly pagesPending: number
  readonly oldestPageMs: number
  readonly silentHosts: number
  readonly refused: number
  readonly dropped: number
  readonly ruleErrors: number
  readonly timers: number
  readonly loopDelayMs: number
  readonly gcMs: number
  readonly memoryBytes: number
}

export interface SelfEventsOptions {
  /** Host of the events. */
  readonly instance: string
  readonly tcp: string | undefined
  readonly udp: string | undefined
  readonly clock: Clock
  readonly everyMs: number
  readonly figures: () => Promise<SelfFigures>
  /** Rejects where the log takes nothing: the next ones tell. */
  readonly inject: (events: readonly Event[]) => Promise<unknown>
}

/** Sends them until `close`. */
export class SelfEvents {
  readonly #options: SelfEventsOptions
  #before: { readonly figures: SelfFigures; readonly atMs: number } | undefined
  #timer: Timer | undefined
  #closed = false

  constructor(options: SelfEventsOptions) {
    this.#options = options
    this.#wait()
  }

  /** Idempotent. */
  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #wait(): void {
    this.#timer = this.#options.clock.setTimer(this.#options.everyMs, () => {
      void this.#tell()
        .catch(() => undefined)
        .then(() => {
          if (!this.#closed) this.#wait()
        })
    })
  }

  async #tell(): Promise<void> {
    const { clock, inject, everyMs, instance } = this.#options
    const figures = await this.#options.figures()
    const atMs = clock.monotonicMs()
    const before = this.#before
    this.#before = { figures, atMs }
    // rates need two looks
    if (before === undefined || this.#closed) return
    const common = {
      host: instance,
      tags: ['riemann', 'ricci'],
      time: clock.wallMs() / 1000,
      ttl: (2 * everyMs) / 1000,
    }
    const rate = (of: (figures: SelfFigures) => number): number =>
      Math.max(0, (of(figures) - of(before.figures)) / ((atMs - before.atMs) / 1000))
    await inject(
      this.#measured(figures, rate).map(([service, metric]) => ({ ...common, service, metric, state: 'ok' })),
    )
  }

  #measured(
    now: SelfFigures,
    rate: (of: (figures: SelfFigures) => number) => number,
  ): [service: string, metric: number][] {
    const { tcp, udp } = this.#options
    return [
      ['riemann streams rate', rate(({ events }) => events)],
      ['riemann index size', now.indexSize],
      ...(tcp === undefined
        ? []
        : ([
            [`riemann server tcp ${tcp} conns`, now.tcpConnections],
            [`riemann server tcp ${tcp} in rate`, rate(({ tcpEvents }) => tcpEvents)],
          ] as [string, number][])),
      ...(udp === undefined
        ? []
        : ([[`riemann server udp ${udp} in rate`, rate(({ udpEvents }) => udpEvents)]] as [string, number][])),
      ['ricci engine records rate', rate(({ applied }) => applied)],
      ['ricci engine lag', now.lagMs / 1000],
      ['ricci engine lag bytes', now.lagBytes],
      ['ricci engine refused rate', rate(({ refused }) => refused)],
      ['ricci engine timers rate', rate(({ timers }) => timers)],
      ['ricci rules error rate', rate(({ ruleErrors }) => ruleErrors)],
      ['ricci intake dropped rate', rate(({ dropped }) => dropped)],
      ['ricci pages pending', now.pagesPending],
      ['ricci pages oldest', now.oldestPageMs / 1000],
      ['ricci hosts silent', now.silentHosts],
      ['ricci process event-loop delay', now.loopDelayMs / 1000],
      ['ricci process gc', rate(({ gcMs }) => gcMs / 1000)],
      ['ricci process memory', now.memoryBytes],
    ]
  }
}
