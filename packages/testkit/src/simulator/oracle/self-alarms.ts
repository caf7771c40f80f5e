import { kindOf } from '@ricci/engine'
import type { ReplicaState, SendRequest, StoredRecord } from '@ricci/replica'
import { decoded } from './decoded.ts'
import type { Verdict } from './verdict.ts'

/** The alarms that cannot travel a broken log are sent after this: DESIGN section 9. */
const alarmAfterMs = 15_000
/** What a replica needs to notice, and clocks that drift. */
const noticeMs = 5_000
/** A trigger is without cause only where all was well until so shortly before it. */
const wellMs = 3_000

/** Until a replica has heard that no other holds the lease any more: a look, a question that the store leaves open, a look. */
const hearMs = 8_000

/** One replica of one process, as it is seen from outside. */
interface Watched {
  state: ReplicaState
  /** Since when its process has run, undisturbed, and its replica neither begun to own nor stepped down. */
  steadySinceMs: number
  restlessMs: number
  /** When it was last given a tick that had just been written, and when any that was not there before it began to read: from then on it has its 15 s. */
  tickGivenMs: number
  anyTickMs: number
  /** Where the log ended when it began to read. */
  readFrom: number
  /** When the store may last have said that another holds the lease, and when that it may not. */
  elsewhereMs: number
  notElsewhereMs: number
  /** When the latest append of its replica was made that was confirmed: what hangs is younger. */
  confirmedMs: number
  /** Of each alarm, what it asked last, and when. */
  readonly asked: Map<string, { readonly action: string; readonly atMs: number }>
}

/**
 * Judges the three alarms that a replica sends by itself, outside the log, by what went over its borders: ticks in the log, ticks
 * its readers were given, confirms, who holds the lease, and requests to the receiver `self`. Where nobody shows a tick for longer
 * than 15 s, everyone who ran all the while must have said so, unless another held the lease: then that one must. Nobody may who
 * was given ticks and confirms, nor say that it cannot own while another held the lease all the while.
 */
export class SelfAlarmJudge {
  /** By partition: when each tick was written, and when the last was. */
  readonly #writtenMs: number[][] = []
  readonly #tickMs: number[] = []
  /** By partition: the newest claim. Ticks of an owner that has not heard of it are nobody's. */
  readonly #epochs: number[] = []
  readonly #watched = new Map<string, Watched>()
  readonly #nowMs: () => number
  readonly #say: (kind: Verdict['kind'], text: string) => void

  constructor(nowMs: () => number, say: (kind: Verdict['kind'], text: string) => void) {
    this.#nowMs = nowMs
    this.#say = say
  }

  written(partition: number, record: StoredRecord): void {
    const times = (this.#writtenMs[partition] ??= [])
    const kind = kindOf(record.bytes)
    if (kind !== 'tick' && kind !== 'claim') return
    const read = decoded(record.bytes)
    if (read.kind === 'claim') this.#epochs[partition] = Math.max(this.#epochs[partition] ?? 0, read.epoch)
    if (read.kind !== 'tick' || read.epoch < (this.#epochs[partition] ?? 0)) return
    times[record.offset] = this.#nowMs()
    this.#tickMs[partition] = this.#nowMs()
  }

  given(process: string, partition: number, records: readonly StoredRecord[]): void {
    const now = this.#nowMs()
    const isFresh = ({ offset }: StoredRecord): boolean => {
      const writtenMs = this.#writtenMs[partition]?.[offset]
      return writtenMs !== undefined && now - writtenMs < wellMs
    }
    const watched = this.#of(process, partition)
    if (records.some(isFresh)) watched.tickGivenMs = now
    const times = this.#writtenMs[partition]
    const isAny = ({ offset }: StoredRecord): boolean => offset >= watched.readFrom && times?.[offset] !== undefined
    if (records.some(isAny)) watched.anyTickMs = now
  }

  /** A replica that restores was told where the log ends. */
  begins(process: string, partition: number, end: number): void {
    this.#of(process, partition).readFrom = end
  }

  /** @param beganMs when what was confirmed was appended */
  confirmed(process: string, partition: number, beganMs: number): void {
    const watched = this.#of(process, partition)
    watched.confirmedMs = Math.max(watched.confirmedMs, beganMs)
  }

  /** Its process was stopped, and goes on. */
  woken(process: string, partitions: number): void {
    for (let partition = 0; partition < partitions; partition++) {
      this.#of(process, partition).steadySinceMs = this.#nowMs()
    }
  }

  /** Its engine stands at an event for good: what its reader is given from here on, it does not see. */
  stalled(process: string, partition: number): void {
    this.#of(process, partition).restlessMs = this.#nowMs()
  }

  /** Nobody holds a partition's lease, as anybody may hear who asks just now. */
  free(partition: number): void {
    for (const [key, watched] of this.#watched) {
      if (key.endsWith(`/${partition}`)) watched.notElsewhereMs = this.#nowMs()
    }
  }

  /** A request to `self` is on its way. */
  asked(process: string, request: SendRequest, isElsewhere: (partition: number) => boolean | undefined): void {
    const { partition } = request.provenance as { readonly partition: number }
    const now = this.#nowMs()
    const watched = this.#of(process, partition)
    const before = watched.asked.get(request.rule)
    watched.asked.set(request.rule, { action: request.action, atMs: now })
    // Asked again because the receiver did not answer: judged the first time.
    if (request.action !== 'trigger' || before?.action === 'trigger') return
    const wasElsewhere = now - watched.notElsewhereMs > alarmAfterMs + wellMs && isElsewhere(partition) === true
    if (request.rule === 'cannot-own' && wasElsewhere) {
      this.#say('alarm without cause', `p${partition}: ${process} tells of cannot-own, another holds the lease`)
    }
    const isLog = request.rule === 'log-unavailable'
    // An owner that is not given its ticks has cause to complain of its log, whatever was confirmed of it.
    const { confirmedMs, tickGivenMs } = watched
    const wellAtMs = isLog ? Math.min(confirmedMs, tickGivenMs) : tickGivenMs
    const wasRestless = now - watched.restlessMs < alarmAfterMs + wellMs
    if (wasRestless || now - wellAtMs >= alarmAfterMs - wellMs) return
    this.#say(
      'alarm without cause',
      `p${partition}: ${process} tells of ${request.rule}, all was well at ${Math.round(wellAtMs)} ms`,
    )
  }

  /**
   * Looked at once a second.
   * @param state undefined while its process does not run
   * @param isElsewhere whether the store would tell it that another holds the lease; undefined: perhaps
   */
  look(process: string, partition: number, state: ReplicaState | undefined, isElsewhere: boolean | undefined): void {
    const now = this.#nowMs()
    const watched = this.#of(process, partition)
    if (isElsewhere !== false) watched.elsewhereMs = now
    if (isElsewhere !== true) watched.notElsewhereMs = now
    const before = watched.state
    watched.state = state ?? 'stopped'
    if (watched.state === 'restoring' || watched.state === 'diverged') watched.restlessMs = now
    const isBusy = watched.state === 'stopped' || watched.state === 'stepping-down'
    if (isBusy || (before !== watched.state && (before === 'owning' || watched.state === 'owning'))) {
      watched.steadySinceMs = now
    }
    const troubleMs = now - Math.max(watched.steadySinceMs, watched.anyTickMs, this.#tickMs[partition] ?? 0)
    if (troubleMs <= alarmAfterMs + noticeMs || now - watched.elsewhereMs <= hearMs) return
    const isTold = [...watched.asked.values()].some(
      ({ action, atMs }) => action === 'trigger' || atMs > now - troubleMs,
    )
    if (isTold) return
    this.#say(
      'alarm missed',
      `p${partition}: no tick for ${Math.round(troubleMs / 1_000)} s, ${process} (${state}) tells nobody`,
    )
    watched.steadySinceMs = now
  }

  #of(process: string, partition: number): Watched {
    const key = `${process}/${partition}`
    let watched = this.#watched.get(key)
    if (watched === undefined) {
      const now = this.#nowMs()
      watched = {
        state: 'stopped',
        steadySinceMs: now,
        restlessMs: now,
        tickGivenMs: now,
        anyTickMs: -Infinity,
        readFrom: 0,
        elsewhereMs: -Infinity,
        notElsewhereMs: now,
        confirmedMs: now,
        asked: new Map(),
      }
      this.#watched.set(key, watched)
    }
    return watched
  }
}
