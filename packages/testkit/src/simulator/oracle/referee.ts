import type { Engine, EngineObserver } from '@ricci/engine'
import type { StoredRecord } from '@ricci/replica'
import type { Decision } from './truth.ts'

/**
 * A fresh engine that follows one partition's surviving log, record by record as it is written, with nothing in between: no
 * reader, no snapshot, no replica. What it decides is what people had to be told.
 */
export class Referee {
  readonly decisions: Decision[] = []
  /** Result by page id. */
  readonly settled = new Map<string, string>()
  readonly #engine: Engine

  constructor(create: (observer: EngineObserver) => Engine) {
    this.#engine = create({
      onDecision: (page, offset) => void this.decisions.push({ page, offset }),
      onSettled: (page, result) => void this.settled.set(page.id, result),
    })
  }

  apply(record: StoredRecord): void {
    this.#engine.apply(record.offset, record.bytes, record.checksum)
  }

  get pending(): number {
    return this.decisions.length - this.settled.size
  }
}
