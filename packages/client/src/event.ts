/**
 * A Riemann event as people see it. Absent and undefined are the same. `host` and `service` together are its identity.
 * Definition: riemann.proto (message Event) and Riemann's `riemann.codec`.
 */
export interface Event {
  readonly host?: string
  readonly service?: string
  readonly state?: string
  readonly description?: string
  readonly tags?: readonly string[]
  /** A number, or a bigint for integers beyond 2^53. Integers and doubles are told apart on the wire by `metricType`. */
  readonly metric?: number | bigint
  /** Only needed to send a whole number as a double; without it whole numbers travel as integers. */
  readonly metricType?: 'int' | 'double'
  /** Seconds since 1970, to the microsecond. */
  readonly time?: number
  /** Seconds for which the event holds, as float32 on the wire. */
  readonly ttl?: number
  /** Everything else, by name. */
  readonly attributes?: Readonly<Record<string, string>>
}

/**
 * The mark a producer puts on each Msg (extension field 1000 of Msg): one sequence per (producer, key), from 1.
 * It tells duplicates and losses apart, whatever path a Msg took. A producer whose events have several keys (cluster, else host) goes by
 * another name for each, or says that its sequence is {@link ProducerMark.spread}.
 */
export interface ProducerMark {
  readonly producer: string
  /** Told apart from earlier lives of the same producer: the higher one is the newer. */
  readonly incarnation: number
  readonly sequence: number
  /** The producer's wall clock when it sent, milliseconds since 1970. */
  readonly sentAtMs: number
  /**
   * The sequence is of events of several keys, which may be kept in several places: who misses a number there cannot tell a loss.
   * Duplicates are told as ever, as long as no more than 8,192 Msgs are under way.
   */
  readonly spread?: boolean
}

/** A Riemann message as people see it. */
export interface Msg {
  readonly ok?: boolean
  readonly error?: string
  readonly query?: string
  readonly events?: readonly Event[]
  readonly mark?: ProducerMark
  /**
   * Of an answer: who gave it is about to go away, and what comes next is better sent to another server. Extension field 1001 of Msg, which Riemann
   * ignores; only those who mark what they send are told.
   */
  readonly draining?: boolean
}
