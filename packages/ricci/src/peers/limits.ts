/** Bounds of what instances of a cluster ask of each other. */

/** Connections at once: each other instance keeps at most {@link maxSockets} to each of us. What comes beyond is closed. */
export const maxConnections = 2_048

/** Connections that have not proved who they are yet: whoever cannot may fill these, and no more. */
export const maxHandshakes = 64

/** A handshake takes a few round trips; whoever needs longer is cut off. */
export const handshakeMs = 5_000

/** A request's head: a path, and what HTTP adds. */
export const maxHeaderBytes = 8 << 10

/** A request's body: the longest query (64 KiB), each of whose bytes may stand as six in JSON, and the rest of the request. */
export const maxBodyBytes = 512 << 10

/** A bundle of rules: at most 1 MiB, as base64, and its settings. */
export const maxRulesBytes = 1_500_000

/** Sets of rules tried at once for others: each has a thread with a heap of its own. */
export const maxTriedRules = 2

/** So long rules may take to load elsewhere, the time of its own that a try has included. */
export const tryRulesMs = 20_000

/** A request comes whole within this. */
export const requestMs = 10_000

/** Queries answered at once for others: each holds a few pages on their way. */
export const maxQueries = 64

/** Watches answered at once for others: one for each watcher there, as the server's own bound has it. */
export const maxWatches = 512

/** Snapshots sent at once: each is held in memory while it is. */
export const maxSnapshots = 2

/** Connections to one other instance: as many as it answers queries and watches, and some questions of people. What comes beyond waits. */
export const maxSockets = 640

/** Of these so many are kept for later. */
export const maxFreeSockets = 32

/** A connection that was not used for so long is closed by who asked; who answers keeps it longer, or requests would cross its end. */
export const idleMs = 15_000
export const keptMs = 45_000

/** An answer must be read on within this. */
export const stalledReadMs = 60_000

/** Whoever is asked says at once that it took the question; after so long without that it is taken to be away. */
export const connectMs = 1_500

/** In the middle of an answer the next part comes within this; in a watch a sign of life does. */
export const silentPeerMs = 10_000
export const heartbeatMs = 3_000

/** The longest text that is no page of an answer: what a server says of itself, names of snapshots, incidents. */
export const maxTextBytes = 16 << 20

/** The longest part of an answer: an event with the longest texts is half a megabyte, and a page has at most 2,000. */
export const maxFrameBytes = 256 << 20

/** The largest snapshot that is taken from another instance: several times that of a full engine. */
export const maxSnapshotBytes = 2 ** 32 - 1

/** A partition's pages that are made while others of it are passed on: two engines at once, the rest wait with nothing held. */
export const partitionsAtOnce = 2

/** Characters of incidents that one instance lists at a time; of one partition half a million more. */
export const maxListingText = 1 << 20

/** How often who watches looks whether a partition is still run where it is watched; and who has lost one, whether somebody runs it. */
export const watchLookMs = 1_000

/** So long the first to watch waits until others keep changes as well: an instance that answers takes some milliseconds, a frozen one is not waited for. */
export const keptSoonMs = 1_000

/** Sorted answers at once: each holds some pages of every partition. */
export const maxSortedAnswers = 16

/** A replica that has not begun to answer by then: another is asked as well, and who answers first is taken. */
export const hedgeMs = 1_500

/** Who is asked answers so much before whoever asks gives up, so that what it says of partitions in want still arrives. */
export const marginMs = 200

/** How long the other instances may take to say which snapshots they have; who is slower has none for now. */
export const listSnapshotsMs = 2_000

/**
 * How long a snapshot may take to arrive from another instance: a gigabyte at 20 MB/s. A replica waits two minutes for one, so that two who
 * have it can be tried.
 */
export const fetchSnapshotMs = 55_000

/** So long a partition that nobody has is looked for again: most takeovers take a second. */
export const takeoverMs = 3_000
