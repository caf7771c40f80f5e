/** Times and lengths of time, as people type them. */
import { CommandError, ExitCode } from './surroundings.ts'

const unitsMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** A length of time in milliseconds, as `90s`, `30m`, `2h`, `1d`. @throws CommandError */
export function lengthOf(text: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*(s|min|m|h|d)$/.exec(text.trim()) ?? []
  if (unit === undefined) {
    throw new CommandError(ExitCode.usage, `"${text}" is no length of time; write it like 90s, 30m or 2h`)
  }
  return Number(number) * unitsMs[unit]
}

/**
 * A moment in milliseconds since 1970: a length of time and `ago`, a time of day (the last time that was, UTC), or a day and a time
 * (UTC where it names no zone).
 * @throws CommandError
 */
export function atOf(text: string, nowMs: number): number {
  const ago = /^-?(.+?)\s+ago$/.exec(text.trim())?.[1]
  if (ago !== undefined) return nowMs - lengthOf(ago)
  const [, hour, minute, second = '00'] = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text.trim()) ?? []
  if (hour !== undefined) {
    const day = new Date(nowMs).toISOString().slice(0, 10)
    const atMs = Date.parse(`${day}T${hour.padStart(2, '0')}:${minute}:${second}Z`)
    if (!Number.isNaN(atMs)) return atMs <= nowMs ? atMs : atMs - unitsMs.d
  }
  if (/^\d{4}-\d{2}-\d{2}/.test(text.trim())) {
    const iso = text.trim().replace(' ', 'T')
    const atMs = Date.parse(/T.*(Z|[+-]\d{2}:?\d{2})$/.test(iso) || !iso.includes('T') ? iso : `${iso}Z`)
    if (!Number.isNaN(atMs)) return atMs
  }
  throw new CommandError(
    ExitCode.usage,
    `"${text}" is no time; write it like 03:05, 2026-11-30T03:05 (UTC), or 20m ago`,
  )
}
