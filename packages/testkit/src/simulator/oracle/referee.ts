import { decodeRecord, kindOf, type Engine, type EngineObserver, type SkipRecord } from '@ricci/engine'
import type { StoredRecord } from '@ricci/replica'
import type { Decision } from './truth.ts'

/**
 * A fresh engine that follows one partition's surviving log, record by record as it is written, with nothing in between: no
 * reader, no snapshot, no replica. What it decides is what people had to be told. It never stalls; when the log says that an
 * event is to be skipped, it begins again from the first record, knowing of the skip.
 */
export class Referee {
  readonly decisions: Decision[] = []
  /** Result by page id. */
  readonly settled = new Map<string, string>()
  readonly #create: (observer: EngineObserver, skips: readonly SkipRecord[]) => Engine
  readonly #applied: StoredRecord[] = []
  readonly #skips: SkipRecord[] = []
  #engine: Engine

  constructor(create: (observer: EngineObserver, skips: readonly SkipRecord[]) => Engine) {
    this.#create = create
    this.#engine = this.#fresh()
  }

  apply(record: StoredRecord): void {
    this.#applied.push(record)
    const skip = skipOf(record)
    if (skip === undefined || this.#skips.some((known) => sameSkip(known, skip))) return this.#applyOne(record)
    this.#skips.push(skip)
    this.#engine = this.#fresh()
    for (const applied of this.#applied) this.#applyOne(applied)
  }

  /** Owned time as it stands now. */
  get ownedMs(): number {
    return this.#engine.ownedMs
  }

  get pending(): number {
    return this.decisions.length - this.settled.size
  }

  #fresh(): Engine {
    this.decisions.length = 0
    this.settled.clear()
    const observer: EngineObserver = {
      onDecision: (page, offset) => void this.decisions.push({ page, offset }),
      onSettled: (page, result) => void this.settled.set(page.id, result),
    }
    return this.#create(observer, [...this.#skips])
  }

  #applyOne({ offset, bytes, checksum }: StoredRecord): void {
    this.#engine.apply(offset, bytes, checksum)
  }
}

/** The skip that a record is, if it is one. */
export function skipOf({ bytes }: StoredRecord): SkipRecord | undefined {
  if (kindOf(bytes) !== 'skip') return undefined
  const record = decodeRecord(bytes)
  return record.kind === 'skip' ? record : undefined
}

/** Whether two skips leave out the same. */
export function sameSkip(a: SkipRecord, b: SkipRecord): boolean {
  return a.offset === b.offset && a.event === b.event && a.branch === b.branch
}
