/**
 * The `Date` that rules see: UTC whatever zone the machine is in, now is what the engine says, and text is read and written in one
 * form only. Two replicas, or two versions of Node, cannot come to different dates.
 */

/** An ISO date, with or without a time, with or without a zone. V8 reads more, and in other versions otherwise. */
const isoPattern = /^(?:\d{4}|[+-]\d{6})(?:-\d\d(?:-\d\d)?)?(T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?$/

const parts = ['FullYear', 'Month', 'Date', 'Day', 'Hours', 'Minutes', 'Seconds', 'Milliseconds'] as const

/**
 * Makes a `Date` constructor around a clock.
 * @param nowMs milliseconds since 1970; may throw where nobody can know
 */
export function createUtcDate(nowMs: () => number): DateConstructor {
  class UtcDate extends Date {
    constructor(...given: unknown[]) {
      if (given.length === 0) super(nowMs())
      else if (given.length === 1) super(typeof given[0] === 'string' ? parseUtc(given[0]) : (given[0] as number))
      else super(Date.UTC(...(given as [number, number])))
    }

    static override now(): number {
      return nowMs()
    }

    static override parse(text: string): number {
      return parseUtc(String(text))
    }

    override getTimezoneOffset(): number {
      return 0
    }

    override toString(): string {
      return this.toUTCString()
    }

    override toDateString(): string {
      return this.toUTCString().slice(0, 16)
    }

    override toTimeString(): string {
      return this.toUTCString().slice(17)
    }

    override toLocaleString(): string {
      return this.toUTCString()
    }

    override toLocaleDateString(): string {
      return this.toDateString()
    }

    override toLocaleTimeString(): string {
      return this.toTimeString()
    }
  }
  const prototype = UtcDate.prototype as unknown as Record<string, unknown>
  for (const part of parts) {
    prototype[`get${part}`] = prototype[`getUTC${part}`]
    if (part !== 'Day') prototype[`set${part}`] = prototype[`setUTC${part}`]
  }
  Object.defineProperty(UtcDate, 'name', { value: 'Date' })
  return UtcDate as unknown as DateConstructor
}

/** Milliseconds of an ISO text; a time without zone is UTC, and what is no ISO text is NaN. */
function parseUtc(text: string): number {
  const match = isoPattern.exec(text)
  if (match === null) return NaN
  const [, time, zone] = match
  return Date.parse(time !== undefined && zone === undefined ? `${text}Z` : text)
}
