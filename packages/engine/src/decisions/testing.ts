import type { AttemptRecord, CommandRecord, OutcomeResult } from '../records.ts'
import type { CommandResult } from './commands.ts'
import { Decisions, type DecisionsState } from './decisions.ts'
import type { Told } from './incident.ts'

export const description = {
  severity: 'critical',
  summary: 'it is bad',
  host: 'h',
  service: 's',
  provenance: () => ({ why: 'a test' }),
}

/** Drives decisions as an engine does, one record per call. */
export class Desk {
  decisions: Decisions
  readonly decided: string[] = []
  readonly settled: string[] = []
  readonly alarms: string[] = []
  offset = -1
  calendarMs = 1_000_000
  ownedMs = 0
  /** Told of within records. */
  steps = 0
  #n = 0

  constructor(settings: Record<string, unknown> = {}, rules: readonly string[] = ['cpu', 'disk']) {
    this.decisions = this.#open()
    this.#begin().rulesSwitched(new Set(rules), settings)
    this.#begin().claim({ kind: 'claim', epoch: 1, instance: 'a', semantics: 1 })
  }

  #open(): Decisions {
    return new Decisions({
      logId: 'log',
      partition: 0,
      onStep: () => void this.steps++,
      observer: {
        onDecision: (page) => this.decided.push(`${page.action} ${page.receiver} ${page.rule} ${page.key}`.trim()),
        onSettled: (page, result) => this.settled.push(`${page.action} ${page.receiver} ${result}`),
        onAlarm: (name, detail) => this.alarms.push(`${name} ${detail}`),
      },
    })
  }

  #begin(): Decisions {
    this.decisions.begin(++this.offset, 7, this.calendarMs, this.ownedMs)
    return this.decisions
  }

  event(rule: string, key: string, bad: boolean, to = ['oncall'], escalate?: Told['escalate'], host?: string): void {
    const summary = bad ? description.summary : 'it is good'
    this.#begin().incident(rule, key, bad, { to, escalate }, () => ({ ...description, summary }), host)
  }

  /** An event of one that has its incident with all of its group. */
  member(rule: string, group: string, key: string, bad: boolean, escalate?: Told['escalate']): void {
    const described = () => ({ ...description, summary: bad ? description.summary : 'it is good' })
    this.#begin().member(rule, group, { key, host: key, bad }, { to: ['oncall'], escalate }, described)
  }

  /** So much time passes, in one tick. */
  tick(ms: number, calendarMs = ms): void {
    this.ownedMs += ms
    this.calendarMs += calendarMs
    this.#begin().tick()
  }

  notify(to = 'oncall', described: () => unknown = description.provenance): void {
    this.#begin().notify('note', [to], () => ({ ...description, provenance: described }))
  }

  claim(epoch: number): boolean {
    return this.#begin().claim({ kind: 'claim', epoch, instance: `of ${epoch}`, semantics: 1 })
  }

  /** Gives the attempt's record, or undefined where it is not in force. */
  attempt(pages: readonly string[], epoch = 1, digest?: 'waited'): AttemptRecord | undefined {
    const receiver = this.decisions.pendingPages().find((page) => page.id === pages[0])?.receiver ?? 'oncall'
    const record: AttemptRecord = { kind: 'attempt', epoch, n: ++this.#n, receiver, pages, digest }
    return this.#begin().attempt(record) ? record : undefined
  }

  outcome({ epoch, n, receiver, pages }: AttemptRecord, result: OutcomeResult): void {
    this.#begin().outcome({ kind: 'outcome', epoch, n, receiver, pages, result })
  }

  command(
    id: string,
    name: CommandRecord['name'],
    given: CommandRecord['arguments'] = { rule: 'cpu', key: 'h' },
  ): CommandResult | undefined {
    const record = { kind: 'command', id, name, who: 'me', from: 'here', why: 'so', arguments: given } as const
    return this.#begin().command(record)
  }

  rules(...names: string[]): void {
    this.#begin().rulesSwitched(new Set(names))
  }

  send(page: string, result: OutcomeResult, epoch = 1): void {
    this.outcome(this.attempt([page], epoch)!, result)
  }

  get pending(): string[] {
    return this.decisions.pendingPages().map((page) => page.id)
  }

  /** Through JSON, as a snapshot takes it. */
  restore(): void {
    const state = JSON.parse(JSON.stringify(this.decisions.snapshot())) as DecisionsState
    this.decisions = this.#open()
    this.decisions.restore(state)
  }
}
