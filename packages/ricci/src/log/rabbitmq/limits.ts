/** Limits and times of the log on RabbitMQ, each with its reason. */

/** A broker that has not taken a connection, a channel or a question within this is passed over: a frozen one accepts and says nothing. */
export const answerMs = 2_000

/** A record without an answer for so long is sent again through another broker: an election takes less where all is well. */
export const confirmMs = 2_000

/** After a stall, confirms must have been prompt for so long before any is believed. */
export const promptMs = 1_000

/**
 * A broker that says that it is short of memory or disk gets nothing more, and is waited for so long before another is tried: all of a cluster
 * take nothing then.
 */
export const blockedMs = 30_000

/** To a partition that was published to within the first figure something is sent as often as the second: or a stall would not be seen. */
export const usedMs = 60_000
export const markMs = 1_000

/** Records of a partition that are sent and not confirmed, at most: more gain nothing, and every one is sent again after a stall. */
export const windowRecords = 64

/** Their bytes, at most; a single larger one goes alone. */
export const windowBytes = 8 * 1_048_576

/** Bytes of all partitions that are taken and not settled; then what is ordinary is refused. DESIGN section 6. */
export const unsettledBytes = 64 * 1_048_576

/** Beyond it for records that are not ordinary: an owner's own are small. */
export const unsettledReserveBytes = 4 * 1_048_576

/** A broker that failed is tried last for so long, twice as long each time, up to the second figure. */
export const avoidMs = 1_000
export const avoidAtMostMs = 30_000

/** Records that a broker may have under way to one reader. Measured: 50 of 100 KB read 621 MB/s, 10 read 118. */
export const prefetch = 50

/** A reader's buffer holds at most the prefetch; it acks each so many. */
export const ackEvery = 12
/** … or when it was given something so often: a broker ends a channel that has left a record unacked for half an hour. */
export const ackTurns = 30

/** The tail of a partition is followed for so long after the last who asked for it. */
export const tailIdleMs = 10_000

/** A stream that shows no record for so long holds none: a new reader of one that does is given its first within milliseconds. */
export const emptyMs = 250

/** Seconds between the heartbeats of a connection: a dead link is seen after two. */
export const heartbeatSeconds = 2

/** The largest frame asked for: large records then go in few frames. */
export const frameBytes = 128 * 1_024

/** A log that is closed waits so long for what was taken before. */
export const closeMs = 5_000

/** An inbox holds so much while no instance empties it; then brokers refuse what is published. */
export const inboxBytes = 1_073_741_824

/** Deliveries that an inbox may have under way to one instance. With {@link inboxMsgBytes}: 64 MB an inbox. */
export const inboxPrefetch = 32

/** A larger Msg is refused at an inbox: one of 3,000 events is a quarter of it. */
export const inboxMsgBytes = 2 * 1_048_576

/** What was refused at the inboxes is kept up to this, the oldest goes first. */
export const refusedRecords = 1_000
export const refusedBytes = 64 * 1_048_576

/**
 * A broker of 4.x gives up a record that was delivered twenty times, unless told; each instance that is lost counts one. This many never come
 * about: what was confirmed to a publisher is not given up.
 */
export const deliveryLimit = 1_000_000

/** How often is looked whether an inbox has records that do not come. */
export const inboxLookMs = 5_000

/** Keys whose partition is remembered: finding it takes 5 µs. */
export const rememberedKeys = 16_384

/** How often a canary is sent by the way of other publishers, and when one that has not come back is an alarm: no election takes so long. */
export const canaryEveryMs = 1_000
export const canaryMs = 10_000

/** Keys of a partition by which canaries go, so that each inbox has its turn. */
export const canaryKeys = 8

/** An alarm about that way is over when none was due for so long. */
export const canaryCalmMs = 60_000

/** No canary's record is longer. */
export const canaryRecordBytes = 256

/** Brokers at most: more are a mistake, and each may be tried in turn. */
export const maxBrokers = 64

/** Names are looked up again after so long, as resolvers cache at least; and as soon as the second figure when no broker could be used. */
export const resolveEveryMs = 30_000
export const resolveAgainMs = 1_000

/** How often is looked where partitions begin, each at two brokers. */
export const retentionLookMs = 60_000

/** What retention must leave: so many intervals between snapshots. DESIGN section 6. */
export const keptIntervals = 3

/** How long a broker may take to declare one partition when a log is made: some 0.1 s, much more while its cluster elects. */
export const declareMs = 10_000

/** Brokers that are tried in turn for who the log is, before whoever asks is told why none says so. */
export const identityTries = 3
