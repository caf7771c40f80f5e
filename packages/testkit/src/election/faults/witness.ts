/**
 * Stands between a candidate and its store, and tells of each name that was granted: when the candidate was first shown that it was free, and
 * for how long whoever held it before may have gone on. It knows nothing of the candidate's own reckoning, which is judged by it.
 */
import type { GroupView, LeaseStore, NameView, SessionOptions, StoreSession } from '@ricci/election'

/** A name was granted. Moments on the machine's monotonic clock, in ms. */
export interface Grant {
  readonly token: bigint
  /** When the store's answer came. */
  readonly atMs: number
  /** When an answer first showed the name as free as it was acquired; where the grant's own answer was lost, when a read showed it. */
  readonly seenFreeMs: number
  /** How long after that its predecessor may act; 0 where that has certainly stopped. */
  readonly waitMs: number
}

/** The store, with everybody who opens a session there watched for grants of `name`. */
export function witnessed(
  store: LeaseStore,
  name: string,
  nowMs: () => number,
  tell: (grant: Grant) => void,
): LeaseStore {
  return {
    description: store.description,
    look: (group, signal) => store.look(group, signal),
    request: (group, of, token, request, signal) => store.request(group, of, token, request, signal),
    open: async (options: SessionOptions) => watch(await store.open(options), name, nowMs, tell),
  }
}

function watch(session: StoreSession, name: string, nowMs: () => number, tell: (grant: Grant) => void): StoreSession {
  let free: { version: string | undefined; sinceMs: number } | undefined
  let askedMs = -Infinity
  let acquiring = false
  let known = 0n
  const leaseMs = (view: NameView | undefined): number => Math.max(session.leaseMs, view?.leaseMs ?? 0)
  const grant = (token: bigint, seenFreeMs: number, waitMs: number): void => {
    known = token
    tell({ token, atMs: nowMs(), seenFreeMs, waitMs })
  }
  const shown = (view: NameView | undefined): void => {
    if (view?.holder === undefined) {
      if (free === undefined || free.version !== view?.version) free = { version: view?.version, sinceMs: nowMs() }
      return
    }
    free = undefined
    const isOurs = view.holder.session === session.id && view.token !== known
    if (isOurs && !acquiring) grant(view.token, nowMs(), leaseMs(view))
  }
  const own: Pick<StoreSession, 'read' | 'acquire'> = {
    async read(signal): Promise<GroupView> {
      const sentMs = nowMs()
      const view = await session.read(signal)
      // One that was overtaken by a later one may show what is no longer so.
      if (sentMs >= askedMs) shown(view.names.get(name))
      askedMs = Math.max(askedMs, sentMs)
      return view
    },
    async acquire(seen, of, signal) {
      acquiring = true
      try {
        // Shown by something else than a read of ours, it would be seen free at no time: the latest counts.
        const seenFreeMs = free !== undefined && free.version === seen?.version ? free.sinceMs : nowMs()
        const answer = await session.acquire(seen, of, signal)
        if (answer.kind === 'acquired') grant(answer.token, seenFreeMs, seen?.settled === true ? 0 : leaseMs(seen))
        return answer
      } finally {
        acquiring = false
      }
    },
  }
  return new Proxy(session, {
    get(target, key) {
      const value: unknown = key in own ? own[key as keyof typeof own] : Reflect.get(target, key, target)
      return typeof value === 'function' && !(key in own) ? (value.bind(target) as unknown) : value
    },
  })
}
