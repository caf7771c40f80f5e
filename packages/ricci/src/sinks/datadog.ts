/** Datadog's metrics. Definition: Datadog's API reference, "Submit metrics" (v2, series). */
import type { Event } from '@ricci/client'
import type { Clock, FlowBatch, FlowRequest, FlowResult } from '@ricci/replica'
import { jsonText, judge, post } from '../receivers/request.ts'
import { cut } from '../receivers/text.ts'
import { pointsOf } from './events.ts'
import { failed, sinkKind } from './kind.ts'

/** Datadog's own limits: bytes of a body as it is sent, characters of a metric's name and of a tag. */
const bodyLimit = 500_000
const maxNameCharacters = 200
const maxTagCharacters = 200
/** `gauge`, of Datadog's types. */
const gauge = 3

export const datadogSinkKind = sinkKind({
  type: 'datadog',
  settings: (fields) => ({
    apiKey: fields.secret("an API key of Datadog's: `{ env: NAME }`, `{ file: PATH }` or text"),
    url: fields
      .url(
        'where series are posted to; each site of Datadog has its own, like `https://api.datadoghq.eu/api/v2/series`',
      )
      .default('https://api.datadoghq.com/api/v2/series'),
    ca: fields.authority(),
  }),
  sink: ({ apiKey, url, ca }, { clock }) => ({
    // a point a second is what its graphs show at best
    gatherMs: 5_000,
    requestEvents: 2_000,
    send: (request, mayStart, signal) => sendSeries(request, apiKey.reveal(), url, ca, clock, mayStart, signal),
  }),
})

async function sendSeries(
  { batches }: FlowRequest,
  apiKey: string,
  url: string,
  ca: string | undefined,
  clock: Clock,
  mayStart: () => boolean,
  signal: AbortSignal,
): Promise<FlowResult> {
  const { taken, body } = fitted(batches)
  const events = taken.reduce((sum, batch) => sum + batch.events, 0)
  const through = taken[taken.length - 1].position
  if (body === undefined) return { through }
  if (Buffer.byteLength(body) > bodyLimit) {
    return { through, refused: { events, detail: `they take more than ${bodyLimit} bytes together` } }
  }
  const headers = { 'content-type': 'application/json', 'dd-api-key': apiKey }
  const fate = await post({ url, ca, headers, body }, mayStart, signal)
  const answer = judge(fate, clock.wallMs())
  if (answer.kind === 'delivered') return { through }
  // whoever has a wrong key or address mends the configuration; what it cannot read no other try makes readable
  const isUnreadable = fate.kind === 'answered' && (fate.status === 400 || fate.status === 413)
  if (isUnreadable) return { through, refused: { events, detail: answer.detail ?? '' } }
  return failed(answer.detail ?? '', answer.kind === 'refused' ? undefined : answer.retryAfterMs)
}

/** As many of the batches as fit a body, one at least; no body where they hold no point. */
function fitted(batches: readonly FlowBatch[]): {
  readonly taken: readonly FlowBatch[]
  readonly body: string | undefined
} {
  for (let count = batches.length; ; count = Math.ceil(count / 2)) {
    const taken = batches.slice(0, count)
    const series = seriesOf(taken)
    if (series.length === 0) return { taken, body: undefined }
    const body = jsonText({ series })
    if (count === 1 || Buffer.byteLength(body) <= bodyLimit) return { taken, body }
  }
}

interface Series {
  readonly metric: string
  readonly type: number
  readonly points: { timestamp: number; value: number }[]
  readonly resources: readonly { readonly name: string; readonly type: 'host' }[]
  readonly tags: readonly string[]
}

/** The points of events, those of one metric, host and tags together. */
export function seriesOf(batches: readonly FlowBatch[]): Series[] {
  const series = new Map<string, Series>()
  for (const { event, service, metric: value, seconds: timestamp } of pointsOf(batches)) {
    const metric = nameOf(service)
    const tags = tagsOf(event)
    const resources = (event.host ?? '') === '' ? [] : [{ name: event.host!, type: 'host' as const }]
    const key = JSON.stringify([metric, resources, tags])
    const known = series.get(key)
    if (known !== undefined) known.points.push({ timestamp, value })
    else series.set(key, { metric, type: gauge, points: [{ timestamp, value }], resources, tags })
  }
  return [...series.values()]
}

/** Letters, digits, dots and underscores, and a letter first. */
function nameOf(service: string): string {
  const name = service.replaceAll(/[^A-Za-z0-9._]+/g, '_')
  return (/^[A-Za-z]/.test(name) ? name : `m_${name}`).slice(0, maxNameCharacters)
}

function tagsOf({ tags = [], attributes = {}, state }: Event): string[] {
  const named = Object.entries(attributes ?? {}).map(([name, value]) => `${name}:${value}`)
  const all = [...(tags ?? []), ...named, ...((state ?? '') === '' ? [] : [`state:${state}`])]
  return all.map((tag) => cut(tag, maxTagCharacters))
}
