/**
 * Where an answer goes on, as a text: what the last event that was told is sorted by, and how many the query itself still wants. It means the same to every instance,
 * and nothing is kept for it: an entry that stays as it is comes once, one whose values change meanwhile may come again or not at all.
 */
import { EngineError, type SortValues } from '@ricci/engine'

/** Three texts of the greatest length, and what stands around them. */
export const maxCursorLength = 131_072

export interface QueryCursor {
  /** As in `QueryOptions`. */
  readonly behind: SortValues
  /** Of the limit that the query itself has. */
  readonly left?: number
}

type Written = string | null

export function writeCursor({ behind, left }: QueryCursor): string {
  // JSON has no large integers and no NaN
  const values = behind.map((value): Written => (value === undefined ? null : `${kinds[typeof value as Kind]}${value}`))
  return Buffer.from(JSON.stringify([left ?? null, ...values])).toString('base64url')
}

/** @param text empty: from the first event on. @throws EngineError `CURSOR_INVALID` */
export function readCursor(text: string): QueryCursor {
  if (text === '') return { behind: [] }
  try {
    const [left, ...values] = JSON.parse(Buffer.from(text, 'base64url').toString()) as [number | null, ...Written[]]
    const isCount = left === null || (Number.isSafeInteger(left) && left > 0)
    if (isCount && values.length >= 2) return { behind: values.map(valueOf), ...(left !== null && { left }) }
  } catch {
    // told below
  }
  throw new EngineError('CURSOR_INVALID', 'what was given is no cursor that an answer gave; begin without one')
}

const kinds = { string: 's', number: 'n', bigint: 'b' } as const
type Kind = keyof typeof kinds

function valueOf(written: Written): SortValues[number] {
  if (written === null) return undefined
  const value = written.slice(1)
  switch (written[0]) {
    case kinds.string:
      return value
    case kinds.number:
      return Number(value)
    case kinds.bigint:
      return BigInt(value)
    default:
      throw new TypeError(`a value of no kind: ${written.slice(0, 20)}`)
  }
}
