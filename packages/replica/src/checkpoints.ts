import type { CheckpointRecord, Hashes, StatePart } from '@ricci/engine'
import type { StateTaken, TakenHashes } from './host.ts'

/** Own hashes kept until the owner's checkpoint for their tick comes; 64 checkpoints are more than ten minutes. */
const hashesKept = 64

/** Of a part of the state a checkpoint tells the first digits of its hash: they only say where to look. */
const partDigits = 8
/** Parts told, 8 kB of them: rules of 500 operators have fewer. A difference further on is found and not named. */
const partsTold = 1_024
/** Parts named in an alarm: the first that differ are mostly the cause of the others. */
const partsNamed = 3

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
  readonly #hashes = new Map<number, Hashes & Partial<TakenHashes>>()
  /** The newest checkpoint of a state that came before our own hash of it. */
  #awaited: CheckpointRecord | undefined
  #trusted = true

  /** False from the first difference until a whole state has matched again. */
  get trusted(): boolean {
    return this.#trusted
  }

  /** Our hashes as they stand after the record at this offset. */
  taken(offset: number, hashes: Hashes | TakenHashes): void {
    this.#hashes.set(offset, hashes)
    if (this.#hashes.size > hashesKept) this.#hashes.delete(this.#hashes.keys().next().value!)
  }

  /** Our state at an offset was hashed, a while after it was passed. Gives the checkpoint of it that waits to be judged, if any. */
  stateTaken({ offset, hashes }: StateTaken): CheckpointRecord | undefined {
    this.taken(offset, hashes)
    const awaited = this.#awaited
    if (awaited?.offset !== offset) return undefined
    this.#awaited = undefined
    return awaited
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
      const where = hash === 'state' ? whereOf(own!.parts!, record.parts) : ''
      const why = `the ${hash} hash at offset ${record.offset} differs from the one the owner wrote${where}`
      if (record.offset >= history) return { state: 'differs', why }
      return { state: 'doubted', why: `${why}, and nothing is left to restore from` }
    }
    if (own?.state === undefined || record.state === undefined) {
      if (record.state !== undefined) this.#awaited = record
      return { state: 'unknown', why: '' }
    }
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
    this.#awaited = undefined
  }
}

/** The hashes of a state's parts as a checkpoint carries them. */
export function partsText(parts: readonly StatePart[]): string {
  return parts
    .slice(0, partsTold)
    .map(({ hash }) => hash.slice(0, partDigits))
    .join('')
}

/** Which parts of our state are unlike the owner's, for people. */
function whereOf(own: readonly StatePart[], parts: string | undefined): string {
  if (parts === undefined) return ''
  const ours = partsText(own)
  if (ours.length !== parts.length) return ': the operators are not the same ones'
  const at = (text: string, i: number): string => text.slice(i * partDigits, (i + 1) * partDigits)
  const names = own.slice(0, partsTold).filter((_, i) => at(ours, i) !== at(parts, i))
  if (names.length === 0) return ': in an operator far down in the rules'
  const more = names.length > partsNamed ? ` and ${names.length - partsNamed} more` : ''
  const named = names.slice(0, partsNamed).map(({ name }) => name)
  return `: in ${named.join(', ')}${more}`
}

function differenceOf(own: Hashes & Partial<TakenHashes>, record: CheckpointRecord): string | undefined {
  if (own.input !== record.input) return 'input'
  if (own.decisions !== record.decisions) return 'decisions'
  if (own.state !== undefined && record.state !== undefined && own.state !== record.state) return 'state'
  return undefined
}
