/** Reading a stretch of a partition's log, from any instance: bounded by its offsets. */
import { decodeRecord, kindOf, type SkipRecord } from '@ricci/engine'
import type { LogPort, StoredRecord } from '@ricci/replica'

/** Records from an offset up to another, not included; ends there, or when the signal aborts. @throws ReplicaError `OFFSET_TRIMMED`, `LOG_…` */
export async function* stretch(
  log: Pick<LogPort, 'read'>,
  partition: number,
  from: number,
  until: number,
  signal: AbortSignal,
): AsyncGenerator<readonly StoredRecord[], void, undefined> {
  if (from >= until) return
  const ending = new AbortController()
  const either = AbortSignal.any([signal, ending.signal])
  try {
    for await (const records of log.read(partition, from, either)) {
      const last = records.at(-1)
      if (last === undefined) continue
      yield last.offset < until ? records : records.filter(({ offset }) => offset < until)
      if (last.offset + 1 >= until) return
    }
  } finally {
    ending.abort()
  }
}

/** The time that a record says it is, milliseconds since 1970; undefined of one that says none. */
export function timeOf(bytes: Uint8Array): number | undefined {
  const kind = kindOf(bytes)
  if (kind !== 'events' && kind !== 'tick') return undefined
  try {
    const record = decodeRecord(bytes)
    return record.kind === 'events' ? record.receivedAtMs : record.kind === 'tick' ? record.wallMs : undefined
  } catch {
    return undefined
  }
}

/**
 * The first offset at or after a time, by halving: times go up along a log, but for a clock that was set back.
 * @param range the offsets there are
 */
export async function offsetAt(
  log: Pick<LogPort, 'read'>,
  partition: number,
  { first, end }: { readonly first: number; readonly end: number },
  timeMs: number,
  signal: AbortSignal,
): Promise<number> {
  let low = first
  let high = end
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const found = await firstTime(log, partition, middle, high, signal)
    if (found !== undefined && found.atMs < timeMs) low = found.offset + 1
    else high = middle
  }
  return low
}

async function firstTime(
  log: Pick<LogPort, 'read'>,
  partition: number,
  from: number,
  until: number,
  signal: AbortSignal,
): Promise<{ readonly offset: number; readonly atMs: number } | undefined> {
  for await (const records of stretch(log, partition, from, until, signal)) {
    for (const { offset, bytes } of records) {
      const atMs = timeOf(bytes)
      if (atMs !== undefined) return { offset, atMs }
    }
  }
  return undefined
}

/** The skip among some bytes, if it is one. */
export function skipOf(bytes: Uint8Array): SkipRecord | undefined {
  if (kindOf(bytes) !== 'skip') return undefined
  try {
    return decodeRecord(bytes) as SkipRecord
  } catch {
    return undefined
  }
}
