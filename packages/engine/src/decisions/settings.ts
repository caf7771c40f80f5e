import { EngineError } from '../errors.ts'

/** Limits of what rules may decide. They ride in the rules record: a page must be decidable from the log alone. */
export interface DecisionSettings {
  /** Pages a rule may decide in a calendar minute; the rest goes as one digest page. */
  readonly pagesPerMinute: number
  /** Pages that may wait for one receiver; further ones go as digests. */
  readonly pendingPerReceiver: number
  /** Told when a receiver refuses a page or could not be reached for a day. */
  readonly fallbackReceiver?: string
  /** Receivers that want trigger and resolve even when it was over before the first attempt. */
  readonly bothWhenOvertaken: readonly string[]
  /** Receivers that are told when somebody takes an incident on. */
  readonly acknowledging: readonly string[]
  /** How long an acknowledgement holds that does not say. */
  readonly acknowledgedMs: number
}

export const defaultDecisionSettings: DecisionSettings = {
  // A person reads a page in seconds: a hundred a minute is noise already.
  pagesPerMinute: 100,
  // At most 80 MB of provenance per receiver, an hour's work for a receiver that takes three a second.
  pendingPerReceiver: 10_000,
  bothWhenOvertaken: [],
  acknowledging: [],
  // Half a shift: what nobody closed by then somebody should look at again.
  acknowledgedMs: 4 * 3_600_000,
}

/**
 * Picks the decisions' part out of a rules record's settings.
 * @throws EngineError `SETTING_INVALID` with the setting's name.
 */
export function decisionSettings(settings: Readonly<Record<string, unknown>>): DecisionSettings {
  const { fallbackReceiver } = settings
  if (fallbackReceiver !== undefined && (typeof fallbackReceiver !== 'string' || fallbackReceiver === '')) {
    throw new EngineError('SETTING_INVALID', 'fallbackReceiver must be the name of a receiver')
  }
  return {
    pagesPerMinute: count(settings, 'pagesPerMinute', defaultDecisionSettings.pagesPerMinute),
    pendingPerReceiver: count(settings, 'pendingPerReceiver', defaultDecisionSettings.pendingPerReceiver),
    ...(fallbackReceiver === undefined ? {} : { fallbackReceiver: fallbackReceiver as string }),
    bothWhenOvertaken: receivers(settings, 'bothWhenOvertaken'),
    acknowledging: receivers(settings, 'acknowledging'),
    acknowledgedMs: count(settings, 'acknowledgedMs', defaultDecisionSettings.acknowledgedMs),
  }
}

function receivers(settings: Readonly<Record<string, unknown>>, name: string): readonly string[] {
  const list = settings[name] ?? []
  if (Array.isArray(list) && list.every((item) => typeof item === 'string')) return list as readonly string[]
  throw new EngineError('SETTING_INVALID', `${name} must be a list of names of receivers`)
}

function count(settings: Readonly<Record<string, unknown>>, name: string, otherwise: number): number {
  const value = settings[name]
  if (value === undefined) return otherwise
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1) return value
  throw new EngineError('SETTING_INVALID', `${name} must be a whole number from 1 on`)
}
