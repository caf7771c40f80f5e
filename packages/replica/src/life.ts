import { ReplicaError } from './errors.ts'

/** What each state means, how it is entered and left, stands above {@link Life}. */
export type ReplicaState = 'stopped' | 'restoring' | 'following' | 'claiming' | 'owning' | 'stepping-down' | 'diverged'

/** From which state which others may be entered. */
const transitions: Readonly<Record<ReplicaState, readonly ReplicaState[]>> = {
  stopped: ['restoring'],
  restoring: ['following', 'diverged', 'stopped'],
  following: ['claiming', 'owning', 'restoring', 'diverged', 'stopped'],
  claiming: ['owning', 'following', 'restoring', 'diverged', 'stopped'],
  owning: ['stepping-down'],
  'stepping-down': ['following', 'restoring', 'diverged', 'stopped'],
  diverged: ['restoring', 'stopped'],
}

/**
 * The state of a replica, and the one function that changes it.
 *
 * ```
 *             ┌──────────────────────────── host failed ───────────────────────────┐
 *             ▼                                                                     │
 * stopped ─▶ restoring ─▶ following ─▶ claiming ─▶ owning ─▶ stepping-down ─▶ following, restoring or stopped
 *                │            │            │
 *                └────────────┴────────────┴──▶ diverged ─▶ restoring
 * ```
 *
 * - **stopped** before `start` and after `stop`. Nothing runs, no timer is set.
 * - **restoring**: a host is being started from the newest usable snapshot, else from the log's first record. Tried again, 250 ms
 *   to 30 s apart, as long as it fails. Left when the host reads (`following`).
 * - **following**: records are applied and nothing is done about them; a standby. Entered with a host that reads. From the first
 *   time on it campaigns for the lease. Left for `claiming` when it holds the lease, has applied all that the log held then, and
 *   is trusted; for `diverged` when the owner's checkpoint has other hashes; for `restoring` when the host fails. Who was
 *   dethroned or lost a claim does not claim again with the same lease unless the other owner shows no tick for 3 s.
 * - **claiming**: a claim of the highest epoch + 1 has been appended. Left for `owning` when the own reader gives it back as the
 *   first of its epoch: whatever came before it is applied by then. Back to `following` when another claim came first, when the
 *   lease is gone, or after 2 s without it; should it still come while the lease is held, `owning` all the same: the log says so.
 * - **owning**: ticks, checkpoints, delivery. The lease does not matter any more: an owner goes on until it reads a higher claim. To
 *   hand the partition over is to give the lease away, and no more: nothing is without an owner before another has claimed.
 *   Left only for `stepping-down`.
 * - **stepping-down**: a higher claim was read, the host failed, or it stops and nobody else can take the partition. Nothing new is
 *   sent; requests under way end within 10 s, their outcomes are written: they are facts, of whatever epoch. Left when all are
 *   read, at the latest after 13 s; at once when the host failed (what is under way ends beside the restoring).
 * - **diverged**: this replica's state differs from the owner's at one offset, or the log holds what it cannot read. It gives up
 *   the lease and, unless it cannot read the log, restores from another snapshot; it may not claim before a whole state of its
 *   own has matched a checkpoint.
 */
export class Life {
  readonly #onChange: ((state: ReplicaState, before: ReplicaState, why: string) => void) | undefined
  #onLeft: (() => void)[] = []
  #state: ReplicaState = 'stopped'
  #why = 'not started'

  constructor(onChange: ((state: ReplicaState, before: ReplicaState, why: string) => void) | undefined) {
    this.#onChange = onChange
  }

  get state(): ReplicaState {
    return this.#state
  }

  /** Why it is in this state, in words. */
  get why(): string {
    return this.#why
  }

  /** Resolves when the present state is left. */
  left(): Promise<void> {
    return new Promise((resolve) => this.#onLeft.push(resolve))
  }

  /** @throws ReplicaError `STATE` where the diagram above has no arrow */
  become(state: ReplicaState, why: string): void {
    const before = this.#state
    if (!transitions[before].includes(state)) {
      throw new ReplicaError('STATE', `a replica that is ${before} cannot become ${state} (${why})`, false)
    }
    this.#state = state
    this.#why = why
    for (const resolve of this.#onLeft.splice(0)) resolve()
    this.#onChange?.(state, before, why)
  }
}
