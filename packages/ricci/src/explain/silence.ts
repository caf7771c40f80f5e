/** Why a rule did not page about a host: what a traced engine saw of it over a stretch of the log. */
import type {
  EngineObserver,
  Gate,
  Incident,
  Judged,
  PendingPage,
  RulesDescription,
  Seen,
  TraceQuestion,
} from '@ricci/engine'
import type { Stream } from '@ricci/engine/vocabulary'
import { nearest } from '../config/nearest.ts'

/** What is asked. */
export interface SilenceQuestion {
  readonly host: string
  readonly rule: string
  readonly service?: string
  /** Calendar time, milliseconds: what came from then on, and up to then. */
  readonly fromMs: number
  readonly untilMs: number
  /** Nothing said of which cluster the host is: looked into was the partition that its name leads to, of several. */
  readonly byName?: true
}

/** An operator that let nothing on, and how often. */
export interface GateCount {
  readonly gate: Gate
  readonly times: number
  /** Of these, events that the rule would have called bad. */
  readonly bad: number
  /** The last bad one, else the last. */
  readonly last: Seen
  /** What came next at the same place and had another value: it ended what was held. */
  readonly ended?: Seen
}

/** A page of the rule about the host, decided meanwhile. */
export interface DecidedPage {
  readonly id: string
  readonly action: PendingPage['action']
  readonly receiver: string
  readonly incident?: string
  readonly offset: number
  readonly atMs: number
  /** How many pages it stands for, of a digest. */
  readonly members?: number
  readonly result?: string
  /** What the receiver said last. */
  readonly detail?: string
}

/** The answer in one word. */
export type SilenceReason =
  /** The rules in force declare nothing of that name. */
  | 'rule-unknown'
  /** Nothing of the host came. */
  | 'no-event'
  /** All that came had come before. */
  | 'duplicate'
  /** It came, and nothing led it to the rules: left out because it stalled the engine. */
  | 'left-out'
  /** A page was decided, and delivered or waits. */
  | 'paged'
  /** A page was decided, and was not delivered. */
  | 'undelivered'
  /** The incident was open already: there is no second page. */
  | 'open'
  /** What came was late, and something newer said otherwise. */
  | 'contradicted'
  /** A gate on the way let nothing bad on. */
  | 'gate'
  /** Nothing that came was bad. */
  | 'not-bad'

/** The answer. */
export interface Silence extends SilenceQuestion {
  readonly partition: number
  readonly reason: SilenceReason
  /** Offsets of the records that were looked at. */
  readonly from: number
  readonly until: number
  /** Where the replay began: behind a snapshot, or at the log's first record (absent). */
  readonly snapshot?: number
  /** Events of the host that reached the rules. */
  readonly events: number
  /** Messages with events of the host that were dropped by their producer's mark. */
  readonly repeated: number
  readonly late: number
  readonly expired: number
  /** What the reason rests on. */
  readonly seen?: Seen
  readonly judged?: Judged
  /** The furthest first. */
  readonly gates: readonly GateCount[]
  readonly decided: readonly DecidedPage[]
  /** The incident that was open at the end. */
  readonly open?: Pick<Incident, 'id' | 'key' | 'openedAtMs' | 'summary'>
  /** What the engine had to tell meanwhile: limits, rules that are out. */
  readonly alarms: readonly { readonly name: string; readonly detail: string }[]
  /** Texts of what the rules threw. */
  readonly errors: readonly string[]
  /** Names that the rules declare, where the one asked for is not among them; the likeliest first. */
  readonly rules?: readonly string[]
  /** When the index last heard of the host, and by which service. */
  readonly lastSeen?: { readonly atMs: number; readonly service?: string }
}

/** Operators that are told of, pages, alarms, errors: more than anybody reads. */
const mostTold = 50

interface Count {
  gate: Gate
  times: number
  bad: number
  last: Seen
  lastIsBad: boolean
  ended: Seen | undefined
}

/** What a replay is told while it goes on; asked at its end. */
export class SilenceSearch {
  readonly #question: SilenceQuestion
  readonly #gates = new Map<string, Count>()
  readonly #decided = new Map<string, { -readonly [K in keyof DecidedPage]: DecidedPage[K] }>()
  readonly #alarms = new Map<string, string>()
  readonly #errors = new Set<string>()
  #names: readonly string[] = []
  #events = 0
  #late = 0
  #expired = 0
  #repeated = 0
  #leftOut = 0
  #last: Seen | undefined
  #judged: { readonly seen: Seen; readonly judged: Judged } | undefined
  /** The record in flight: its calendar time comes with what is seen of it. */
  #atMs = 0

  constructor(question: SilenceQuestion) {
    this.#question = question
  }

  readonly trace = (): TraceQuestion => {
    const { host, service, rule } = this.#question
    return { host, rule, ...(service !== undefined && { service }), onSeen: (seen) => this.#see(seen) }
  }

  readonly observer: EngineObserver = {
    onDecision: (page, offset) => this.#decide(page, offset),
    onSettled: (page, result) => {
      const told = this.#decided.get(page.id)
      if (told !== undefined) told.result = result
    },
    onAlarm: (name, detail) => {
      if (this.#isAsked && this.#alarms.size < mostTold) this.#alarms.set(name, detail)
    },
    onControl: (record) => {
      if (record.kind !== 'outcome' || record.detail === undefined) return
      for (const id of record.pages) {
        const told = this.#decided.get(id)
        if (told !== undefined) told.detail = record.detail
      }
    },
  }

  /** Rules come into force. */
  rules(description: RulesDescription): void {
    const names = new Set<string>()
    const visit = ({ operator, args, children }: Stream): void => {
      if (operator === 'incident' || operator === 'notify') names.add(String(args[0]))
      children.forEach(visit)
    }
    description.streams.forEach(visit)
    this.#names = [...names]
  }

  /** A rule threw, in words for people. */
  threw(text: string): void {
    if (this.#isAsked && this.#errors.size < mostTold) this.#errors.add(text)
  }

  /** A record is about to be applied. */
  begin(calendarMs: number): void {
    this.#atMs = calendarMs
  }

  /** Events seen so far: who applies a record that has some tells when there were none more. */
  get events(): number {
    return this.#events
  }

  /** A record had events of the host, and none was seen. */
  unseen(repeated: boolean): void {
    if (!this.#isAsked) return
    if (repeated) this.#repeated++
    else this.#leftOut++
  }

  /** The answer. */
  found(
    where: Pick<Silence, 'partition' | 'from' | 'until' | 'snapshot'>,
    open: readonly Incident[],
    lastSeen: Silence['lastSeen'],
  ): Silence {
    const { host, rule } = this.#question
    const gates = [...this.#gates.values()]
    gates.sort(
      (a, b) => Number(b.bad > 0) - Number(a.bad > 0) || b.last.depth - a.last.depth || b.last.atMs - a.last.atMs,
    )
    const isOpen = open.find((incident) => incident.rule === rule && incident.host === host)
    const told = this.#reason(gates[0])
    return {
      ...this.#question,
      ...where,
      ...told,
      events: this.#events,
      repeated: this.#repeated,
      late: this.#late,
      expired: this.#expired,
      gates: gates.slice(0, mostTold).map(({ gate, times, bad, last, ended }) => ({ gate, times, bad, last, ended })),
      decided: [...this.#decided.values()],
      ...(isOpen !== undefined && {
        open: { id: isOpen.id, key: isOpen.key, openedAtMs: isOpen.openedAtMs, summary: isOpen.summary },
      }),
      alarms: Array.from(this.#alarms, ([name, detail]) => ({ name, detail })),
      errors: [...this.#errors],
      ...(told.reason === 'rule-unknown' && { rules: likeliestFirst(rule, this.#names) }),
      ...(lastSeen !== undefined && { lastSeen }),
    }
  }

  get #isAsked(): boolean {
    return this.#atMs >= this.#question.fromMs
  }

  #reason(furthest: Count | undefined): Pick<Silence, 'reason' | 'seen' | 'judged'> {
    if (!this.#names.includes(this.#question.rule)) return { reason: 'rule-unknown' }
    const news = [...this.#decided.values()].filter(({ action }) => action !== 'resolve')
    if (news.length > 0) {
      const reached = news.some(({ result }) => result === undefined || result === 'delivered' || result === 'digested')
      return { reason: reached ? 'paged' : 'undelivered' }
    }
    if (this.#events === 0) {
      return { reason: this.#repeated > 0 ? 'duplicate' : this.#leftOut > 0 ? 'left-out' : 'no-event' }
    }
    const judged = this.#judged
    if (judged?.judged.open !== undefined) return { reason: 'open', ...judged }
    if (furthest !== undefined && furthest.bad > 0) return { reason: 'gate', seen: furthest.last }
    if (judged?.judged.contradicted === true) return { reason: 'contradicted', ...judged }
    return { reason: 'not-bad', ...(this.#last !== undefined && { seen: this.#last }) }
  }

  #see(seen: Seen): void {
    this.#atMs = seen.atMs
    if (!this.#isAsked) return
    if (seen.event !== undefined) {
      this.#events++
      if (seen.late) this.#late++
      if (seen.expired) this.#expired++
      this.#last = seen
    }
    const { gate } = seen
    const bad = seen.judged?.findLast((one) => one.bad)
    if (bad !== undefined) this.#judged = { seen, judged: bad }
    if (gate === undefined) return this.#endHeld(seen)
    // of a rule without a word for it, whatever is held back counts
    const isBad = seen.bad !== false
    const count = this.#gates.get(gate.path)
    if (count === undefined) {
      if (this.#gates.size >= mostTold) return
      const begun = { gate, times: 1, bad: isBad ? 1 : 0, last: seen, lastIsBad: isBad, ended: undefined }
      this.#gates.set(gate.path, begun)
      return
    }
    count.times++
    if (isBad) count.bad++
    if (isBad || !count.lastIsBad) {
      Object.assign(count, { gate, last: seen, lastIsBad: isBad, ended: undefined })
    } else if (count.ended === undefined && gate.key === count.gate.key && seen.bad === false) count.ended = seen
  }

  /** What reached the rule by a calm event has passed the gates: whatever they held is over. */
  #endHeld(seen: Seen): void {
    if (seen.event === undefined || seen.bad !== false) return
    for (const count of this.#gates.values()) if (count.lastIsBad) count.ended ??= seen
  }

  #decide(page: Readonly<PendingPage>, offset: number): void {
    const { host, rule } = this.#question
    const isDigest = page.members !== undefined
    if (page.rule !== rule || (page.host !== host && !isDigest) || page.decidedAtMs < this.#question.fromMs) return
    if (this.#decided.size >= mostTold) return
    const { id, action, receiver, incident, decidedAtMs: atMs } = page
    this.#decided.set(id, {
      ...{ id, action, receiver, offset, atMs },
      ...(incident !== undefined && { incident }),
      ...(isDigest && { members: page.memberCount ?? page.members?.length }),
    })
  }
}

function likeliestFirst(rule: string, names: readonly string[]): readonly string[] {
  const likely = nearest(rule, names)
  const rest = names.filter((name) => name !== likely).sort()
  return (likely === undefined ? rest : [likely, ...rest]).slice(0, mostTold)
}
