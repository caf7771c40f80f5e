import type { CheckpointRecord } from '@ricci/engine'
import type { TickHashes } from './host.ts'

/** Own hashes kept until the owner's checkpoint for their tick comes; 64 checkpoints are more than ten minutes. */
const hashesKept = 64

/** What a checkpoint says about the state of this replica, and what the words say for people. */
export interface Judgement {
  /**
   * `differs`: restoring may help. `doubted`: it differs at an offset of which nothing better is left to restore from.
   * `confirmed`: a whole state of ours has matched, or was not in doubt.
   */
  readonly state: 'differs' | 'doubted' | 'confirmed' | 'unknown'
  readonly why: string
}

/** The hashes this replica took, held against those that owners wrote down: whether its state can be believed. */
export class Checkpoints {
  readonly #hashes = new Map<number, TickHashes>()
  #trusted = true

  /** False from the first difference until a whole state has matched again. */
  get trusted(): boolean {
    return this.#trusted
  }

  /** Our hashes as they stand after the record at this offset. */
  taken(offset: number, hashes: TickHashes): void {
    this.#hashes.set(offset, hashes)
    if (this.#hashes.size > hashesKept) this.#hashes.delete(this.#hashes.keys().next().value!)
  }

  /**
   * @param history whoever wrote a checkpoint of an offset before this may be gone for good, and nothing better is left to
   * restore from: whoever owns is believed, but a log without an owner pages nobody
   */
  judge(record: CheckpointRecord, history: number): Judgement {
    const own = this.#hashes.get(record.offset)
    const hash = own === undefined ? undefined : differenceOf(own, record)
    if (hash !== undefined) {
      this.#trusted = false
      const why = `the ${hash} hash at offset ${record.offset} differs from the one the owner wrote`
      if (record.offset >= history) return { state: 'differs', why }
      return { state: 'doubted', why: `${why}, and nothing is left to restore from` }
    }
    if (own?.state === undefined || record.state === undefined) return { state: 'unknown', why: '' }
    this.#trusted = true
    return { state: 'confirmed', why: `the state at offset ${record.offset} is the owner's` }
  }

  /** Its state is not to be believed for another reason. */
  distrust(): void {
    this.#trusted = false
  }

  /** A new generation takes its own. */
  clear(): void {
    this.#hashes.clear()
  }
}

function differenceOf(own: TickHashes, record: CheckpointRecord): string | undefined {
  if (own.input !== record.input) return 'input'
  if (own.decisions !== record.decisions) return 'decisions'
  if (own.state !== undefined && record.state !== undefined && own.state !== record.state) return 'state'
  return undefined
}
