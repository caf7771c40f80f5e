/**
 * Intake's bounds. Whoever reaches one is told: by a closed connection, by silence until there is room, or by a count. Those that people
 * may set stand in the configuration.
 */

/** Bytes of one connection that are taken in and not yet acknowledged; then it is not read any more. */
export const maxConnectionBytes = 8 << 20

/** Messages of one connection in flight; Riemann's Java client pipelines up to 8,192. */
export const maxConnectionMessages = 16_384

/** Datagrams cannot be held back: beyond this much waiting for the log, or for an engine that lags, they are dropped and counted. */
export const maxQueuedDatagramBytes = 16 << 20

/**
 * Replies a peer leaves unread before its connection is not read any more, none of its further queries is asked (and, after
 * {@link stalledWriteMs}, it is closed).
 */
export const maxUnreadReplyBytes = 4 << 20

/** Queries of one connection that the engine answers at once: more would only wait for each other there, with pages in memory. */
export const maxQueriesAtOnce = 8

/**
 * Bytes of answers that are being put together, or were not read yet, over all connections; then the connection with most of them is
 * closed. Room for twice the largest reply: its length stands before it, so that it has to be whole before its first byte is sent.
 */
export const maxAnswerBytes = 512 << 20

/**
 * Bytes of messages that have begun and are not whole, and of questions that wait for their turn, over all connections; then the connection with most of them is closed.
 * Room for four times the largest message that can be allowed (64 MiB), or for 700 of the usual large ones (3,000 events) at once.
 */
export const maxBegunBytes = 256 << 20

/** A frame that was begun must go on within this: a half-sent frame holds memory. */
export const stalledFrameMs = 30_000

/** Replies must be read within this. */
export const stalledWriteMs = 60_000

/** A line of text: Graphite's own servers take more than any sender makes, Riemann's 1,024, too few for many tags. */
export const maxLineBytes = 8_192

/** Lines that came together go in one message up to this many, as agents send them. */
export const maxLinesPerMsg = 3_000

/** Lines of one protocol that the log refused for now are kept up to this much; beyond it they are dropped and counted. */
export const maxHeldLineBytes = 64 << 20

/** Whoever sends lines is not answered: what the log does not take now is tried again after this, and the sender not read meanwhile. */
export const refusedLinesRetryMs = 1_000

/** DESIGN 11.1: how long a query waits for the log to be applied. */
export const queryWaitMs = 5_000

/** DESIGN 6: acks are held back while an owner that is ticking lags by this much. */
export const maxLagMs = 5_000
export const maxLagBytes = 64 << 20

/** Keys of events whose partition is remembered; when there are more, all are forgotten. To hash one anew takes microseconds. */
export const maxKnownKeys = 65_536
