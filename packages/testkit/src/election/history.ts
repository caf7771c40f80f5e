/** What happened in a run, as the outside saw it, and the judgement of it. Nothing of the election's own state enters. */

/** Something a candidate's process did or was told, in world time. */
export type Happening =
  | {
      readonly kind: 'granted'
      readonly name: string
      readonly token: bigint
      readonly by: string
      readonly atMs: number
    }
  | {
      /** The store took a name from its holder, or was given it back. */
      readonly kind: 'freed'
      readonly name: string
      readonly token: bigint
      readonly settled: boolean
      readonly atMs: number
    }
  | {
      readonly kind: 'elected' | 'resumed' | 'ended'
      readonly name: string
      readonly token: bigint
      readonly by: string
      readonly atMs: number
    }
  | {
      readonly kind: 'act'
      readonly name: string
      readonly token: bigint
      readonly by: string
      readonly atMs: number
      /** The look at the clock and the effect lie apart, with a freeze between them: only the sink's own check can refuse it. */
      readonly slipped: boolean
    }
  | {
      readonly kind: 'journalled'
      readonly name: string
      readonly token: bigint
      readonly id: string
      readonly atMs: number
    }

/** A promise that was not kept. */
export interface Breach {
  readonly invariant: 'I1' | 'I2' | 'I3' | 'I4' | 'I5' | 'I6' | 'journal' | 'members'
  readonly text: string
}

/** What a run brought to work. */
export interface Tally {
  acts: number
  slipped: number
  refused: number
  terms: number
  resumptions: number
  earlyLosses: number
  cleanReleases: number
  journalled: number
}

/** Nothing yet. */
export function noTally(): Tally {
  return {
    acts: 0,
    slipped: 0,
    refused: 0,
    terms: 0,
    resumptions: 0,
    earlyLosses: 0,
    cleanReleases: 0,
    journalled: 0,
  }
}

/** Judges a history, in the order in which it happened. `leaseMs` is D. */
export function judge(history: readonly Happening[], leaseMs: number): { breaches: Breach[]; tally: Tally } {
  const breaches: Breach[] = []
  const tally = noTally()
  const names = new Map<string, NameHistory>()
  const done = new Map<string, bigint>()
  const breach = (invariant: Breach['invariant'], text: string): void => void breaches.push({ invariant, text })
  for (const happening of history) {
    const { name, token, atMs } = happening
    const known = names.get(name) ?? new NameHistory()
    names.set(name, known)
    const at = `${name} at ${Math.round(atMs)} ms, token ${token}`
    switch (happening.kind) {
      case 'granted':
        if (token <= known.granted) breach('I1', `${at}: granted after ${known.granted}`)
        known.granted = token
        known.holder.set(token, happening.by)
        break
      case 'freed':
        known.freed = { atMs, settled: happening.settled }
        if (happening.settled) tally.cleanReleases++
        else tally.earlyLosses++
        known.freedBefore.set(token, known.freed)
        break
      case 'elected': {
        tally.terms++
        if (known.holder.get(token) !== happening.by) breach('I1', `${at}: led by ${happening.by}, granted to another`)
        const freed = [...known.freedBefore].filter(([before]) => before < token).at(-1)?.[1]
        if (freed !== undefined && !freed.settled && atMs < freed.atMs + leaseMs * fastestClock) {
          breach('I4', `${at}: elected ${Math.round(atMs - freed.atMs)} ms after the name was lost, D is ${leaseMs}`)
        }
        known.active.add(`${happening.by} ${token}`)
        break
      }
      case 'resumed':
        tally.resumptions++
        known.active.add(`${happening.by} ${token}`)
        break
      case 'ended':
        known.active.delete(`${happening.by} ${token}`)
        break
      case 'act':
        if (happening.slipped) tally.slipped++
        else tally.acts++
        // The sink: it refuses a token lower than the highest it has seen.
        if (token < known.sink) tally.refused++
        if (!happening.slipped) {
          if (token < known.sink) breach('I2', `${at}: ${happening.by} acts after ${known.sink} did`)
          if (!known.active.has(`${happening.by} ${token}`))
            breach('I3', `${at}: ${happening.by} acts outside of its term`)
        }
        if (token > known.sink) known.sink = token
        break
      case 'journalled': {
        tally.journalled++
        const before = done.get(happening.id)
        if (before !== undefined) breach('journal', `${at}: ${happening.id} was carried out under ${before} already`)
        done.set(happening.id, token)
      }
    }
  }
  return { breaches, tally }
}

/** A process's clock may be this much too fast: what it takes for D is shorter in the world's time. */
const fastestClock = 1 / 1.0095

class NameHistory {
  granted = 0n
  sink = 0n
  freed: { atMs: number; settled: boolean } | undefined
  readonly freedBefore = new Map<bigint, { atMs: number; settled: boolean }>()
  readonly holder = new Map<bigint, string>()
  /** Terms that have begun and not ended, as their processes were told. */
  readonly active = new Set<string>()
}
