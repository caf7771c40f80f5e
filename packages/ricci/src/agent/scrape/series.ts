import type { Event } from '@ricci/client'
import { attributeName } from '../sources.ts'
import { type Sample, samplesOf } from './exposition.ts'

export interface SeriesOptions {
  /** Told apart by this from series of the same name of another target: becomes the label `job`. */
  readonly job?: string
  /** Patterns of names with `*` for anything: only these … */
  readonly keep?: readonly string[]
  /** … but not these. */
  readonly drop?: readonly string[]
  /** Patterns of counters of which the rate is sent in their place. */
  readonly rates?: readonly string[]
  readonly maxSeries: number
  /** How long its events hold, in seconds. */
  readonly ttl: number
}

/** The name and all labels of a series, as its service: as long as a URL with its query may be. */
const maxServiceCharacters = 1_024

/** Exporters use up to twenty. */
const maxLabels = 64

/** Counters by the service of their series: what they showed, and when. */
type Counted = Map<string, { readonly value: number; readonly atMs: number }>

/** What one scrape came to. */
export interface Scraped {
  readonly events: readonly Event[]
  /** Series beyond the number that is taken, with too many labels, or too long. */
  readonly leftOut: number
}

/**
 * Makes events of one target's samples: labels become attributes, the name is in the attribute `__name__`, and the service is the name with all
 * labels in order, `http_requests_total code=500 method=get`: an index holds one event for each host and service, and each series is a thing of its own.
 * It is what Riemann makes of OpenTSDB's metrics.
 *
 * NaN says that there is no value, and is left out. A counter of which the rate is asked becomes `NAME:rate`, a second since the scrape before.
 */
export class Series {
  readonly #options: SeriesOptions
  readonly #isKept: (name: string) => boolean
  readonly #isDropped: (name: string) => boolean
  readonly #isRate: (name: string) => boolean
  /** Counters of the scrape before whose rate is asked; those that have gone since are forgotten. */
  #counted: Counted = new Map()

  constructor(options: SeriesOptions) {
    this.#options = options
    this.#isKept = options.keep === undefined ? () => true : anyOf(options.keep)
    this.#isDropped = anyOf(options.drop ?? [])
    this.#isRate = anyOf(options.rates ?? [])
  }

  /**
   * @param nowMs monotonic, when it was asked
   * @throws ExpositionError where the body is none: then nothing of it is used
   */
  read(body: Uint8Array, isOpenMetrics: boolean, nowMs: number): Scraped {
    const events: Event[] = []
    const counted: Counted = new Map()
    let leftOut = 0
    let series = 0
    for (const sample of samplesOf(body, isOpenMetrics)) {
      if (!this.#isKept(sample.name) || this.#isDropped(sample.name) || Number.isNaN(sample.value)) continue
      if (sample.labels.length > maxLabels || series >= this.#options.maxSeries) {
        leftOut++
        continue
      }
      const labels = this.#labels(sample)
      const asRate = sample.isCounter && this.#isRate(sample.name)
      const name = asRate ? `${sample.name}:rate` : sample.name
      const service = labels.reduce((text, [label, value]) => `${text} ${label}=${value}`, name)
      if (service.length > maxServiceCharacters) {
        leftOut++
        continue
      }
      series++
      const metric = asRate ? this.#rate(service, sample, counted, nowMs) : sample.value
      if (metric === undefined) continue
      events.push({
        service,
        metric,
        metricType: 'double',
        ttl: this.#options.ttl,
        attributes: Object.fromEntries([['__name__', name], ...labels]),
        ...(sample.timeMs !== undefined && { time: sample.timeMs / 1000 }),
      })
    }
    this.#counted = counted
    return { events, leftOut }
  }

  /** In the order of their names. A label without a value is none. */
  #labels({ labels }: Sample): (readonly [string, string])[] {
    const { job } = this.#options
    const named: [string, string][] = []
    for (const [name, value] of labels) {
      if (value === '' || name === '__name__') continue
      named.push([job !== undefined && name === 'job' ? 'exported_job' : attributeName(name), value])
    }
    if (job !== undefined) named.push(['job', job])
    return named.sort(([a], [b]) => (a < b ? -1 : 1))
  }

  #rate(series: string, { value, timeMs }: Sample, counted: Counted, nowMs: number): number | undefined {
    const atMs = timeMs ?? nowMs
    const before = this.#counted.get(series)
    counted.set(series, { value, atMs })
    // a time that stands still or goes back says nothing of how fast it counts
    if (before === undefined || atMs <= before.atMs) return undefined
    // one that began anew has counted all that it shows since
    return (value - (value < before.value ? 0 : before.value)) / ((atMs - before.atMs) / 1000)
  }
}

/** Whether a name matches one of the patterns; samples of one name follow each other, so the last answer is kept. */
function anyOf(patterns: readonly string[]): (name: string) => boolean {
  if (patterns.length === 0) return () => false
  const all = new RegExp(`^(?:${patterns.map(expression).join('|')})$`)
  let last = ''
  let answer = false
  return (name) => {
    if (name !== last) {
      last = name
      answer = all.test(name)
    }
    return answer
  }
}

function expression(pattern: string): string {
  return pattern
    .split('*')
    .map((part) => part.replaceAll(/[\\^$.+?()[\]{}|]/g, '\\$&'))
    .join('.*')
}
