/**
 * What was done about an incident, read back from the log: attempts, the receivers' answers, who owned meanwhile, what people said.
 * The engine's state holds the incident and what waits; what was settled is in the log alone.
 */
import {
  decodeRecord,
  kindOf,
  type Incident,
  type LogRecord,
  type OutcomeResult,
  type PendingPage,
} from '@ricci/engine'
import { offsetOfId, partitionOfId } from '../incidents/incident-filter.ts'

/** How an attempt ended, as the log says. */
export interface OutcomeTold {
  readonly offset: number
  readonly atMs: number
  readonly result: OutcomeResult
  /** What the receiver said. */
  readonly detail?: string
}

/** One try to send a page. */
export interface AttemptTold {
  /** (epoch, n) names it. */
  readonly epoch: number
  readonly n: number
  readonly offset: number
  readonly atMs: number
  /** Which instance sent; absent where the log no longer says. */
  readonly instance?: string
  /** The attempt in doubt that it repeats: at a blind receiver it is marked as a possible repeat. */
  readonly repeats?: string
  /** How many pages went as one. */
  readonly digest?: number
  /** Absent while nobody knows. */
  outcome?: OutcomeTold
}

/** A page of the incident, and what became of it. */
export interface PageTold {
  readonly id: string
  readonly action: PendingPage['action']
  readonly receiver: string
  /** It is a digest, which stands for others as well. */
  readonly digest?: true
  /** With which it was settled, as the state or the log says; absent while it waits. */
  result?: string
  readonly attempts: AttemptTold[]
}

/** A claim of ownership. */
export interface ClaimTold {
  readonly epoch: number
  readonly instance: string
  readonly offset: number
  /** Of its first tick: a claim says no time, and before it nobody kept any. */
  atMs: number
}

/** What somebody asked for. */
export interface CommandTold {
  readonly name: string
  readonly who: string
  readonly from: string
  readonly why: string
  readonly offset: number
  readonly atMs: number
}

/** An incident from its opening to its end. */
export interface IncidentTold {
  readonly partition: number
  readonly incident: Incident
  readonly pages: readonly PageTold[]
  readonly claims: readonly ClaimTold[]
  readonly commands: readonly CommandTold[]
  /** What of the log was read: where it ends before the end of the story, or begins behind the opening, the rest is not known. */
  readonly read: { readonly from: number; readonly until: number; readonly whole: boolean }
}

/** Claims and commands that are told: a cluster that changes owners for days has more, and they say nothing new. */
const mostTold = 200
/** Attempts of one page that are told: a receiver that is away for a day is tried some hundred times. */
const mostAttempts = 1_000

const settling: ReadonlySet<string> = new Set(['delivered', 'refused', 'overtaken', 'gave-up'])

/** Reads the records of a stretch of log, from the incident's opening on. */
export class History {
  readonly #incident: Incident
  readonly #pages = new Map<string, PageTold>()
  readonly #attempts = new Map<string, { readonly pages: PageTold[]; readonly told: AttemptTold }>()
  readonly #claims: ClaimTold[] = []
  readonly #commands: CommandTold[] = []
  #begun: ClaimTold | undefined
  /** By the offset of a record that was about this incident, what pages that were decided at it do. */
  readonly #followed = new Map<number, PageTold['action']>()
  #atMs: number
  #first = -1
  #next = 0

  /** @param waiting the pages that wait, of any incident */
  constructor(incident: Incident, waiting: readonly PendingPage[]) {
    this.#incident = incident
    this.#atMs = incident.openedAtMs
    for (const { receiver, trigger, result, resolve } of incident.deliveries) {
      this.#add(trigger, 'trigger', receiver, result)
      if (resolve !== undefined) this.#add(resolve, 'resolve', receiver)
    }
    // a trigger that was decided anew, or went into a digest, had an id of its own at the opening
    incident.deliveries.forEach(({ receiver }, i) => this.#add(idAfter(incident.id, i + 1), 'trigger', receiver))
    for (const page of waiting) {
      if (page.incident === incident.id || this.#pages.has(page.trigger ?? ''))
        this.#add(page.id, page.action, page.receiver)
    }
  }

  /** Takes a record, in their order. */
  take(offset: number, bytes: Uint8Array): void {
    if (this.#first < 0) this.#first = offset
    this.#next = offset + 1
    const kind = kindOf(bytes)
    if (kind === 'hole' || kind === 'rules' || kind === 'checkpoint' || kind === 'skip') return
    let record: LogRecord
    try {
      record = decodeRecord(bytes)
    } catch {
      return // the engine passed over it as well
    }
    switch (record.kind) {
      case 'events':
        this.#atMs = Math.max(this.#atMs, record.receivedAtMs)
        return
      case 'tick':
        this.#atMs = record.back === true ? record.wallMs : Math.max(this.#atMs, record.wallMs)
        if (this.#begun?.epoch === record.epoch) {
          this.#begun.atMs = this.#atMs
          this.#begun = undefined
        }
        return
      case 'claim': {
        const { epoch, instance } = record
        this.#begun = { epoch, instance, offset, atMs: this.#atMs }
        if (this.#claims.length < mostTold) this.#claims.push(this.#begun)
        return
      }
      case 'attempt':
        return this.#attempt(record, offset)
      case 'outcome':
        return this.#outcome(record, offset)
      case 'command': {
        const { name, who, from, why, arguments: given } = record
        const { rule, key } = this.#incident
        const isOurs = given['rule'] === rule && (given['key'] ?? '') === key
        if (isOurs && offset <= (this.#incident.closed?.offset ?? Infinity) && this.#commands.length < mostTold) {
          this.#commands.push({ name, who, from, why, offset, atMs: this.#atMs })
          this.#followed.set(offset, name === 'acknowledge' ? name : name === 'redrive' ? 'trigger' : 'resolve')
        }
      }
    }
  }

  /** Whether nothing that is to come can say more: closed, and every page of it settled. */
  get done(): boolean {
    const { closed } = this.#incident
    if (closed === undefined || this.#next <= closed.offset) return false
    return [...this.#pages.values()].every(({ result }) => result !== undefined)
  }

  /** @param whole whether all was read that the log has, or is needed */
  told(partition: number, whole: boolean): IncidentTold {
    const named = new Set(this.#incident.deliveries.flatMap(({ trigger, resolve }) => [trigger, resolve]))
    // an id that only might have been has left no trace where it was not
    const pages = [...this.#pages.values()].filter(({ id, attempts }) => named.has(id) || attempts.length > 0)
    pages.sort((a, b) => offsetOfId(a.id) - offsetOfId(b.id))
    const last = Math.max(...pages.flatMap(({ attempts }) => attempts.map(({ offset }) => offset)), 0)
    return {
      partition,
      incident: this.#incident,
      pages,
      claims: this.#claims.filter(({ offset }) => offset <= Math.max(last, this.#incident.closed?.offset ?? Infinity)),
      commands: this.#commands,
      read: { from: Math.max(this.#first, 0), until: this.#next, whole },
    }
  }

  #add(id: string, action: PageTold['action'], receiver: string, result?: string): void {
    if (this.#pages.has(id)) return
    this.#pages.set(id, { id, action, receiver, ...(result !== undefined && { result }), attempts: [] })
  }

  /** A page that was decided at a record about this incident is its own: state names neither acknowledgements nor repairs. */
  #follow(id: string, receiver: string): void {
    const action =
      partitionOfId(id) === partitionOfId(this.#incident.id) ? this.#followed.get(offsetOfId(id)) : undefined
    if (action === undefined || !this.#incident.deliveries.some((delivery) => delivery.receiver === receiver)) return
    this.#add(id, action, receiver)
  }

  #attempt(record: Extract<LogRecord, { kind: 'attempt' }>, offset: number): void {
    for (const id of record.pages) this.#follow(id, record.receiver)
    const pages = record.pages.flatMap((id) => this.#pages.get(id) ?? []).filter((p) => p.receiver === record.receiver)
    if (pages.length === 0) return
    const { epoch, n, sender, repeats } = record
    const instance = sender ?? this.#claims.find((claim) => claim.epoch === epoch)?.instance
    const told: AttemptTold = {
      ...{ epoch, n, offset, atMs: this.#atMs },
      ...(instance !== undefined && { instance }),
      ...(repeats !== undefined && { repeats }),
      ...(record.digest !== undefined && { digest: record.pages.length }),
    }
    this.#attempts.set(`${epoch}.${n}`, { pages, told })
    for (const { attempts } of pages) if (attempts.length < mostAttempts) attempts.push(told)
  }

  #outcome(record: Extract<LogRecord, { kind: 'outcome' }>, offset: number): void {
    const found = this.#attempts.get(`${record.epoch}.${record.n}`)
    if (found === undefined) return
    const { result, detail } = record
    found.told.outcome ??= { offset, atMs: this.#atMs, result, ...(detail !== undefined && { detail }) }
    if (found.pages.some(({ action }) => action === 'trigger') && !this.#followed.has(offset)) {
      // a trigger that is delivered late is told that somebody has taken it on, or that it is over
      this.#followed.set(offset, offset > (this.#incident.closed?.offset ?? Infinity) ? 'resolve' : 'acknowledge')
    }
    if (settling.has(result)) for (const page of found.pages) page.result ??= result
  }
}

/** The id of a decision of the same record that came so many later. */
function idAfter(id: string, later: number): string {
  return id.replace(
    /\.(\d+)(\.[^.]*)$/,
    (_, ordinal: string, checksum: string) => `.${Number(ordinal) + later}${checksum}`,
  )
}
