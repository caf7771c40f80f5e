/** Limits of the embedded log, each with its reason; all can be set. */

export interface LogLimits {
  /** A segment is closed beyond this. Retention and the check at opening work by whole segments: 64 MiB are checked in about 50 ms. */
  readonly segmentBytes: number
  /** The log's size, by whole segments. */
  readonly maxBytes: number
  /** Age of the records kept, by whole segments, judged by the wall clock. */
  readonly maxAgeMs: number
  /** A group takes no further append beyond this: longer writes would only delay the acks of those who came first. */
  readonly groupBytes: number
  /** Bytes taken and not yet durable; beyond it appends are refused. Who intakes stops reading at half of it (`congested`). */
  readonly queuedBytes: number
}

/** The limits that apply where nothing else is said. */
export const defaultLogLimits: LogLimits = {
  segmentBytes: 64 * 1_048_576,
  maxBytes: 10_000_000_000,
  maxAgeMs: 24 * 3_600_000,
  groupBytes: 8 * 1_048_576,
  queuedBytes: 64_000_000,
}

/** Longest record: the longest frame a client may send, and room for what a record puts before it. */
export const maxRecordBytes = 64 * 1_048_576 + 65_536

/** Longest append of several records together: they are written as one. */
export const maxAppendBytes = 2 * maxRecordBytes

/** A segment is closed after this part of the age kept, so that retention by age finds whole segments to take. */
export const segmentsPerAge = 24

/** A segment has at most this part of the size kept, so that retention by size finds whole segments to take. */
export const segmentsPerLog = 8
