/** Times and bounds of a replica's life, each with its reason. Milliseconds. */

/** A tick at least this often while things happen: what fires because something did not happen is late by no more. */
export const tickMs = 500
/** Where nothing happens one a second does: half the writing on an idle machine. */
export const idleTickMs = 1_000
/** A later tick is our own pause: owned time moves no further in one step. */
export const tickElapsedLimitMs = 2_000

/** A send begins within this time of its attempt's append, on both clocks: whoever was paused meanwhile sends nothing. */
export const sendBeginMs = 2_000
/** And has ended by then, so that a successor knows when nothing of ours is under way any more. */
export const sendEndMs = 10_000
/** How often the wall clock is looked at while a request is under way: the monotonic one stood still if the machine was suspended. */
export const clockLookMs = 250
/** A transport that was told to end is waited for no longer than this. */
export const transportGraceMs = 500
/** How long after its claim an owner lets outcomes of its predecessors come in: `sendEndMs`, and a second for the outcome's append. */
export const doubtMs = 11_000

/** A record of ours that was not read back by then is written again, if that does no harm. Confirmed is not written; read is. */
export const readBackMs = 2_000

/** Requests under way at one receiver. Enough to hide a slow one, too few to look like an attack. */
export const sendsAtOnce = 4
/** First pause after a failed send, doubled with each further one … */
export const retryFirstMs = 1_000
/** … up to this, each time spread by half either way. */
export const retryLongestMs = 60_000
/** The longest Retry-After that is heeded: who asks for more is asked again after an hour. */
export const retryAfterLimitMs = 3_600_000
/** Older pages are given up when their next try fails. */
export const giveUpMs = 24 * 3_600_000
/** What waited this long goes as one digest. */
export const digestAgeMs = 3_600_000
/** Pages in one digest: their ids fit an attempt record of 100 kB. */
export const digestSizeLimit = 1_000
/** Of what a receiver said, for people. */
export const detailLimit = 1_000

/** How far a sink has taken its flow is written down this often at most: what a successor sends again. */
export const flowRecordMs = 1_000

/** A wall clock this far behind the calendar … */
export const wallBehindMs = 60_000
/** … for this long is followed back. */
export const wallBehindForMs = 60_000

/** How long the log may be of no use, or ownership out of reach, before the receiver `self` hears of it directly. */
export const selfAlarmMs = 15_000

/** A claim that was not read back by then is tried again. */
export const claimMs = 2_000
/** A lease holder whose rival owns but shows no tick for this long claims anew. */
export const silentOwnerMs = 3_000
/** A replica whose state is in doubt claims after this long without an owner's tick: the trusted ones had their turns. */
export const orphanedMs = 20_000
/** Who stops and has given its lease to another waits no longer for that one's claim: a few requests to store and log. */
export const handOverMs = 5_000
/** A replica has caught up when it applies within this time what the log held when it was asked. */
export const caughtUpMs = 1_000

/** Snapshots kept; the newest counts, the others are for the day it turns out void. */
export const snapshotsKept = 3
/** Time a standby has to store its snapshot before the owner concludes that it is alone. */
export const snapshotPatienceMs = 30_000

/** A snapshot that the log wants and that was not stored by then is tried again, and again after twice the time … */
export const wantedRetryMs = 5_000
/** … up to this: each try leaves a checkpoint, of 8 kB at the most, in what room is left. */
export const wantedRetryLongestMs = 60_000

/** Pause before a restore that failed is tried again: the first, doubled each time … */
export const restoreRetryMs = 250
/** … up to this. */
export const restoreRetryLongestMs = 30_000

/** How far a log goes and which snapshots there are is asked no longer than this: a store that hangs is a store that is away. */
export const askLimitMs = 5_000
/** Fetching or storing a snapshot: a gigabyte at 10 MB/s, and less than the time to the next one. */
export const carryLimitMs = 120_000

/** Trouble is looked for this often. */
export const watchMs = 1_000
/** Stepping down: sends have ended within `sendEndMs`, their outcomes are read soon after; then it is over, read or not. */
export const stepDownMs = 13_000
/** A clean stop waits no longer for its last snapshot to be cut and confirmed … */
export const lastSnapshotMs = 3_000
/** … and to be stored: 100 MB on a slow disk. A store that hangs does not keep it from stopping. */
export const storeMs = 10_000

/** Each place behind the first leaves a free lease to those before it for this long more: two rounds of questions to a store. */
export const staggerMs = 200
/** Who is told to end waits so long for others to catch up with what it keeps: less than what ends it by force waits (systemd 90 s, Kubernetes 30 s). */
export const handOnMs = 25_000
/** While partitions are moved away from who drains, no second replica of another begins, for so long: a hand-over is over in much less. */
export const moveMs = 5_000
/**
 * A host that is in no hurry with what the log held when it began rests so many times as long as it worked, at most so long at a time. Measured on two cores
 * that brokers, store and three instances share, the latest page of 30 drains: 1 to 3 s with no rest, 308 ms with as long as it worked.
 */
export const restPerWork = 2
export const restAtMostMs = 100
/** A replica that has not caught up by then holds up no other's restoring any more: what keeps it may be its own. */
export const restoringPatienceMs = 30_000
/** A replica that is not wanted any more is ended after this time: who comes and goes makes nobody start and stop. */
export const endAfterMs = 30_000
/** Who is first in the ranking asks a live owner for the partition once it has stood by for this long: who comes and goes is left out. */
export const settledMs = 60_000
/** A hand-over that was asked for and has not come by then was asked for in vain: the next is asked for … */
export const askAnswerMs = 5_000
/** … and this one again after a pause. */
export const askAgainMs = 5_000
