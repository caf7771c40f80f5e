/** What happens inside the log that people may want to know: handed to the host, which logs and counts it. */

export type LogEvent =
  /** The tail of the last segment was not whole (the process or the machine died while writing) and has been cut off. */
  | {
      readonly kind: 'tail-repaired'
      readonly path: string
      readonly bytes: number
      readonly end: number
      readonly why: string
    }
  /** A segment that was never finished, and held nothing, has been removed. */
  | { readonly kind: 'segment-unmade'; readonly path: string; readonly bytes: number }
  /** Writing or syncing failed: the segment is closed for good, and records of that group were refused. Alarm. */
  | { readonly kind: 'write-failed'; readonly path: string; readonly full: boolean; readonly error: Error }
  /** Appends work again after `write-failed` or `refusing`. */
  | { readonly kind: 'recovered'; readonly path: string }
  /** Segments went by retention. */
  | { readonly kind: 'trimmed'; readonly segments: number; readonly bytes: number; readonly first: number }
  /** Retention would take what is still protected: it is kept beyond its age. Alarm. */
  | { readonly kind: 'retention-held'; readonly protectedOffset: number; readonly first: number }
  /** The log is at its size limit and everything in it is protected: appends are refused. Alarm. */
  | { readonly kind: 'refusing'; readonly protectedOffset: number; readonly bytes: number }

/** Events that are alarms: an event `ricci …`, a log line and a metric each. */
export function isAlarm(event: LogEvent): boolean {
  return event.kind === 'write-failed' || event.kind === 'retention-held' || event.kind === 'refusing'
}

/** One sentence for the log line. */
export function describeLogEvent(event: LogEvent): string {
  switch (event.kind) {
    case 'tail-repaired':
      return `${event.path}: the last ${event.bytes} bytes were not whole (${event.why}) and have been cut off; no acknowledged record was in them; the log goes on at offset ${event.end}`
    case 'segment-unmade':
      return `${event.path} was never finished and held no record; it has been removed`
    case 'write-failed':
      return event.full
        ? `${event.path}: the disk is full; events are refused until there is room: free some, or lower the log's size limit`
        : `${event.path}: writing failed (${event.error.message}); its last records were refused, and the log tries again in a new file: check the disk`
    case 'recovered':
      return `${event.path}: appends work again`
    case 'trimmed':
      return `${event.segments} segments (${event.bytes} bytes) are past retention and have been removed; the log begins at offset ${event.first}`
    case 'retention-held':
      return `the log keeps records past their age, from offset ${event.first} on: snapshots have not come further than offset ${event.protectedOffset}; if they are not being stored, the alarm snapshot-failed says why`
    case 'refusing':
      return `the log is at its size limit (${event.bytes} bytes), and snapshots need all of it from offset ${event.protectedOffset} on: events are refused until newer snapshots are stored, which is being tried. If that takes longer than a minute, the alarm snapshot-failed says what keeps them from being stored; a higher limit (retention.size) helps at once`
  }
}
