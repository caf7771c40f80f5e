import type { Event } from '@ricci/client'
import { type EventSource, periodic, type SourceSurroundings, ttlSeconds } from '../sources.ts'
import { ExpositionError } from './exposition.ts'
import { fetchBody, FetchError } from './fetch-body.ts'
import { Series, type SeriesOptions } from './series.ts'

export interface ScrapeOptions extends Omit<SeriesOptions, 'maxSeries' | 'ttl'> {
  readonly url: string
  readonly intervalMs: number
  /** Not longer than the interval. */
  readonly timeoutMs: number
  readonly maxBytes?: number
  readonly maxSeries?: number
  /** Asked at each scrape: tokens are replaced while they are in use. */
  readonly token?: () => Promise<string>
  /** Certificates in PEM of the authorities that vouch for the target, instead of the usual ones. */
  readonly ca?: string
  /** Where in the interval it is scraped first, from 0 to 1. */
  readonly phase?: number
}

/** Two hundred bytes a series, and twice as many series as are taken. */
const defaultMaxBytes = 2 * 1024 * 1024

/** More than an exporter of a machine or a database has; the index of a server holds one event for each of every host. */
const defaultMaxSeries = 5_000

/** OpenMetrics first, as Prometheus asks: there a counter tells itself apart from the time it was created. */
const accepted =
  'application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.7,text/plain;q=0.5,*/*;q=0.1'

/**
 * Scrapes a target. With each scrape comes `up`, as in Prometheus: 1 and `ok`; 1 and `warning` where series were left out; 0 and `critical` where the
 * target gave nothing usable, and then there are no others. The description says why.
 */
export function scrapeSource(options: ScrapeOptions, surroundings: SourceSurroundings): EventSource {
  const { url, job, intervalMs, timeoutMs, ca, maxBytes = defaultMaxBytes, maxSeries = defaultMaxSeries } = options
  const { clock } = surroundings
  const ttl = ttlSeconds(intervalMs)
  const series = new Series({ ...options, maxSeries, ttl })
  const upService = job === undefined ? 'up' : `up job=${job}`
  const up = (metric: number, state: string, description: string): Event => ({
    service: upService,
    metric,
    metricType: 'double',
    state,
    description: `${url}: ${description}`,
    ttl,
    attributes: { __name__: 'up', ...(job !== undefined && { job }) },
  })

  async function scrape(signal: AbortSignal): Promise<readonly Event[]> {
    const askedMs = clock.monotonicMs()
    const headers = {
      accept: accepted,
      'x-prometheus-scrape-timeout-seconds': String(timeoutMs / 1000),
    }
    const token = await options.token?.().catch((error: Error) => {
      throw new FetchError(`the token cannot be read: ${error.message}`)
    })
    const { bytes, contentType } = await fetchBody({ url, headers, token, ca, maxBytes }, signal)
    const isOpenMetrics = /^application\/openmetrics-text\b/i.test(contentType)
    const { events, leftOut } = series.read(bytes, isOpenMetrics, askedMs)
    const tookMs = Math.round(clock.monotonicMs() - askedMs)
    const told =
      leftOut === 0
        ? up(1, 'ok', `${events.length} series in ${tookMs} ms`)
        : up(1, 'warning', `${leftOut} series are left out: more than ${maxSeries}, or with labels too long`)
    return [told, ...events.filter(({ service }) => service !== upService)]
  }

  return periodic(
    {
      name: `scraping ${job ?? url}`,
      intervalMs,
      async ask(signal) {
        const limit = new AbortController()
        const end = () => limit.abort()
        let isLate = false
        const timer = clock.setTimer(timeoutMs, () => {
          isLate = true
          end()
        })
        signal.addEventListener('abort', end)
        try {
          return await scrape(limit.signal)
        } catch (error) {
          if (isLate) return [up(0, 'critical', `no whole answer in ${timeoutMs / 1000} s`)]
          if (error instanceof FetchError) return [up(0, 'critical', error.message)]
          if (error instanceof ExpositionError)
            return [up(0, 'critical', `what it answers are no metrics: ${error.message}`)]
          throw error
        } finally {
          signal.removeEventListener('abort', end)
          timer.cancel()
        }
      },
    },
    options.phase ?? 0,
    surroundings,
  )
}
