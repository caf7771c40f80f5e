import { decodeRecord, type LogRecord } from '@ricci/engine'

const known = new WeakMap<Uint8Array, LogRecord>()

/** What a record's bytes say, worked out once for all who judge by them: nobody changes what is written. */
export function decoded(bytes: Uint8Array): LogRecord {
  let record = known.get(bytes)
  if (record === undefined) known.set(bytes, (record = decodeRecord(bytes)))
  return record
}
