import { maxSymbols } from '@ricci/client'
import { decisionSettings, defaultDecisionSettings } from './decisions/settings.ts'
import { EngineError } from './errors.ts'

/**
 * Everything that decides and could differ between instances. It rides in the rules record, never in one instance's
 * configuration: a page must be decidable from the log alone.
 */
export interface EngineSettings {
  /** TTL of events that carry none, seconds (Riemann's 60). */
  readonly defaultTtlSeconds: number
  /** Fields and attributes that an expired event keeps (`attributes` for all of these), or all. */
  readonly keepKeys: 'all' | readonly string[]
  /** Expiry is looked at every so often; 0: at the deadline itself. */
  readonly reaperIntervalMs: number
  /** One tick never counts for more owned time than this: a late tick is our own pause. */
  readonly longestTickMs: number
  /** A move of the calendar by more than this beyond the elapsed time is a gap; Infinity switches gaps off (null in JSON). */
  readonly gapMs: number | null
  /** An event older than this is late; null switches it off. */
  readonly stalenessMs: number | null
  /** After a claim or gap, deadlines of absence are at least this far away. */
  readonly graceMs: number
  /** Forks of one `by` at most. A new key beyond it is refused and counted; no live one is evicted. Alarms of Ricci's own have some more. */
  readonly forksPerBy: number
  /** Keys (host, service) in the index at most, and some more for alarms of Ricci's own. */
  readonly indexRows: number
  /** Events one window or buffer of one fork holds at most. */
  readonly eventsPerBuffer: number
  /** Events that one flow keeps for its sink at most; then the oldest are dropped and counted. */
  readonly eventsPerFlow: number
  /**
   * Different texts (hosts, services, states, tags, attributes and their values) at most, with 64 bytes for each and a quarter as
   * many sets of tags and of attributes. Half full, those that nothing names any more are collected; an event that finds it full
   * is refused and counted, unless it is an alarm of Ricci's own.
   */
  readonly symbols: number
  /** Forks unused for this long, without a timer, are given back. (A row of the index is at the second collection after its entry has gone.) */
  readonly idleForkMs: number
}

/** The settings of a rules record that names none. */
export const defaultSettings: EngineSettings = {
  defaultTtlSeconds: 60,
  keepKeys: 'all',
  reaperIntervalMs: 0,
  longestTickMs: 2_000,
  gapMs: 5_000,
  stalenessMs: 60_000,
  graceMs: 15_000,
  // a million keys at some 200 bytes of columns each is what one partition is built for
  forksPerBy: 1_000_000,
  indexRows: 1_000_000,
  eventsPerBuffer: 100_000,
  // 100 s of a thousand events a second, in some 10 MB
  eventsPerFlow: 100_000,
  symbols: maxSymbols,
  idleForkMs: 24 * 3_600_000,
}

/** Settings as a rules record carries them, over the defaults. Throws EngineError `SETTING_INVALID` for a name nobody knows. */
export function settingsFrom(given: Readonly<Record<string, unknown>>): EngineSettings {
  decisionSettings(given)
  for (const [name, value] of Object.entries(given)) {
    if (name in defaultDecisionSettings || name === 'fallbackReceiver') continue
    if (!(name in defaultSettings)) {
      throw new EngineError(
        'SETTING_INVALID',
        `there is no engine setting ${name}; known: ${Object.keys(defaultSettings).join(', ')}`,
      )
    }
    const fits =
      name === 'keepKeys'
        ? value === 'all' || Array.isArray(value)
        : name === 'eventsPerFlow'
          ? Number.isInteger(value) && (value as number) >= 1
          : (typeof value === 'number' && value >= 0) ||
            (value === null && (name === 'gapMs' || name === 'stalenessMs'))
    if (!fits) throw new EngineError('SETTING_INVALID', `engine setting ${name} cannot be ${JSON.stringify(value)}`)
  }
  return { ...defaultSettings, ...given } as EngineSettings
}
