/**
 * A moment of ISO 8601 in the forms that Riemann takes in JSON events: calendar, week and ordinal dates, without a time or with one to the hour, minute or
 * second, the last part with a fraction; in UTC unless an offset is given. Its basic format (without separators) is not taken there either.
 */

const date = String.raw`(?<year>[+-]?\d{4,9})(?:-(?<month>\d\d)(?:-(?<day>\d\d))?|-W(?<week>\d\d)(?:-(?<weekday>[1-7]))?|-(?<ordinal>\d{3}))?`
const time = String.raw`(?<hour>\d\d)(?::(?<minute>\d\d)(?::(?<second>\d\d))?)?(?<fraction>[.,]\d+)?`
const zone = String.raw`(?<zone>Z|[+-]\d\d(?::?\d\d)?)`
const form = new RegExp(`^(?:${date})?(?:T(?:${time})?${zone}?)?$`, 'i')

const dayMs = 86_400_000

/** Seconds since 1970, to the millisecond; undefined where the text is none. */
export function isoSeconds(text: string): number | undefined {
  const parts = form.exec(text)?.groups
  if (text === '' || parts === undefined) return undefined
  const days = dayOf(parts)
  const inDay = secondsInDay(parts)
  const offset = offsetOf(parts.zone)
  if (days === undefined || inDay === undefined || offset === undefined) return undefined
  const seconds = days * 86_400 + inDay - offset
  // a year beyond what can be reckoned
  return Number.isFinite(seconds) ? seconds : undefined
}

type Parts = Readonly<Record<string, string | undefined>>

/** Days since 1970; a time alone is of that day. */
function dayOf({ year: text, month, day, week, weekday, ordinal }: Parts): number | undefined {
  if (text === undefined) return 0
  const year = Number(text)
  const first = dayNumber(year, 0, 1)
  if (ordinal !== undefined) return within(Number(ordinal), 1, dayNumber(year + 1, 0, 1) - first, first - 1)
  if (week !== undefined) {
    // week 1 has the fourth of January, and begins on a Monday
    const fourth = dayNumber(year, 0, 4)
    const monday = fourth - ((((fourth + 3) % 7) + 7) % 7)
    return within(Number(week), 1, 53, 0) && monday + (Number(week) - 1) * 7 + Number(weekday ?? 1) - 1
  }
  const at = Number(month ?? 1)
  const of = Number(day ?? 1)
  if (at < 1 || at > 12 || of < 1 || of > dayNumber(year, at, 1) - dayNumber(year, at - 1, 1)) return undefined
  return dayNumber(year, at - 1, of)
}

/** The sum, where the number is from `least` to `most`. */
function within(number: number, least: number, most: number, more: number): number | undefined {
  return number < least || number > most ? undefined : number + more
}

/** Days since 1970. `Date.UTC` takes years below 100 for those of its century. */
function dayNumber(year: number, month: number, day: number): number {
  return new Date(0).setUTCFullYear(year, month, day) / dayMs
}

function secondsInDay({ hour, minute, second, fraction }: Parts): number | undefined {
  const [hours, minutes, seconds] = [hour, minute, second].map((part) => Number(part ?? 0))
  const unit = second !== undefined ? 1 : minute !== undefined ? 60 : 3_600
  const part = fraction === undefined ? 0 : Number(`0.${fraction.slice(1)}`) * unit
  if (hours > 24 || minutes > 59 || seconds > 59) return undefined
  return hours * 3_600 + minutes * 60 + seconds + Math.trunc(part * 1_000) / 1_000
}

function offsetOf(zone: string | undefined): number | undefined {
  if (zone === undefined || zone.toUpperCase() === 'Z') return 0
  const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone)!
  if (Number(hours) > 23 || Number(minutes) > 59) return undefined
  return (sign === '-' ? -1 : 1) * (Number(hours) * 3_600 + Number(minutes) * 60)
}
