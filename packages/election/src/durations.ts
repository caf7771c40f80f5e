import { ElectionError } from './errors.ts'

/** A length of time: milliseconds, or a number with a unit: `'500ms'`, `'2s'`, `'1m'`, `'24h'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h'}`

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** The longest delay of Node's timers, in ms: almost 25 days. A longer one it would take for none at all. */
export const longestTimerMs = 2 ** 31 - 1

/**
 * Milliseconds of a duration.
 * @throws ElectionError `OPTION_INVALID`, naming the option
 */
export function toMs(
  duration: Duration | string,
  option: string,
  atLeastMs = 1,
  atMostMs: number = longestTimerMs,
): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(String(duration)) ?? []
  const ms = typeof duration === 'number' ? duration : Number(number) * units[unit]
  if (Number.isFinite(ms) && ms >= atLeastMs && ms <= atMostMs) return ms
  const least = atLeastMs > 1 ? `, of at least ${atLeastMs} ms` : ms > atMostMs ? `, of at most ${atMostMs} ms` : ''
  throw new ElectionError(
    'OPTION_INVALID',
    `${option} is ${typeof duration === 'string' ? JSON.stringify(duration) : duration}; give milliseconds or a number with a unit, like "500ms" or "2s"${least}`,
    false,
  )
}

/** How quickly a dead leader is noticed, and how long a confirmed one may act without hearing from the store. */
export interface Pace {
  /** The lease D: a confirm allows to lead for this long from when it was sent; who takes over waits as long. */
  readonly leaseMs: number
  /** The detection time c: the store declares a silent member dead after this long. */
  readonly detectMs: number
}

/** A pace by its name. */
export type Profile = 'fast' | 'default' | 'calm'

/**
 * The profiles, for a crash about detect + lease apart: `fast` has another leader within a second, and suspends at every hitch
 * of the store; `calm` rides through the store's own elections (Consul: 2 to 4 s with raft_multiplier 1) without a suspension.
 */
export const profiles: Readonly<Record<Profile, Pace>> = {
  fast: { leaseMs: 500, detectMs: 500 },
  default: { leaseMs: 2000, detectMs: 2000 },
  calm: { leaseMs: 5000, detectMs: 5000 },
}

/** The shortest lease: four confirms must fit into it on a busy machine. */
export const leastLeaseMs = 100

/** The pace that options ask for: a profile, and what is named beside it. @throws ElectionError `OPTION_INVALID` */
export function paceOf(options: {
  readonly profile?: Profile
  readonly lease?: Duration
  readonly detect?: Duration
}): Pace {
  const wanted = options.profile ?? 'default'
  if (!Object.hasOwn(profiles, wanted)) {
    const names = Object.keys(profiles).join(', ')
    throw new ElectionError('OPTION_INVALID', `there is no profile ${wanted}; the profiles are ${names}`, false)
  }
  const profile = profiles[wanted]
  return {
    leaseMs: options.lease === undefined ? profile.leaseMs : toMs(options.lease, 'lease', leastLeaseMs),
    detectMs: options.detect === undefined ? profile.detectMs : toMs(options.detect, 'detect', leastLeaseMs),
  }
}
