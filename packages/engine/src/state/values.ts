import type { InternTable } from '@ricci/client'
import type { ByteReader } from './bytes.ts'
import { chunkBits, chunkMask, type Column, U8Column } from './columns.ts'
import { madeText } from './made-texts.ts'
import type { Marks } from './marks.ts'
import { Records, writeDouble } from './records.ts'
import type { StateWriter } from './writer.ts'

/**
 * What a value is: a number, an integer of 64 bits that no double holds, a boolean; everything else is held as a symbol, integers that are longer
 * still (only functions give these) by their digits.
 */
export const ValueKind = { none: 0, number: 1, text: 2, big: 3, boolean: 4, json: 5, digits: 6 } as const
export type ValueKind = (typeof ValueKind)[keyof typeof ValueKind]

/** A value being looked at: one object reused. `number` is the number, the boolean as 0 or 1, or the id of a symbol. */
export class ValueSlot {
  kind: ValueKind = ValueKind.none
  number = 0.0
  /** The value, where it is a {@link ValueKind.big}. */
  big = 0n

  none(): void {
    this.kind = ValueKind.none
    this.number = 0
  }
  setNumber(value: number): void {
    this.kind = ValueKind.number
    this.number = value
  }
  /** A symbol id; 0 is absent. */
  setSymbol(id: number): void {
    this.kind = id === 0 ? ValueKind.none : ValueKind.text
    this.number = id
  }
  /** Integers compare by value with doubles, so one that a double holds exactly is kept as a number. */
  setBig(value: bigint, table: InternTable): void {
    const near = Number(value)
    if (BigInt(near) === value) return this.setNumber(near)
    const holds = value === BigInt.asIntN(64, value)
    this.kind = holds ? ValueKind.big : ValueKind.digits
    // not as a text: a hot counter beyond 2^53 would fill the table between two collections
    this.big = holds ? value : 0n
    this.number = holds ? 0 : madeText(table, value.toString())
  }
  /** Any value of a user's function; objects and lists compare by their JSON text. */
  set(value: unknown, table: InternTable): void {
    switch (typeof value) {
      case 'number':
        return this.setNumber(value)
      case 'string':
        this.kind = ValueKind.text
        this.number = madeText(table, value)
        return
      case 'boolean':
        this.kind = ValueKind.boolean
        this.number = value ? 1 : 0
        return
      case 'bigint':
        return this.setBig(value, table)
      case 'object':
        if (value === null) return this.none()
        this.kind = ValueKind.json
        this.number = madeText(table, JSON.stringify(value))
        return
      default:
        this.none()
    }
  }
  /** One id that stands for the value, for keys: equal values, equal ids; 0 is absent. */
  keyId(table: InternTable): number {
    switch (this.kind) {
      case ValueKind.none:
        return 0
      case ValueKind.text:
        return this.number
      case ValueKind.number:
        return madeText(table, `\u0001${numberText(this.number)}`)
      case ValueKind.boolean:
        return madeText(table, this.number === 1 ? '\u0001true' : '\u0001false')
      case ValueKind.big:
        return madeText(table, `\u0001${this.big}`)
      default:
        return madeText(table, `\u0001${table.text(this.number)}`)
    }
  }
  /** The value as a user's function or a tap would see it. */
  value(table: InternTable): unknown {
    switch (this.kind) {
      case ValueKind.none:
        return undefined
      case ValueKind.number:
        return this.number
      case ValueKind.text:
        return table.text(this.number)
      case ValueKind.big:
        return this.big
      case ValueKind.digits:
        return BigInt(table.text(this.number))
      case ValueKind.boolean:
        return this.number === 1
      case ValueKind.json:
        return JSON.parse(table.text(this.number))
    }
  }
}

/** A number as text: -0 is 0, and integers are exact, for shortened they could be another one's digits. */
function numberText(value: number): string {
  if (value === 0) return '0'
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? String(BigInt(value)) : String(value)
}

/** A value as text, different values by different texts; lists and objects as JSON, as everywhere. */
export function valueText(value: unknown): string {
  if (typeof value === 'number') return numberText(value)
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** Eight bytes a cell: a double or an integer of 64 bits. */
const payloadWords = 2

/** A value of any kind per id. */
export class ValueColumn implements Column {
  readonly #kinds = new U8Column()
  readonly #payloads = new Records(payloadWords)

  ensure(count: number): void {
    this.#kinds.ensure(count)
    this.#payloads.ensure(count)
  }
  load(id: number, into: ValueSlot): void {
    const kind = this.#kinds.get(id) as ValueKind
    into.kind = kind
    into.number = kind === ValueKind.big ? 0 : this.#number(id)
    into.big = kind === ValueKind.big ? this.#big(id) : 0n
  }
  store(id: number, value: ValueSlot): void {
    this.#kinds.set(id, value.kind)
    const chunk = this.#payloads.change(id)
    if (value.kind === ValueKind.big) chunk.bigs[id & chunkMask] = value.big
    else writeDouble(chunk, id & chunkMask, value.number)
  }
  /** Whether a cell holds this value; numbers by value, NaN equals nothing. */
  equals(id: number, value: ValueSlot): boolean {
    if (this.#kinds.get(id) !== value.kind) return false
    return value.kind === ValueKind.big ? this.#big(id) === value.big : this.#number(id) === value.number
  }
  clear(id: number): void {
    this.#kinds.clear(id)
    this.#payloads.change(id).bigs[id & chunkMask] = 0n
  }
  write(out: StateWriter, count: number): void {
    this.#kinds.write(out, count)
    this.#payloads.write(out, count)
  }
  read(from: ByteReader, count: number): void {
    this.#kinds.read(from, count)
    this.#payloads.read(from, count)
  }
  mark(marks: Marks, count: number): void {
    for (let id = 0; id < count; id++) if (symbolKinds.has(this.#kinds.get(id))) marks.symbol(this.#number(id))
  }
  get bytes(): number {
    return this.#kinds.bytes + this.#payloads.bytes
  }

  #number(id: number): number {
    return this.#payloads.chunks[id >>> chunkBits].doubles[id & chunkMask]
  }
  #big(id: number): bigint {
    return this.#payloads.chunks[id >>> chunkBits].bigs[id & chunkMask]
  }
}

/** Kinds whose number is the id of a symbol. */
const symbolKinds: ReadonlySet<number> = new Set([ValueKind.text, ValueKind.json, ValueKind.digits])
