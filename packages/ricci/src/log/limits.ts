import type { AppendRank } from '@ricci/replica'

/** Limits of the embedded log, each with its reason; all can be set. */
export interface LogLimits {
  /** A segment is closed beyond this. Retention and the check at opening work by whole segments: 64 MiB are checked in about 50 ms. */
  readonly segmentBytes: number
  /** The log's size, by whole segments. */
  readonly maxBytes: number
  /** Age of the records kept, by whole segments, judged by the wall clock. */
  readonly maxAgeMs: number
  /**
   * Beyond its size the log takes this much more of what an owner needs; one segment's worth unless told (64 MiB; of a small log
   * an eighth). It is to last until snapshots can be stored again, be that some days: a checkpoint a minute, of 8 kB where rules are largest
   * (12 MB a day), and of the half that attempts may use 100,000 with their outcomes. A start begins with a whole one.
   */
  readonly reserveBytes: number
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
  reserveBytes: 64 * 1_048_576,
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

/**
 * A snapshot is wanted each time the log has grown by this part of its size since the newest. Three intervals are kept for
 * snapshots; the fourth part is for the segment that is half needed, and for what comes while a snapshot is being made.
 */
export const snapshotsPerLog = 4

/** How much of the reserve a record may use up: were claims and checkpoints to find none left, nothing would ever be let go of. */
export const reserveShare: Readonly<Record<AppendRank, number>> = { ordinary: 0, act: 0.5, fact: 0.75, rescue: 1 }
