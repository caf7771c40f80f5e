import { decodeRecord, type LogRecord } from '@ricci/engine'
import type { Clock, LogPort } from '@ricci/replica'

/** Records looked at for a time: a tick follows within a second. */
const soughtRecords = 100

/** A reader that has given none by then is silent. */
const readMs = 5_000

/** The first thing that is found in some records of a log; undefined where there is none, or a reader gives nothing in time. */
export async function findInLog<Found>(
  { log, partition, from, end, clock }: Sought,
  look: (record: LogRecord, bytes: Uint8Array) => Found | undefined,
): Promise<{ readonly found?: Found; readonly isWhole: boolean }> {
  if (end <= from) return { isWhole: true }
  const reading = new AbortController()
  const timer = clock.setTimer(readMs, () => reading.abort())
  try {
    for await (const records of log.read(partition, from, reading.signal)) {
      for (const { bytes, offset } of records) {
        if (offset >= end) return { isWhole: true }
        const found = look(decodeRecord(bytes), bytes)
        if (found !== undefined) return { found, isWhole: true }
      }
      if (records.at(-1)!.offset >= end - 1) return { isWhole: true }
    }
    return { isWhole: false }
  } finally {
    timer.cancel()
    reading.abort()
  }
}

export interface Sought {
  readonly log: LogPort
  readonly partition: number
  readonly from: number
  readonly end: number
  readonly clock: Clock
}

/** When a record came, by those that follow it, milliseconds since 1970; undefined where the log has let go of it. */
export async function timeOfRecord(
  log: LogPort,
  partition: number,
  offset: number,
  clock: Clock,
): Promise<number | undefined> {
  const { first, end } = await log.range(partition)
  if (offset < first) return undefined
  const sought = { log, partition, from: offset, end: Math.min(end, offset + soughtRecords), clock }
  const { found } = await findInLog(sought, (record) => {
    if (record.kind === 'tick') return record.wallMs
    return record.kind === 'events' ? record.receivedAtMs : undefined
  })
  return found
}
